/** Claims of versions: snapshots say what they are of, and no other machine takes them for its own. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type AnyStateMachine, assign, setup } from "xstate";
import { Actor } from "../../runtime/actor.ts";
import type { DeadLetter } from "../../runtime/dead-letters.ts";
import { type ActorOptions, defineActor } from "../../runtime/define-actor.ts";
import { durableActions } from "../../runtime/durable-actions.ts";
import { structureHash } from "../../runtime/structure-hash.ts";
import { EMBEDDED_LOGS, EmbeddedStage } from "../kit/embedded.ts";
import { message } from "../kit/messages.ts";

type Events = { type: "add"; n: number };

const first = setup({
	types: { context: {} as { total: number }, events: {} as Events },
	actions: durableActions,
}).createMachine({
	context: { total: 0 },
	initial: "open",
	states: {
		open: { on: { add: { actions: assign({ total: ({ context, event }) => context.total + event.n }) } } },
	},
});

/** Another state, another context, and every number counts twice. */
const second = setup({
	types: { context: {} as { sum: number; count: number }, events: {} as Events },
	actions: durableActions,
}).createMachine({
	context: { sum: 0, count: 0 },
	initial: "counting",
	states: {
		counting: {
			on: {
				add: {
					actions: [
						assign({
							sum: ({ context, event }) => context.sum + 2 * event.n,
							count: ({ context }) => context.count + 1,
						}),
						{ type: "reply", params: ({ context }) => ({ value: context.sum }) },
					],
				},
			},
		},
	},
});

const one = defineActor({ type: "sum", version: 1, machine: first });

function two(options: Partial<ActorOptions<"sum", typeof second>> = {}) {
	return defineActor({ type: "sum", version: 2, machine: second, ...options });
}

describe.each(EMBEDDED_LOGS)("on the %s log", (driver) => {
	let stage: EmbeddedStage;
	beforeEach(async () => {
		stage = new EmbeddedStage(driver);
		const node = await stage.start([one]);
		for (const n of [1, 2, 3]) await node.ref("sum", "a").tell({ type: "add", n });
		expect((await node.ref("sum", "a").state()).context).toEqual({ total: 6 });
		await node.stop();
	});
	afterEach(() => stage.remove());

	test("a migration makes the stored state into one of the new machine, told what it is of", async () => {
		const seen: unknown[] = [];
		const migrated = two({
			migrate: (machine, from) => {
				seen.push([machine, from]);
				const { total } = machine.context as { total: number };
				return { value: "counting", context: { sum: total, count: 3 } };
			},
		});
		const node = await stage.start([migrated]);
		const a = node.ref("sum", "a");
		expect(await a.ask({ type: "add", n: 1 })).toBe(8);
		expect((await a.state()).context).toEqual({ sum: 8, count: 4 });
		const hash = structureHash(first);
		expect(seen).toEqual([
			[
				{ value: "open", context: { total: 6 } },
				{ type: "sum", version: 1, hash },
			],
		]);
		await node.stop();
		// What is stored now is of the new version.
		const again = await stage.start([two({ onMismatch: "refuse" })]);
		expect((await again.ref("sum", "a").state()).context).toEqual({ sum: 8, count: 4 });
	});

	test("without a migration the history is folded anew by the new machine, if that is chosen", async () => {
		const node = await stage.start([two({ onMismatch: "rebuild" })]);
		expect((await node.ref("sum", "a").state()).context).toEqual({ sum: 12, count: 3 });
		expect(node.node.metrics.snapshotsRebuilt).toBe(1);
	});

	test("or it is refused: messages are parked with the reason, and count once a migration is there", async () => {
		const node = await stage.start([two({ onMismatch: "refuse" })]);
		const refused = /a snapshot of sum version 1 .* is not one of version 2/;
		await expect(node.ref("sum", "a").ask({ type: "add", n: 4 })).rejects.toThrow(refused);
		const listed = [];
		for await (const actor of node.actors({ type: "sum" })) listed.push(actor);
		expect(listed).toEqual([{ address: "sum/a", state: undefined, offset: undefined, problem: "version" }]);
		// Others of the type are not concerned.
		expect(await node.ref("sum", "b").ask({ type: "add", n: 4 })).toBe(8);
		await node.stop();
		const migrate = () => ({ value: "counting", context: { sum: 6, count: 3 } });
		const mended = await stage.start([two({ migrate })]);
		for await (const letter of mended.deadLetters()) {
			expect(letter.cause).toMatch(refused);
			await mended.retryLetter(letter);
		}
		expect((await mended.ref("sum", "a").state()).context).toEqual({ sum: 14, count: 4 });
	});

	test("a migration that fails is a refusal, never a guess", async () => {
		const migrate = () => {
			throw new Error("what is this?");
		};
		const node = await stage.start([two({ migrate })]);
		await expect(node.ref("sum", "a").ask({ type: "add", n: 1 })).rejects.toThrow(
			"cannot be made one: what is this?",
		);
	});

	test("events that were sent to an earlier version are brought into the new form, also in a history folded anew", async () => {
		const renamed = setup({
			types: { context: {} as { sum: number }, events: {} as { type: "plus"; value: number } },
			actions: durableActions,
		}).createMachine({
			context: { sum: 0 },
			on: {
				plus: {
					actions: [
						assign({
							sum: ({ context, event }) => {
								if (event.value === 3) throw new Error("no threes any more");
								return context.sum + event.value;
							},
						}),
						{ type: "reply", params: ({ context }) => ({ value: context.sum }) },
					],
				},
			},
		});
		const versions: number[] = [];
		const third = defineActor({
			type: "sum",
			version: 3,
			machine: renamed,
			upcast: (event, version) => {
				versions.push(version);
				return { type: "plus", value: event["n"] };
			},
		});
		const node = await stage.start([third]);
		const a = node.ref("sum", "a");
		expect(await a.ask({ type: "plus", value: 4 })).toBe(7);
		expect(new Set(versions)).toEqual(new Set([1]));
		// An old event that is sent again is still an old one.
		const { topic, partition } = node.node.mailbox(a.address);
		const letter = { topic, partition, offset: 2 } as DeadLetter;
		const offset = await node.retryLetter(letter);
		for await (const { event, error } of a.history({ from: offset })) {
			expect([event, error]).toEqual([{ type: "add", n: 3 }, "Error: no threes any more"]);
		}
	});

	test("a machine of another structure under the same version is a mismatch too", async () => {
		const same = defineActor({ type: "sum", version: 1, machine: second, onMismatch: "refuse" });
		const node = await stage.start([same]);
		await expect(node.ref("sum", "a").ask({ type: "add", n: 1 })).rejects.toThrow("is not one of version 1");
	});
});

