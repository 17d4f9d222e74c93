/** What a node makes of damage, loss and half-done work: exact courses of events, found by the simulation or by thought. */

import { expect, test } from "vitest";
import { setup } from "xstate";
import { MycelogError } from "../../persistence/errors.ts";
import type { Behaviour } from "../../runtime/behaviour.ts";
import type { Effect } from "../../runtime/effect.ts";
import { machineBehaviour } from "../../runtime/machine-behaviour.ts";
import { type Event, encodeBody, recordOf } from "../../runtime/message.ts";
import { CHECKPOINT_AFTER_MS, OUTPUTS_PENDING_MAX } from "../../runtime/partition.ts";
import { DEAD_LETTERS_TOPIC } from "../../runtime/topics.ts";
import { verify } from "../../runtime/verify.ts";
import { settled } from "../../testing/virtual-time.ts";
import { counterBehaviour } from "../kit/counter.ts";
import { MemoryStage, type RunningNode } from "../kit/memory-node.ts";

const A = "counter/a";
const B = "counter/b";
const command = { kind: "command", timeoutMs: 5_000 } as const;
const query = { kind: "query", timeoutMs: 5_000 } as const;

function add(running: RunningNode, by = 1, to = A): Promise<unknown> {
	return running.node.ask(to, { type: "add", by }, command);
}

function total(running: RunningNode, of = A): Promise<unknown> {
	return running.node.ask(of, { type: "total" }, query);
}

function letters(stage: MemoryStage): Record<string, unknown>[] {
	const records = stage.storage.all({ topic: DEAD_LETTERS_TOPIC, partition: 0 });
	return records.map(({ value }) => JSON.parse(Buffer.from(value).toString()));
}

function messages(running: RunningNode, level: string): string[] {
	return running.logger.lines.filter((line) => line.level === level).map(({ message }) => message);
}

/** A frame's way to the log that a test opens by hand. */
function gate() {
	const { promise, resolve } = Promise.withResolvers<void>();
	return { opened: promise, open: resolve };
}

/** Tells whatever it is told to whomever it is told. */
function teller(): Behaviour {
	const machine = setup({
		types: { events: {} as { type: "go"; to: string; event: Event } },
		actions: { tell: (_, _params: { to: string; event: Event }) => {} },
	}).createMachine({
		on: {
			go: {
				actions: { type: "tell", params: ({ event }) => ({ to: event.to, event: event.event }) },
			},
		},
	});
	return machineBehaviour({ type: "teller", version: 1, topic: "actors", machine });
}

test("a lost checkpoint does not make records count twice that are in snapshots already", async () => {
	const stage = new MemoryStage();
	const first = await stage.start();
	for (const by of [1, 2, 3]) await add(first, by);
	await first.node.tell(B, { type: "relay", to: A, by: 4 });
	await stage.checkpoint(first);
	first.crash();
	stage.disk.damageCheckpoint(stage.actors);
	const second = await stage.start();
	expect(await total(second)).toBe(10);
	expect(second.node.metrics.outputs).toBe(0);
	await stage.checkpoint(second);
	const { log, node } = second;
	const parts = { log, snapshots: stage.disk.open(), behaviours: node.behaviours, partitions: 1 };
	expect(await verify(parts, A)).toMatchObject({ ok: true, snapshot: "equal" });
});

test("snapshots ahead of a log that lost its newest records are dropped, and the log is folded", async () => {
	const stage = new MemoryStage();
	const first = await stage.start();
	for (const by of [1, 2, 4]) await add(first, by);
	await add(first, 1, B);
	await stage.checkpoint(first);
	first.crash();
	stage.storage.cut(stage.actors, 2);
	const second = await stage.start();
	expect(await total(second)).toBe(3);
	expect(await total(second, B)).toBe(0);
	expect(messages(second, "error")).toContain(
		"the checkpoint is ahead of the log: folding from the log's start",
	);
});

