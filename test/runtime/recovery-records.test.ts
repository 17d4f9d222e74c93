/** Rebuilds and restores as records of the mailbox: on live nodes, in every fold, over crashes, and what is refused. */
import { describe, expect, onTestFinished, test } from "vitest";
import { assign, enqueueActions, setup } from "xstate";
import type { LogRecord } from "../../persistence/log.ts";
import type { Actor } from "../../runtime/actor.ts";
import { ActorRef } from "../../runtime/actor-ref.ts";
import type { Behaviour } from "../../runtime/behaviour.ts";
import { dryRun, type Fork } from "../../runtime/fork.ts";
import { history } from "../../runtime/history.ts";
import { machineBehaviour } from "../../runtime/machine-behaviour.ts";
import { encodeBody, messageOf } from "../../runtime/message.ts";
import type { WritableParts } from "../../runtime/operator.ts";
import { promote } from "../../runtime/promote.ts";
import { type LiveRebuild, rebuildLive } from "../../runtime/rebuild-live.ts";
import { REBUILD, REBUILT, RESTORE, restoreDraft } from "../../runtime/recovery-records.ts";
import { replay } from "../../runtime/replay.ts";
import { ACTORS_TOPIC } from "../../runtime/topics.ts";
import { verify } from "../../runtime/verify.ts";
import { settled } from "../../testing/virtual-time.ts";
import { counterBehaviour } from "../kit/counter.ts";
import { MemoryStage, type RunningNode } from "../kit/memory-node.ts";

const REASON = { by: "ada", why: "the adding machine was wrong" };

/** Adds what `sum` says; tells a neighbour each time. */
function adder(sum: (total: number, by: number) => number, version = 1): Behaviour {
	const machine = setup({
		types: { context: {} as { total: number }, events: {} as { type: "add"; by: number; to?: string } },
		actions: { tell: (_, _params: { to: string; event: { type: string; by: number } }) => {} },
	}).createMachine({
		context: { total: 0 },
		on: {
			add: {
				actions: [
					assign({ total: ({ context, event }) => sum(context.total, event.by) }),
					enqueueActions(({ event, enqueue }) => {
						if (!event.to) return;
						enqueue({ type: "tell", params: { to: event.to, event: { type: "add", by: event.by } } });
					}),
				],
			},
		},
	});
	return machineBehaviour({ type: "adder", version, topic: ACTORS_TOPIC, machine });
}
const wrong = adder((total, by) => total + by * 10);
const right = adder((total, by) => total + by);

function partsOf({ node, log }: RunningNode, stage: MemoryStage): WritableParts & { snapshots: never } {
	const { behaviours } = node;
	const snapshots = stage.disk.open() as never;
	return { log, snapshots, behaviours, partitions: 1, append: (draft) => node.submit(draft) };
}

async function add(running: RunningNode, id: string, by: number, to?: string): Promise<void> {
	await running.node.tell(`adder/${id}`, { type: "add", by, ...(to ? { to } : undefined) });
	await settled();
}

async function total(running: RunningNode, address: string): Promise<unknown> {
	const { state } = (await running.node.actor(address)) as Actor;
	return (state as { context: { total: number } }).context.total;
}

async function rebuilt(stage: MemoryStage, running: RunningNode, ...ids: string[]): Promise<LiveRebuild[]> {
	const addresses = ids.map((id) => `adder/${id}`);
	const parts = partsOf(running, stage);
	return stage.during(listOf(rebuildLive(parts, addresses, REASON)));
}

async function listOf<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
	const list: Item[] = [];
	for await (const item of items) list.push(item);
	return list;
}

function recordsOf(stage: MemoryStage, type: string): LogRecord[] {
	return stage.storage.all(stage.actors).filter(({ headers }) => headers["~t"] === type);
}

