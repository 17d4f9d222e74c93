/** Tills that book refunds right. States look as before, so what the mistake made of them is taken over as it is. */
import { defineActor } from "../../../runtime/define-actor.ts";
import { tillMachine } from "./machine.ts";

export const till = defineActor({
	type: "till",
	version: 1,
	machine: tillMachine((total, amount) => total - amount),
});