test("a checkpoint from before the log's start, if that is accepted, keeps its states and still drops repeats, and the hole is reported", async () => {
	const stage = new MemoryStage();
	const first = await stage.start();
	const body = encodeBody({ type: "add", by: 5 });
	const record = recordOf(
		{ to: A, kind: "command", type: "add", body },
		{ source: "n9~1", major: 1, minor: 0 },
		1,
	);
	stage.storage.store(stage.actors, [record]);
	expect(await total(first)).toBe(5);
	await stage.checkpoint(first);
	await add(first);
	await add(first);
	first.crash();
	stage.storage.trim(stage.actors, 4);
	stage.storage.store(stage.actors, [record]);
	const second = await stage.start({ acceptLostRecords: true });
	expect(await total(second)).toBe(5);
	expect(second.node.metrics.duplicates).toBe(1);
	const line = second.logger.lines.find(({ level }) => level === "error");
	expect(line?.fields).toMatchObject({ checkpoint: 2, start: 4, lost: 2 });
});

test("no checkpoint covers an output that the log never took, not even when the node stops", async () => {
	const stage = new MemoryStage();
	let taken = 0;
	const first = await stage.start({
		prepare: (log) => {
			log.fault = () => (++taken > 1 ? new Promise(() => {}) : undefined);
		},
	});
	await first.node.tell(B, { type: "relay", to: A, by: 7 });
	const stopped = first.node.stop(1_000);
	await stage.time.advance(2_000);
	await stopped;
	expect(stage.disk.open().checkpoint(stage.actors)).toBeUndefined();
	expect(messages(first, "debug")).toContain("checkpoint not written; the next one covers it");
	const second = await stage.start();
	expect(await total(second)).toBe(7);
});

test("an output over the log's limit is parked with its cause; its actor and the partition go on", async () => {
	const stage = new MemoryStage();
	const running = await stage.start({ behaviours: [counterBehaviour, teller()] });
	const sent = { type: "go", to: A, event: { type: "add", by: 1 } };
	await running.node.tell("teller/t", sent);
	// Only the log finds this one too large.
	running.log.fault = (records) => {
		if (records.some(({ key }) => key === A))
			throw new MycelogError("log.record-too-large", "over the limit");
	};
	await running.node.tell("teller/t", sent);
	await settled();
	expect(letters(stage)).toMatchObject([
		{ id: "actors/0@2.0", address: "teller/t", output: 0, cause: "MycelogError: over the limit" },
	]);
	await stage.checkpoint(running);
	expect(stage.disk.open().checkpoint(stage.actors)?.next).toBe(3);
});

test.each([
	["that has no mailbox", "nobody/x", { type: "add" }, "no actor type"],
	["that no record can carry", A, { type: "add", by: 2n ** 70n }, "Unrecognized object"],
])(
	"an output %s is parked, once for all re-folds by its id, and the mailbox goes on",
	async (_, to, event, cause) => {
		const silly: Behaviour = {
			...counterBehaviour,
			type: "silly",
			command: (state) => ({ state, effects: [{ type: "tell", to, event }] }),
		};
		const stage = new MemoryStage();
		const first = await stage.start({ behaviours: [counterBehaviour, silly] });
		await first.node.tell("silly/s", { type: "go" });
		expect(await total(first)).toBe(0);
		first.crash();
		const second = await stage.start({ behaviours: [counterBehaviour, silly] });
		expect(await total(second)).toBe(0);
		expect(letters(stage)).toMatchObject([
			{ id: "actors/0@0.0", cause: expect.stringContaining(cause) },
			{ id: "actors/0@0.0" },
		]);
	},
);

test("a connection that does not take its message does not stop the mailbox", async () => {
	const outlet = { node: "n1~1", connection: "c" };
	const proxy: Behaviour = {
		...counterBehaviour,
		type: "proxy",
		pass: (_, message) => [{ type: "deliver", outlet, message }],
	};
	const stage = new MemoryStage();
	const running = await stage.start({
		behaviours: [counterBehaviour, proxy],
		outlets: {
			deliver: () => {
				throw new Error("broken socket");
			},
		},
	});
	await running.node.submit({ to: "proxy/p", kind: "frame", type: "f", body: new Uint8Array() });
	expect(await total(running)).toBe(0);
	expect(messages(running, "error")).toEqual(["the connection did not take what is for it"]);
});

