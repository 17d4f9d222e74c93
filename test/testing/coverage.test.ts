/** Coverage of machines by histories, and paths through machines: what the testing kit says of a small door. */

import { describe, expect, onTestFinished, test } from "vitest";
import { assign, setup } from "xstate";
import { SqliteLog } from "../../persistence/log-sqlite.ts";
import { SqliteSnapshots } from "../../persistence/snapshots-sqlite.ts";
import { createNode, defineActor, type EventMeta } from "../../runtime/index.ts";
import {
	Coverage,
	MemoryLog,
	MemorySnapshots,
	MemoryStorage,
	modelPaths,
	runPaths,
	simulate,
	VirtualTime,
} from "../../testing/index.ts";
import { bank } from "../kit/bank-simulation.ts";
import { temporaryDirectory } from "../kit/runtime-node.ts";

type DoorEvent = { type: "unlock"; code: number } | { type: "open" } | { type: "close" } | { type: "lock" };

const doorMachine = setup({
	types: { context: {} as { wrong: number }, events: {} as DoorEvent & { meta: EventMeta } },
	guards: {
		isRight: ({ event }) => event.type === "unlock" && event.code === 7,
		isLast: ({ context }) => context.wrong >= 2,
	},
}).createMachine({
	id: "door",
	context: { wrong: 0 },
	initial: "locked",
	states: {
		locked: {
			on: {
				unlock: [
					{ guard: "isRight", target: "closed", actions: assign({ wrong: 0 }) },
					{ guard: "isLast", target: "blocked" },
					{ actions: assign({ wrong: ({ context }) => context.wrong + 1 }) },
				],
			},
		},
		closed: { on: { open: "opened", lock: "locked" }, after: { 60000: "locked" } },
		opened: {
			always: { guard: ({ context }) => context.wrong > 0, target: "blocked" },
			on: { close: "closed" },
		},
		blocked: { type: "final" },
	},
});
const door = defineActor({ type: "door", version: 1, machine: doorMachine });
const right = { type: "unlock", code: 7 } as const;
const wrong = { type: "unlock", code: 1 } as const;

async function historyOf(
	events: readonly (typeof right | typeof wrong | { type: "open" | "close" | "lock" })[],
) {
	const time = new VirtualTime();
	const log = new MemoryLog({ storage: new MemoryStorage(), clock: time });
	const snapshots = new MemorySnapshots().open();
	const node = createNode({ log, snapshots, actors: [door], partitions: 1, clock: time });
	await node.start();
	for (const event of events) await node.ref("door", "front").tell(event);
	await node.ref("door", "front").state();
	return { node, log, time };
}

describe("coverage of a machine", () => {
	test("counts states, transitions and what guards refused, each message once", async () => {
		const { log } = await historyOf([wrong, right, { type: "open" }, { type: "close" }, { type: "open" }]);
		const coverage = new Coverage([door]);
		await coverage.addLog(log, 1);
		const { states, transitions, missing } = coverage.of("door");
		expect(states).toEqual([
			{ state: "door.locked", steps: 2 },
			{ state: "door.closed", steps: 2 },
			{ state: "door.opened", steps: 2 },
			{ state: "door.blocked", steps: 0 },
		]);
		const counts = transitions.map(({ source, event, taken, refused }) => [
			`${source} ${event}`,
			taken,
			refused,
		]);
		expect(counts).toEqual([
			["door.locked unlock", 1, 1],
			["door.locked unlock", 0, 1],
			["door.locked unlock", 1, 0],
			["door.closed open", 2, 0],
			["door.closed lock", 0, 0],
			["door.closed after 60000", 0, 0],
			["door.opened close", 1, 0],
			["door.opened always", 0, 2],
		]);
		expect(missing).toContain("door.blocked was never entered");
		expect(missing).toContain("door.closed on after 60000 to door.locked was never taken");
	});

	test("a history that takes everything leaves nothing missing, delays and eventless transitions included", async () => {
		const { node, log, time } = await historyOf([right, { type: "lock" }, wrong, right, { type: "open" }]);
		const front = node.ref("door", "front");
		await front.tell({ type: "close" });
		await time.advance(61_000);
		const side = node.ref("door", "side");
		for (const event of [wrong, wrong, wrong]) await side.tell(event);
		await side.state();
		const coverage = new Coverage([door]);
		await coverage.addLog(log, 1);
		// Only a door that was opened in spite of a wrong code would be blocked then, and there is none.
		expect(coverage.of("door").missing).toEqual(["door.opened on always to door.blocked was never taken"]);
	});

	test("its table has a line for each state and transition, and the share that is covered", async () => {
		const { log } = await historyOf([right]);
		const coverage = new Coverage([door]);
		await coverage.addLog(log, 1);
		const lines = String(coverage).split("\n");
		expect(lines[0]).toMatch(/^door +taken +guard said no$/);
		expect(lines.find((line) => line.startsWith("door.locked on unlock to door.closed"))).toMatch(/ 1 +0$/);
		expect(lines.at(-1)).toMatch(/^\d+ of 15 covered$/);
	});

	test("is that of the embedded log, too, after its node has stopped", async () => {
		const { path: directory, remove } = temporaryDirectory();
		onTestFinished(remove);
		const node = createNode({
			log: new SqliteLog({ directory }),
			snapshots: new SqliteSnapshots({ directory }),
			actors: [door],
			partitions: 2,
		});
		await node.start();
		await node.ref("door", "front").tell(right);
		await node.stop();
		const log = new SqliteLog({ directory, readOnly: true });
		await log.open([
			{ name: "actors", partitions: 2 },
			{ name: "clients", partitions: 2 },
		]);
		const coverage = new Coverage([door]);
		await coverage.addLog(log, 2);
		await log.close(1_000);
		expect(coverage.of("door").states.find(({ state }) => state === "door.closed")?.steps).toBe(1);
	});

	test("simulated runs add up, machines inside actors included", async () => {
		const coverage = new Coverage(bank.actors);
		await simulate({ ...bank, seed: 1, seeds: 3, coverage });
		const { states, transitions } = coverage.of("account");
		expect(states.filter(({ steps }) => steps === 0)).toEqual([]);
		expect(new Set(states.map(({ state }) => state.split(".")[0])).size).toBeGreaterThan(1);
		expect(transitions.some(({ taken }) => taken > 100)).toBe(true);
	});
});