/** A history that the wrong machine has folded and stored; its process is gone. */
async function wronged(...ids: string[]): Promise<MemoryStage> {
	const stage = new MemoryStage();
	const before = await stage.start({ behaviours: [wrong] });
	for (const by of [1, 2, 3]) for (const id of ids) await add(before, id, by, "adder/other");
	await stage.checkpoint(before);
	before.crash();
	return stage;
}

describe("rebuild on a live node", () => {
	test("takes the mended machine's fold in the place of what the wrong one left, sends nothing again, and goes on", async () => {
		const stage = await wronged("ann");
		const running = await stage.start({ behaviours: [right] });
		await add(running, "ann", 1);
		expect(await total(running, "adder/ann")).toBe(61);
		const other = recordsOf(stage, "add").length;
		const [answer] = await rebuilt(stage, running, "ann");
		expect(answer).toMatchObject({ address: "adder/ann", refused: undefined });
		expect(await total(running, "adder/ann")).toBe(7);
		expect(recordsOf(stage, "add")).toHaveLength(other);
		await add(running, "ann", 5);
		expect(await total(running, "adder/ann")).toBe(12);
		await stage.checkpoint(running);
		expect(await verify(partsOf(running, stage), "adder/ann")).toMatchObject({ ok: true, snapshot: "equal" });
	});

	test("messages that come between asking and exchanging are in the result, and neighbours are not held up by the fold", async () => {
		const stage = await wronged("ann");
		const running = await stage.start({ behaviours: [right] });
		// The fold cannot read: only its own reads are held, since the loop gets what is appended from memory.
		const gate = Promise.withResolvers<void>();
		const read = running.log.read.bind(running.log);
		running.log.read = async (id, from, limit) => {
			if (limit.maxRecords <= 1_000 && from === 0) await gate.promise;
			return read(id, from, limit);
		};
		await running.node.submit({
			to: "adder/ann",
			kind: "command",
			type: REBUILD,
			body: encodeBody({ type: "", ...REASON }),
		});
		await settled();
		await add(running, "ann", 1);
		await add(running, "ben", 4);
		expect(await total(running, "adder/ben")).toBe(4);
		expect(await total(running, "adder/ann")).toBe(61);
		expect(recordsOf(stage, REBUILT)).toHaveLength(0);
		gate.resolve();
		await stage.time.advance(100);
		expect(recordsOf(stage, REBUILT)).toHaveLength(1);
		expect(await total(running, "adder/ann")).toBe(7);
	});

	test("of fifty actors reads their partition once", async () => {
		const ids = Array.from({ length: 50 }, (_, i) => `a${i}`);
		const stage = await wronged(...ids);
		const running = await stage.start({ behaviours: [right] });
		let fromStart = 0;
		const read = running.log.read.bind(running.log);
		running.log.read = (id, from, limit) => {
			if (id.topic === "actors" && from === 0) fromStart++;
			return read(id, from, limit);
		};
		const answers = await rebuilt(stage, running, ...ids);
		expect(answers.map(({ address }) => address).sort()).toEqual(ids.map((id) => `adder/${id}`).sort());
		for (const id of ids) expect(await total(running, `adder/${id}`)).toBe(6);
		// The first request may have begun a pass before the others came.
		expect(fromStart).toBeLessThanOrEqual(3);
	});

	test("that a crash interrupts after the request, or after the exchange, is done by the next start", async () => {
		for (const crashAt of ["request", "exchange"] as const) {
			const stage = await wronged("ann");
			const running = await stage.start({ behaviours: [right] });
			const request = {
				to: "adder/ann",
				kind: "command",
				type: REBUILD,
				body: encodeBody({ type: "", ...REASON }),
			} as const;
			if (crashAt === "request") {
				// Its owner has no time to fold.
				running.log.read = () => new Promise(() => {});
			}
			await running.node.submit(request);
			await settled();
			if (crashAt === "exchange") await stage.time.advance(100);
			expect(recordsOf(stage, REBUILT)).toHaveLength(crashAt === "exchange" ? 1 : 0);
			running.crash();
			const next = await stage.start({ behaviours: [right] });
			await stage.time.advance(5_000);
			expect(await total(next, "adder/ann")).toBe(6);
			await stage.checkpoint(next);
			expect(await verify(partsOf(next, stage), "adder/ann")).toMatchObject({ ok: true, snapshot: "equal" });
		}
	});

	test("no checkpoint is written between the request and what answers it", async () => {
		const stage = await wronged("ann");
		const running = await stage.start({ behaviours: [right] });
		const gate = Promise.withResolvers<void>();
		const read = running.log.read.bind(running.log);
		running.log.read = async (...args) => {
			await gate.promise;
			return read(...args);
		};
		const before = stage.disk.open().checkpoint(stage.actors)?.next;
		await running.node.submit({
			to: "adder/ann",
			kind: "command",
			type: REBUILD,
			body: encodeBody({ type: "", ...REASON }),
		});
		await stage.time.advance(10_000);
		expect(stage.disk.open().checkpoint(stage.actors)?.next).toBe(before);
		gate.resolve();
		await stage.time.advance(10_000);
		expect(stage.disk.open().checkpoint(stage.actors)?.next).toBeGreaterThan(before as number);
		expect(await total(running, "adder/ann")).toBe(6);
	});

	test("is refused where the beginning of the history is gone, and the actor stays what it is", async () => {
		const stage = await wronged("ann");
		const running = await stage.start({ behaviours: [right] });
		stage.storage.trim(stage.actors, 2);
		const [answer] = await rebuilt(stage, running, "ann");
		expect(answer?.refused).toMatch(/actors\/0 starts at offset 2/);
		expect(await total(running, "adder/ann")).toBe(60);
	});
});