test("a snapshot carries type, version and structural hash", () => {
	const actor = Actor.fresh("sum/a", one.behaviour);
	actor.receive(message("sum/a", { type: "add", n: 5 }));
	expect(actor.snapshot().version).toBe(1);
	expect(JSON.parse(actor.snapshot().state)).toMatchObject({
		type: "sum",
		version: 1,
		hash: structureHash(first),
		machine: { value: "open", context: { total: 5 } },
	});
});

describe("the structural hash", () => {
	const base = { initial: "a", states: { a: { on: { go: "b" } }, b: {} } } as const;
	const hashOf = (config: object, implementations: object = {}) =>
		structureHash(
			setup(implementations as never).createMachine(config as never) as unknown as AnyStateMachine,
		);

	test("is the same for the same structure, whatever the code behind its names and its descriptions", () => {
		const config = (n: number) => ({ ...base, description: `${n}`, entry: "act" });
		const acts = [1, 2].map((n) => ({ actions: { act: assign({ n }) } }));
		expect(hashOf(config(1), acts[0])).toBe(hashOf(config(2), acts[1]));
	});

	test.each<[string, object]>([
		["a state", { ...base, states: { ...base.states, c: {} } }],
		["a transition", { ...base, states: { ...base.states, b: { on: { go: "a" } } } }],
		["a target", { ...base, states: { ...base.states, a: { on: { go: "a" } } } }],
		["a delay", { ...base, states: { ...base.states, b: { after: { 100: "a" } } } }],
		["an action", { ...base, states: { ...base.states, b: { entry: "x" } } }],
		["a guard", { ...base, states: { ...base.states, a: { on: { go: { target: "b", guard: "x" } } } } }],
		["the first state", { ...base, initial: "b" }],
		["the kind of a state", { ...base, states: { ...base.states, b: { type: "final" } } }],
	])("differs by %s", (_, config) => {
		expect(hashOf(config)).not.toBe(hashOf(base));
	});
});