describe("paths through a machine", () => {
	const events = [right, wrong, { type: "open" }, { type: "close" }, { type: "lock" }] as const;

	test("shortest: every state is on one of them, none is the beginning of another", () => {
		const paths = modelPaths(door, { events });
		const values = new Set(paths.flatMap(({ steps }) => steps.map(({ state }) => state.value)));
		expect([...values].sort()).toEqual(["blocked", "closed", "locked", "opened"]);
		const texts = paths.map(({ description }) => description);
		expect(new Set(texts).size).toBe(texts.length);
		expect(texts).toContain("unlock → unlock → unlock");
	});

	test("simple: every way that comes to no state twice", () => {
		const shortest = modelPaths(door, { events }).length;
		expect(modelPaths(door, { events, kind: "simple" }).length).toBeGreaterThan(shortest);
	});

	test("real actors go along each of them and end where the model does", async () => {
		const visited: unknown[] = [];
		const { paths, log } = await runPaths(door, {
			events,
			check: ({ state }) => void visited.push(state.value),
		});
		expect(visited).toHaveLength(paths.reduce((sum, { steps }) => sum + steps.length, 0));
		const coverage = new Coverage([door]);
		await coverage.addLog(log, 1);
		expect(coverage.of("door").states.filter(({ steps }) => steps === 0)).toEqual([]);
	});

	test("an actor that is not what its model says fails by path and step", async () => {
		// Its events are changed on their way: what a wrong upcast would do.
		const spoilt = defineActor({
			type: "door",
			version: 2,
			machine: doorMachine,
			upcast: (event) => event,
		});
		const { behaviour } = spoilt;
		const wrongWay = {
			...spoilt,
			behaviour: {
				...behaviour,
				command: (state: unknown, message: never) => {
					const isOpen = (message as { type: string }).type === "open";
					return isOpen ? { state, effects: [] } : behaviour.command(state, message);
				},
			},
		} as typeof spoilt;
		await expect(runPaths(wrongWay, { events })).rejects.toThrow(
			/path unlock → open.*, step 2: value is "closed", the model says "opened"/,
		);
	});

	test("more paths or states than the bounds are refused, not left out", () => {
		const counter = defineActor({
			type: "counter",
			version: 1,
			machine: setup({
				types: { context: {} as { n: number }, events: {} as { type: "more" } & { meta: EventMeta } },
			}).createMachine({
				context: { n: 0 },
				on: { more: { actions: assign({ n: ({ context }) => context.n + 1 }) } },
			}),
		});
		expect(() => modelPaths(counter, { events: [{ type: "more" }] })).toThrow("more than 2000 states");
		const stopWhen = ({ context }: { context: { n: number } }) => context.n === 5;
		expect(modelPaths(counter, { events: [{ type: "more" }], stopWhen })).toHaveLength(1);
	});
});