describe("restore", () => {
	async function restored(
		stage: MemoryStage,
		running: RunningNode,
		fork: Fork,
		options: { acceptNewer?: boolean; base?: number } = {},
	) {
		const parts = partsOf(running, stage);
		const base = options.base ?? (await dryRun(parts, "adder/ann", fork)).base;
		return stage.during(promote(parts, "adder/ann", fork, { ...REASON, ...options, base }));
	}

	async function started(): Promise<{ stage: MemoryStage; running: RunningNode }> {
		const stage = new MemoryStage();
		const running = await stage.start({ behaviours: [right, counterBehaviour] });
		for (const by of [1, 100, 2]) await add(running, "ann", by, "adder/other");
		return { stage, running };
	}

	test("the dry run tells the difference of states path by path, and of effects both ways", async () => {
		const { stage, running } = await started();
		const offsets = recordsOf(stage, "add")
			.filter(({ key }) => key === "adder/ann")
			.map(({ offset }) => offset);
		const [, bad, last] = offsets as [number, number, number];
		const fork: Fork = {
			edits: [{ replace: bad, event: { type: "add", by: 10, to: "adder/new" } }, { drop: last }],
		};
		const end = stage.storage.all(stage.actors).length;
		const run = await dryRun(partsOf(running, stage), "adder/ann", fork);
		expect(run).toMatchObject({ base: last, records: 3, kept: 2 });
		expect(run.differences).toEqual([{ path: "state.context.total", left: 103, right: 11 }]);
		expect(run.onlyBefore.told.map(({ offset, effect }) => [offset, (effect as { to: string }).to])).toEqual([
			[bad, "adder/other"],
			[last, "adder/other"],
		]);
		expect(run.onlyAfter.told.map(({ offset, effect }) => [offset, (effect as { to: string }).to])).toEqual([
			[bad, "adder/new"],
		]);
		expect(stage.storage.all(stage.actors)).toHaveLength(end);
		expect(await total(running, "adder/ann")).toBe(103);
	});

	test("from its record on the state is the fork's: live, after a crash, in a replay, for verify; nothing is sent", async () => {
		const { stage, running } = await started();
		const tells = recordsOf(stage, "add").length;
		const { offset, run } = await restored(stage, running, {
			to: 0,
			edits: [{ insert: 0, event: { type: "add", by: 40 } }],
		});
		expect(run.after.value).toMatchObject({ context: { total: 41 } });
		expect(await total(running, "adder/ann")).toBe(41);
		expect(recordsOf(stage, "add")).toHaveLength(tells);
		await add(running, "ann", 1);
		await stage.checkpoint(running);
		const parts = partsOf(running, stage);
		expect(await verify(parts, "adder/ann")).toMatchObject({ ok: true, snapshot: "equal" });
		expect((await replay(parts, "adder/ann", { to: offset - 1 })).value).toMatchObject({
			context: { total: 103 },
		});
		expect((await replay(parts, "adder/ann", { to: offset })).value).toMatchObject({
			context: { total: 41 },
		});
		running.crash();
		stage.disk.open().forget(stage.actors, 0);
		const next = await stage.start({ behaviours: [right, counterBehaviour] });
		await stage.time.advance(1_000);
		expect(await total(next, "adder/ann")).toBe(42);
		const found = await listOf(history(partsOf(next, stage), "adder/ann", { from: offset, to: offset }));
		expect(found[0]).toMatchObject({ type: RESTORE, outcome: "folded", event: { ...REASON } });
	});

	test("an actor that moved since it was looked at is left alone, before and after the record; --accept-newer keeps what came", async () => {
		const { stage, running } = await started();
		const parts = partsOf(running, stage);
		const fork: Fork = { edits: [{ drop: 0 }] };
		const { base } = await dryRun(parts, "adder/ann", fork);
		await add(running, "ann", 7);
		await expect(restored(stage, running, fork, { base })).rejects.toMatchObject({
			code: "recovery.actor-moved",
		});
		expect(recordsOf(stage, RESTORE)).toHaveLength(0);
		// Between the look and the record.
		const late = {
			...parts,
			append: async (draft: Parameters<typeof parts.append>[0]) => {
				await add(running, "ann", 1_000);
				return parts.append(draft);
			},
		};
		const run = await dryRun(parts, "adder/ann", fork);
		const promoted = promote(late, "adder/ann", fork, { ...REASON, base: run.base });
		await expect(stage.during(promoted)).rejects.toMatchObject({ code: "recovery.actor-moved" });
		expect(recordsOf(stage, RESTORE)).toHaveLength(1);
		expect(await total(running, "adder/ann")).toBe(1_110);
		await restored(stage, running, fork, { base, acceptNewer: true });
		expect(await total(running, "adder/ann")).toBe(1_109);
		await stage.checkpoint(running);
		expect(await verify(parts, "adder/ann")).toMatchObject({ ok: true, snapshot: "equal" });
	});

	test("timers come back with the state: those of the fork ring, those of before do not", async () => {
		const { stage, running } = await started();
		const arm = await running.node.tell("counter/c", { type: "arm", delayMs: 5_000 });
		await settled();
		const disarm = await running.node.tell("counter/c", { type: "disarm" });
		await settled();
		const parts = partsOf(running, stage);
		const fork: Fork = { edits: [{ drop: disarm }] };
		const run = await dryRun(parts, "counter/c", fork);
		expect(run.after.timers).toHaveLength(1);
		expect(run.differences.map(({ path }) => path)).toContain("state.value");
		await stage.during(promote(parts, "counter/c", fork, { ...REASON, base: run.base }));
		await stage.time.advance(6_000);
		expect((await replay(parts, "counter/c")).value).toMatchObject({ context: { bells: 1 }, value: "idle" });
		expect(arm).toBeLessThan(disarm);
	});

	test("a restored state of a version that nothing migrates is parked, and the actor stays as it was", async () => {
		const { stage, running } = await started();
		const state = JSON.stringify({ value: {}, context: { total: 5 } });
		await running.node.submit(
			restoreDraft("adder/ann", { ...REASON, version: 7, state, timers: [], edits: [] }),
		);
		await stage.time.advance(100);
		expect(await total(running, "adder/ann")).toBe(103);
		const [letter] = stage.storage.all({ topic: "dead-letters", partition: 0 });
		expect(Buffer.from(letter?.value ?? []).toString()).toMatch(/version 7 is not one of version 1/);
	});

	test("wrong edits are refused with what is wrong, and change nothing", async () => {
		const { stage, running } = await started();
		const parts = partsOf(running, stage);
		const foreign = recordsOf(stage, "add").find(({ key }) => key === "adder/other")?.offset as number;
		const end = stage.storage.all(stage.actors).length;
		for (const [fork, words] of [
			[{ edits: [{ drop: foreign }] }, /no message of adder\/ann/],
			[{ to: 99, edits: [] }, /offset 99 is no message of adder\/ann: its last one is at/],
			[{ to: 0, edits: [{ drop: 1 }] }, /behind the last one kept, 0/],
			[{ edits: [{ drop: 0 }, { drop: 0 }] }, /two edits/],
			[{ edits: [{ insert: 0, event: { type: RESTORE } }] }, /mycelog\.restore is no event for actors/],
		] as [Fork, RegExp][]) {
			const promoted = promote(parts, "adder/ann", fork, { ...REASON, base: 0, acceptNewer: true });
			await expect(promoted).rejects.toMatchObject({
				code: "recovery.invalid-edit",
				message: expect.stringMatching(words),
			});
		}
		const unsaid = promote(parts, "adder/ann", { edits: [] }, { by: "ada", why: " ", base: 0 });
		await expect(unsaid).rejects.toMatchObject({ code: "config.invalid-value" });
		await expect(dryRun(parts, "adder/nobody", { edits: [] })).rejects.toMatchObject({
			code: "actor.not-found",
		});
		stage.storage.trim(stage.actors, 1);
		await expect(dryRun(parts, "adder/ann", { edits: [] })).rejects.toMatchObject({
			code: "log.offset-trimmed",
		});
		expect(recordsOf(stage, RESTORE)).toHaveLength(0);
		expect(stage.storage.all(stage.actors).length).toBe(end - 1);
	});
});

