/** What operators ask of a log and its snapshots, over the real embedded log: live, stopped and damaged. */
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { PartitionId } from "../../persistence/log.ts";
import { SqliteLog } from "../../persistence/log-sqlite.ts";
import { SqliteSnapshots } from "../../persistence/snapshots-sqlite.ts";
import { actors, type ListedActor } from "../../runtime/actor-list.ts";
import type { Behaviour } from "../../runtime/behaviour.ts";
import { type HistoryEntry, type HistoryOptions, history } from "../../runtime/history.ts";
import { encodeBody, recordOf } from "../../runtime/message.ts";
import type { Node } from "../../runtime/node.ts";
import { mailboxOf } from "../../runtime/operator.ts";
import { replay } from "../../runtime/replay.ts";
import { rebuild, verify, type WithSnapshots } from "../../runtime/verify.ts";
import { counterBehaviour } from "../kit/counter.ts";
import { startNode, temporaryDirectory } from "../kit/runtime-node.ts";

const PARTITIONS = 4;
const A = "counter/a";
/** Far enough that no timer fires in a test, milliseconds. */
const LATER_MS = 3_600_000;

let directory: ReturnType<typeof temporaryDirectory>;
let closing: (() => unknown)[];

beforeEach(() => {
	directory = temporaryDirectory();
	closing = [];
});
afterEach(async () => {
	for (const close of closing.reverse()) await close();
	directory.remove();
});

/** A node whose actors have seen what `script` sent, then stopped unless it is to stay. */
async function ran(script: (node: Node) => Promise<unknown>, stays = false): Promise<Node> {
	const { node } = await startNode(directory.path, [counterBehaviour], { partitions: PARTITIONS });
	await script(node);
	if (stays) closing.push(() => node.stop(5_000));
	else await node.stop(5_000);
	return node;
}

function add(node: Node, address: string, by: number): Promise<unknown> {
	return node.ask(address, { type: "add", by }, { kind: "command", timeoutMs: 5_000 });
}

async function opened({
	write = false,
	behaviour = counterBehaviour,
}: {
	write?: boolean;
	behaviour?: Behaviour;
} = {}): Promise<WithSnapshots> {
	const log = new SqliteLog({ directory: directory.path, readOnly: !write });
	await log.open([]);
	closing.push(() => log.close(5_000));
	const snapshots = new SqliteSnapshots({ directory: directory.path, readOnly: !write });
	closing.push(() => snapshots.close());
	return { log, snapshots, behaviours: new Map([[behaviour.type, behaviour]]), partitions: PARTITIONS };
}

function sql(file: string, statement: string, ...values: unknown[]): number {
	const database = new Database(join(directory.path, file));
	try {
		return database.prepare(statement).run(...values).changes;
	} finally {
		database.close();
	}
}

async function collected<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
	const all: Item[] = [];
	for await (const item of items) all.push(item);
	return all;
}

async function historyOf(options: HistoryOptions = {}): Promise<HistoryEntry[]> {
	return collected(history(await opened(), A, options));
}

function mailbox(address: string): PartitionId {
	const behaviours = new Map([["counter", counterBehaviour]]);
	return mailboxOf({ log: undefined as never, behaviours, partitions: PARTITIONS }, address).partition;
}