test("a damaged snapshot wanted by messages and by a timer at once is rebuilt once, and loses nothing", async () => {
	const stage = new MemoryStage();
	const first = await stage.start();
	await add(first);
	await first.node.tell(A, { type: "arm", delayMs: 1_000 });
	await stage.checkpoint(first);
	first.crash();
	stage.disk.damageRow(A);
	const reads: (() => void)[] = [];
	const second = await stage.start({
		prepare: (log) => {
			log.readFault = () => new Promise((resolve) => reads.push(resolve));
		},
	});
	const added = add(second, 10);
	await settled();
	// The loop waits for its rebuild; the deadline that passes now wants the actor too.
	await stage.time.advance(1_500);
	expect(reads).toHaveLength(1);
	const more = add(second, 100);
	await settled();
	while (reads.length > 0) {
		reads.shift()?.();
		await settled();
	}
	expect(await Promise.all([added, more])).toEqual([11, 111]);
	await stage.time.advance(100);
	expect((await second.partition.actor(A)).state).toMatchObject({ context: { total: 111, bells: 1 } });
	expect(second.node.metrics.snapshotsRebuilt).toBe(1);
});

test("a rebuild goes on once the log can be read again, and the partition has not stopped", async () => {
	const stage = new MemoryStage();
	const first = await stage.start();
	await add(first, 3);
	await stage.checkpoint(first);
	first.crash();
	stage.disk.damageRow(A);
	let failures = 3;
	const second = await stage.start({
		prepare: (log) => {
			log.readFault = () => {
				if (failures-- > 0) throw new MycelogError("log.unreachable", "the broker is away");
			};
		},
	});
	const answer = add(second, 1);
	await stage.time.advance(4_000);
	expect(await answer).toBe(4);
	expect(second.log.ownerErrors).toEqual([]);
});

test("a snapshot that its behaviour cannot read is rebuilt, and the message that wanted it is not parked", async () => {
	const stage = new MemoryStage();
	const first = await stage.start();
	await add(first, 3);
	await stage.checkpoint(first);
	first.crash();
	const strict: Behaviour = {
		...counterBehaviour,
		decode: () => {
			throw new SyntaxError("an older form");
		},
	};
	const second = await stage.start({ behaviours: [strict] });
	expect(await add(second, 1)).toBe(4);
	expect(letters(stage)).toEqual([]);
});

test("an actor rebuilt from a log that was trimmed is reported as such", async () => {
	const stage = new MemoryStage();
	const first = await stage.start();
	await add(first, 1);
	await add(first, 2);
	await stage.checkpoint(first);
	first.crash();
	stage.storage.trim(stage.actors, 1);
	stage.disk.damageRow(A);
	const second = await stage.start();
	expect(await total(second)).toBe(2);
	const lost = second.logger.lines.find(({ message }) =>
		message.startsWith("rebuilt from what the log still keeps"),
	);
	expect(lost?.fields).toEqual({ address: A, partition: "actors/0", start: 1 });
});

test("a checkpoint that could not be stored is tried again, without any new record", async () => {
	const stage = new MemoryStage();
	const running = await stage.start();
	let failures = 2;
	stage.disk.fault = () => {
		if (failures-- > 0) throw new Error("disk full");
	};
	await add(running, 6);
	await stage.time.advance(2 * CHECKPOINT_AFTER_MS);
	expect(stage.disk.open().checkpoint(stage.actors)).toBeUndefined();
	await stage.time.advance(CHECKPOINT_AFTER_MS);
	expect(stage.disk.open().checkpoint(stage.actors)?.next).toBe(1);
	expect(stage.disk.open().load(A)?.state).toContain('"total":6');
});

test("what changes while a checkpoint waits for its outputs is in the next one, not half in this one", async () => {
	const stage = new MemoryStage();
	const held = gate();
	const running = await stage.start({ behaviours: [counterBehaviour, teller()] });
	running.log.network = async (store, records) => {
		if (records.some(({ headers }) => headers["~f"])) await held.opened;
		return store();
	};
	await add(running, 1);
	await running.node.tell("teller/t", { type: "go", to: B, event: { type: "add", by: 1 } });
	const checkpoint = running.partition.checkpoint();
	// Its own process may append beside the output that is held: straight into the log.
	const draft = { to: A, kind: "command", type: "add", body: encodeBody({ type: "add", by: 10 }) } as const;
	stage.storage.store(stage.actors, [recordOf(draft, { source: "n9~1", major: 1, minor: 0 }, 1)]);
	await settled();
	held.open();
	await settled();
	await checkpoint;
	const { disk } = stage;
	expect([disk.open().checkpoint(stage.actors)?.next, disk.open().load(A)?.offset]).toEqual([2, 0]);
	await stage.checkpoint(running);
	expect([disk.open().checkpoint(stage.actors)?.next, disk.open().load(A)?.offset]).toEqual([4, 2]);
});