test.each([REBUILD, REBUILT, RESTORE])(
	"an actor that sends %s to another is not heard: it is parked",
	async (type) => {
		const stage = new MemoryStage();
		const running = await stage.start({ behaviours: [right] });
		onTestFinished(() => running.crash());
		await add(running, "ann", 1);
		const fields = {
			...REASON,
			request: 0,
			version: 1,
			state: JSON.stringify({ value: {}, context: { total: 9 } }),
			timers: [],
			edits: [],
		};
		const body = encodeBody({ type, ...fields });
		const offset = await running.node.submit({
			to: "adder/ann",
			from: "adder/eve",
			kind: "command",
			type,
			body,
		});
		await stage.time.advance(100);
		expect(await total(running, "adder/ann")).toBe(1);
		const letters = stage.storage.all({ topic: "dead-letters", partition: 0 });
		expect(letters.map(({ value }) => JSON.parse(Buffer.from(value).toString()).offset)).toEqual([offset]);
		const record = stage.storage.all(stage.actors).find((one) => one.offset === offset) as LogRecord;
		expect(messageOf(record)).toMatchObject({ type, from: "adder/eve" });
	},
);

test.each([REBUILD, REBUILT, RESTORE, "mycelog.imported"])(
	"%s cannot be told to an actor: not by a node, not by a reference",
	async (type) => {
		const stage = new MemoryStage();
		const running = await stage.start({ behaviours: [right] });
		const ref = new ActorRef("adder/ann", running.node, partsOf(running, stage));
		const end = stage.storage.all(stage.actors).length;
		for (const told of [
			running.node.tell("adder/ann", { type }),
			ref.tell({ type } as never),
			ref.ask({ type } as never),
		]) {
			await expect(told).rejects.toThrow(`${type} is no event for actors`);
		}
		expect(stage.storage.all(stage.actors)).toHaveLength(end);
	},
);
