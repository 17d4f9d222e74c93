/** Tills as they were rolled out first: a refund is booked like a sale. */
import { defineActor } from "../../../runtime/define-actor.ts";
import { tillMachine } from "./machine.ts";

export const till = defineActor({
	type: "till",
	version: 1,
	machine: tillMachine((total, amount) => total + amount),
});