test("a record that fails is parked under the same id each time the log is folded again", async () => {
	const stage = new MemoryStage();
	for (let start = 0; start < 2; start++) {
		const running = await stage.start();
		if (start === 0) await running.node.tell(A, { type: "fail" });
		await settled();
		running.crash();
	}
	expect(letters(stage).map(({ id, attempts }) => [id, attempts])).toEqual([
		["actors/0@0", 2],
		["actors/0@0", 2],
	]);
});

test("a timer whose message fails is parked once, and not due again after a restart", async () => {
	const fragile: Behaviour = {
		...counterBehaviour,
		command: (state, message) => {
			if (message.kind === "timer") throw new Error("cannot ring");
			return counterBehaviour.command(state, message);
		},
	};
	const stage = new MemoryStage();
	const first = await stage.start({ behaviours: [fragile] });
	await first.node.tell(A, { type: "arm", delayMs: 1_000 });
	await stage.time.advance(2_000);
	expect(letters(stage)).toMatchObject([{ id: "actors/0@1", cause: "Error: cannot ring" }]);
	await stage.checkpoint(first);
	first.crash();
	const second = await stage.start({ behaviours: [fragile] });
	await stage.time.advance(10_000);
	expect(letters(stage)).toHaveLength(1);
	const { log, node } = second;
	const parts = { log, snapshots: stage.disk.open(), behaviours: node.behaviours, partitions: 1 };
	expect(await verify(parts, A)).toMatchObject({ ok: true, snapshot: "equal", state: "armed" });
});

test("a message for an actor of another type in the same partition is parked with the known types, once", async () => {
	const stage = new MemoryStage();
	const running = await stage.start();
	const draft = { to: "stranger/x", kind: "command", type: "add", body: new Uint8Array() } as const;
	const record = recordOf(draft, { source: "n9~1", major: 1, minor: 0 }, 1);
	stage.storage.store(stage.actors, [record, record]);
	await settled();
	expect(letters(stage)).toMatchObject([
		{ id: "actors/0@0", cause: expect.stringContaining("known: counter") },
	]);
	expect(running.partition.next).toBe(2);
});

test("an idle actor leaves memory after its snapshot and comes back with its state and its timer", async () => {
	const stage = new MemoryStage();
	const running = await stage.start();
	await add(running, 2);
	await running.node.tell(A, { type: "arm", delayMs: 90_000 });
	await stage.time.advance(60_000);
	await add(running, 1, B);
	await stage.time.advance(5_000);
	expect(running.partition.actorsInMemory).toBe(1);
	expect(running.node.metrics.passivations).toBe(1);
	await stage.time.advance(60_000);
	expect((await running.partition.actor(A)).state).toMatchObject({ context: { total: 2, bells: 1 } });
});

test("a timer whose record came twice around a crash rings once", async () => {
	const stage = new MemoryStage();
	const first = await stage.start();
	await first.node.tell(A, { type: "arm", delayMs: 1_000 });
	await stage.checkpoint(first);
	// Appended, but the process dies before it hears of it; what it sent arrives after its successor has looked.
	const late: (() => number)[] = [];
	first.log.network = (store) => {
		late.push(store);
		return new Promise(() => {});
	};
	await stage.time.advance(1_000);
	first.crash();
	const second = await stage.start();
	await stage.time.advance(100);
	expect(late).toHaveLength(1);
	late[0]?.();
	await settled();
	expect((await second.partition.actor(A)).state).toMatchObject({ value: "idle", context: { bells: 1 } });
	expect(second.node.metrics).toMatchObject({ timer: 2, drops: { "stale-timer": 1 } });
});