describe("history", () => {
	test("shows each message with its event, its sender, what it did and the state after it", async () => {
		await ran(async (node) => {
			await add(node, A, 2);
			await node.tell("counter/b", { type: "relay", to: A, by: 3 });
			await expect.poll(() => node.metrics.outputs).toBe(1);
			await node.tell(A, { type: "arm", delayMs: LATER_MS });
			await add(node, A, 4);
		});
		const entries = await historyOf();
		expect(entries.map(({ type, from, state }) => [type, from, state])).toEqual([
			["add", undefined, "idle"],
			["add", "counter/b", "idle"],
			["arm", undefined, "armed"],
			["add", undefined, "armed"],
		]);
		expect(entries.map(({ outcome }) => outcome)).toEqual(["folded", "folded", "folded", "folded"]);
		expect(entries[0]?.event).toEqual({ type: "add", by: 2 });
		expect(entries[0]?.effects).toMatchObject([{ type: "reply", result: { ok: true, value: 2 } }]);
		expect(entries[1]?.value).toMatchObject({ context: { total: 5, log: [2, 3] } });
	});

	test("shows repeats and failures, which leave the actor as it was", async () => {
		await ran(async (node) => {
			await node.tell(A, { type: "fail" });
			const draft = {
				to: A,
				kind: "command",
				type: "add",
				body: encodeBody({ type: "add", by: 1 }),
			} as const;
			const record = recordOf(draft, { source: "elsewhere/0", major: 7, minor: 0 }, Date.now());
			await node.log.append(mailbox(A), [record, record]);
			await add(node, A, 1);
		});
		const entries = await historyOf();
		expect(entries.map(({ outcome }) => outcome)).toEqual(["failed", "folded", "repeat", "folded"]);
		expect(entries[0]?.error).toContain("cannot fail gracefully");
		expect(entries.at(-1)?.value).toMatchObject({ context: { total: 2 } });
	});

	test("can be cut by offsets and number, and shows queries only on request", async () => {
		await ran(async (node) => {
			for (let by = 0; by < 4; by++) await add(node, A, by);
			await node.ask(A, { type: "total" }, { kind: "query", timeoutMs: 5_000 });
		});
		const [, second, third] = (await historyOf()).map(({ offset }) => offset) as number[];
		const cut = { from: second as number, to: third as number };
		expect((await historyOf(cut)).map(({ offset }) => offset)).toEqual([second, third]);
		expect(await historyOf({ limit: 1 })).toHaveLength(1);
		expect(await historyOf()).toHaveLength(4);
		expect((await historyOf({ everything: true })).at(-1)).toMatchObject({
			kind: "query",
			outcome: "passed",
		});
	});

	test("of an actor without records, or of an unknown type, is refused by name", async () => {
		await ran((node) => add(node, A, 1));
		const parts = await opened();
		await expect(collected(history(parts, "counter/none"))).rejects.toMatchObject({
			code: "actor.not-found",
		});
		await expect(collected(history(parts, "car/a"))).rejects.toMatchObject({ code: "actor.unknown-type" });
		await expect(replay(parts, "counter/none")).rejects.toThrow(/counter\/none/);
	});
});

describe("replay", () => {
	test("scenario 38: gives the newest state, or that at any offset, and appends nothing", async () => {
		await ran(async (node) => {
			for (const by of [1, 2, 3]) await add(node, A, by);
			await node.tell("counter/b", { type: "relay", to: A, by: 4 });
			await expect.poll(() => node.metrics.outputs).toBe(1);
		});
		const parts = await opened();
		const before = await parts.log.bounds(mailbox(A));
		const newest = await replay(parts, A);
		expect(newest).toMatchObject({ state: "idle", records: 4, start: 0, value: { context: { total: 10 } } });
		const second = (await collected(history(parts, A)))[1]?.offset as number;
		expect(await replay(parts, A, { to: second })).toMatchObject({
			offset: second,
			value: { context: { total: 3 } },
		});
		await replay(parts, "counter/b");
		expect(await parts.log.bounds(mailbox(A))).toEqual(before);
	});

	test("tells its progress up to the last record", async () => {
		await ran((node) => add(node, A, 1));
		const seen: number[] = [];
		const { end } = await (await opened()).log.bounds(mailbox(A));
		await replay(await opened(), A, { onProgress: ({ scanned, total }) => seen.push(scanned, total) });
		expect(seen.slice(-2)).toEqual([end, end]);
	});
});

