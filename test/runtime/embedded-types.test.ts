/** Types of the embedders' API: the compiler refuses what an actor would not understand. `npm run typecheck` is the judge. */
import { expect, expectTypeOf, test } from "vitest";
import { createNode } from "../../runtime/embedded-node.ts";
import { MemoryLog } from "../../testing/memory-log.ts";
import { MemorySnapshots } from "../../testing/memory-snapshots.ts";
import { account } from "../kit/account.ts";

const node = createNode({ log: new MemoryLog(), snapshots: new MemorySnapshots().open(), actors: [account] });

test("events, states and types of actors are checked when the program is compiled", () => {
	const ann = node.ref("account", "ann");
	expect(ann.address).toBe("account/ann");
	type Sent = Parameters<typeof ann.tell>[0];
	expectTypeOf<Sent>().toEqualTypeOf<
		| { type: "deposit"; amount: number }
		| { type: "withdraw"; amount: number }
		| { type: "transfer"; to: string; amount: number }
		| { type: "close" }
	>();
	type State = Awaited<ReturnType<typeof ann.state>>;
	expectTypeOf<State["context"]>().toEqualTypeOf<{ balance: number; entries: number }>();
	expectTypeOf<State["value"]>().toEqualTypeOf<"open" | "closed">();
	const never = () => {
		// @ts-expect-error no such event
		void ann.tell({ type: "rob" });
		// @ts-expect-error the amount is a number
		void ann.ask({ type: "deposit", amount: "5" });
		// @ts-expect-error no such type of actor
		node.ref("bank", "ann");
	};
	expect(never).toBeTypeOf("function");
});