/** Remembers whose loss it was told of; one that does not let go keeps its claim. */
function claimer(letsGo: boolean): Behaviour<{ claim?: string; lost: string[] }> {
	return {
		type: "claimer",
		version: 1,
		topic: "actors",
		initial: () => ({ state: { lost: [] }, effects: [] }),
		command: ({ lost, claim }, { type, facts }) => {
			if (type !== "lost") return { state: { lost, claim: facts?.["claim"] ?? "" }, effects: [] };
			const told = [...lost, claim ?? "nobody"];
			return { state: letsGo || !claim ? { lost: told } : { lost: told, claim }, effects: [] };
		},
		claim: ({ claim }) => claim,
		claimLostType: "lost",
		describe: () => "",
		encode: (state) => JSON.stringify(state),
		decode: (text) => JSON.parse(text),
	};
}

test("actors hear that the process they claimed is gone, once, also if the node crashes again meanwhile", async () => {
	const claiming = claimer(true);
	const stage = new MemoryStage();
	const first = await stage.start({ behaviours: [claiming] });
	const facts = { claim: first.node.name.text };
	for (const id of ["a", "b"]) {
		await first.node.submit({
			to: `claimer/${id}`,
			kind: "command",
			type: "claim",
			body: new Uint8Array(),
			facts,
		});
		// One of them is known by its snapshot, the other by the log's tail.
		if (id === "a") await stage.checkpoint(first);
	}
	first.crash();
	for (let start = 0; start < 3; start++) {
		const running = await stage.start({ behaviours: [claiming] });
		for (const id of ["a", "b"]) {
			expect((await running.partition.actor(`claimer/${id}`)).state).toEqual({ lost: ["n1~1"] });
		}
		running.crash();
	}
	expect(stage.storage.all(stage.actors)).toHaveLength(4);
});

test("a partition whose outputs wait for the log reads no further, in the middle of a batch too, and goes on after it", async () => {
	const each = 3_000;
	const outputs: Effect[] = Array.from({ length: each }, () => ({
		type: "tell",
		to: "crowd/sink",
		event: { type: "one" },
	}));
	const crowd: Behaviour<number> = {
		type: "crowd",
		version: 1,
		topic: "actors",
		initial: () => ({ state: 0, effects: [] }),
		command: (state, { type }) => ({ state: state + 1, effects: type === "go" ? outputs : [] }),
		describe: String,
		encode: String,
		decode: Number,
	};
	const stage = new MemoryStage();
	const held = gate();
	const running = await stage.start({ behaviours: [crowd] });
	running.log.fault = () => held.opened;
	const records = Array.from({ length: 10 }, (_, i) => {
		const draft = { to: "crowd/c", kind: "command", type: "go", body: new Uint8Array() } as const;
		return recordOf(draft, { source: "n9~1", major: i, minor: 0 }, 1);
	});
	stage.storage.store(stage.actors, records);
	await settled();
	expect(running.partition.next).toBe(Math.floor(OUTPUTS_PENDING_MAX / each) + 1);
	expect(running.node.metrics.outputStalls).toBe(1);
	held.open();
	await stage.time.advance(100);
	expect((await running.partition.actor("crowd/sink")).state).toBe(10 * each);
});

test.each([
	["each time it comes", true, 2],
	["once to an actor that does not let go of it", false, 1],
])(
	"a claim of a gone process that arrives after its successor looked is lost at once, told %s",
	async (_, letsGo, times) => {
		const stage = new MemoryStage();
		const behaviours = [claimer(letsGo)];
		const first = await stage.start({ behaviours });
		const gone = first.node.name.text;
		first.crash();
		const second = await stage.start({ behaviours });
		for (const major of [1, 2]) {
			const draft = { to: "claimer/c", kind: "command", type: "claim", body: new Uint8Array() } as const;
			const late = recordOf({ ...draft, facts: { claim: gone } }, { source: gone, major, minor: 0 }, 1);
			stage.storage.store(stage.actors, [late]);
			await settled();
		}
		const { lost } = (await second.partition.actor("claimer/c")).state as { lost: string[] };
		expect(lost).toEqual(Array(times).fill(gone));
	},
);