describe("verify", () => {
	test("finds the snapshot of a stopped node equal to the log, timers included", async () => {
		await ran(async (node) => {
			await add(node, A, 5);
			await node.tell(A, { type: "arm", delayMs: LATER_MS });
		});
		const parts = await opened();
		expect(parts.snapshots.load(A)?.timers).toHaveLength(1);
		expect(await verify(parts, A)).toMatchObject({ ok: true, snapshot: "equal", records: 2, state: "armed" });
	});

	test("is right beside a live node whose checkpoints move while it looks", async () => {
		let going = true;
		const node = await ran(async (live) => {
			await add(live, A, 1);
		}, true);
		const traffic = (async () => {
			while (going) {
				await add(node, A, 1);
				await Promise.all(node.partitions.map((partition) => partition.checkpoint()));
			}
		})();
		const parts = await opened();
		const checkpoints = new Set<number | undefined>();
		while (checkpoints.size < 10) {
			const verification = await verify(parts, A);
			expect(verification).toMatchObject({ ok: true });
			checkpoints.add(verification.checkpoint);
			// Reading the embedded log never leaves the process: without this the node would get no turn.
			await new Promise((resolve) => setImmediate(resolve));
		}
		going = false;
		await traffic;
	});

	test("says that nothing had to be stored yet where everything came after the checkpoint", async () => {
		await ran((node) => add(node, A, 1), true);
		expect(await verify(await opened(), A)).toMatchObject({
			ok: true,
			snapshot: "none",
			checkpoint: undefined,
		});
	});

	test("names the first place where a sound snapshot differs from the log", async () => {
		await ran((node) => add(node, A, 5));
		const parts = await opened({ write: true });
		const stored = parts.snapshots.load(A);
		const checkpoint = parts.snapshots.checkpoint(mailbox(A));
		if (!stored || !checkpoint) throw new Error("nothing was stored");
		const state = stored.state.replace('"total":5', '"total":6');
		parts.snapshots.save(checkpoint, [{ ...stored, state }]);
		expect(await verify(parts, A)).toMatchObject({
			ok: false,
			reason: "differs",
			path: "state.context.total",
			stored: 6,
			folded: 5,
		});
	});

	test("finds a damaged row, a missing row and a row of another version", async () => {
		await ran((node) => add(node, A, 5));
		const newer = { ...counterBehaviour, version: 2 };
		const versions = { reason: "version", path: "version", stored: 1, folded: 2 };
		expect(await verify(await opened({ behaviour: newer }), A)).toMatchObject(versions);
		sql("snapshots.db", "UPDATE snapshots SET state = replace(state, '5', '7') WHERE address = ?", A);
		expect(await verify(await opened(), A)).toMatchObject({ ok: false, reason: "corrupt", state: "idle" });
		sql("snapshots.db", "DELETE FROM snapshots WHERE address = ?", A);
		expect(await verify(await opened(), A)).toMatchObject({ ok: false, reason: "missing" });
	});

	test("proves nothing where the log no longer keeps the beginning, and refuses to rebuild", async () => {
		await ran(async (node) => {
			for (const by of [1, 2, 3]) await add(node, A, by);
		});
		sql("log.db", `DELETE FROM records WHERE "offset" = 0 AND key = ?`, A);
		const parts = await opened({ write: true });
		expect(await verify(parts, A)).toMatchObject({ ok: false, reason: "trimmed" });
		await expect(rebuild(parts, A)).rejects.toMatchObject({ code: "log.offset-trimmed" });
	});

	test("of an actor that nobody knows is refused by name", async () => {
		await ran((node) => add(node, A, 1));
		await expect(verify(await opened(), "counter/none")).rejects.toMatchObject({ code: "actor.not-found" });
	});
});

describe("rebuild", () => {
	test("replaces a damaged row by a fold of the log, and the next node goes on from it", async () => {
		await ran(async (node) => {
			await add(node, A, 5);
			await node.tell(A, { type: "arm", delayMs: LATER_MS });
		});
		sql("snapshots.db", "UPDATE snapshots SET state = '{}' WHERE address = ?", A);
		const parts = await opened({ write: true });
		expect(await rebuild(parts, A)).toMatchObject({ written: true, state: "armed" });
		expect(await verify(parts, A)).toMatchObject({ ok: true, snapshot: "equal" });
		for (const close of closing.splice(0).reverse()) await close();
		await ran(async (node) => {
			expect(await add(node, A, 1)).toBe(6);
			expect(node.metrics.snapshotsRebuilt).toBe(0);
		});
	});

	test("writes nothing where no checkpoint was stored", async () => {
		await ran((node) => add(node, A, 1));
		sql("snapshots.db", "DELETE FROM checkpoints");
		expect(await rebuild(await opened({ write: true }), A)).toEqual({ written: false, address: A });
	});
});

describe("actors", () => {
	const names = (listed: readonly ListedActor[]) => listed.map(({ address, state }) => [address, state]);

	test("are listed in order with their newest states, from snapshots and from the log's tail", async () => {
		await ran(async (node) => {
			for (const id of ["c", "a", "é", "Z"]) await add(node, `counter/${id}`, 1);
		});
		await ran(async (node) => {
			await node.tell(A, { type: "arm", delayMs: LATER_MS });
			await add(node, "counter/b", 1);
			await add(node, A, 1);
		}, true);
		const parts = await opened();
		const all = ["counter/Z", A, "counter/b", "counter/c", "counter/é"];
		const listed = await collected(actors(parts));
		expect(names(listed)).toEqual(all.map((address) => [address, address === A ? "armed" : "idle"]));
		const some = await collected(actors(parts, { prefix: "counter/b" }));
		expect(names(some)).toEqual([["counter/b", "idle"]]);
		expect(await collected(actors(parts, { type: "count" }))).toEqual([]);
	});

	test("are listed from the log alone where there are no snapshots", async () => {
		await ran((node) => add(node, A, 1));
		const { snapshots: _, ...parts } = await opened();
		expect(names(await collected(actors(parts)))).toEqual([[A, "idle"]]);
	});

	test("with a damaged snapshot are listed as such, and do not hide the others", async () => {
		await ran(async (node) => {
			await add(node, A, 1);
			await add(node, "counter/b", 1);
		});
		sql("snapshots.db", "UPDATE snapshots SET state = '{}' WHERE address = ?", A);
		const listed = await collected(actors(await opened()));
		expect(listed).toMatchObject([
			{ address: A, problem: "corrupt" },
			{ address: "counter/b", state: "idle" },
		]);
	});
});
