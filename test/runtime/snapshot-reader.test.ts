/** Claims of waking many actors at once: from their snapshots, read together, whatever state each is in. */
import { expect, test } from "vitest";
import { createMachine } from "xstate";
import type { LogRecord } from "../../persistence/log.ts";
import type { StoredSnapshot } from "../../persistence/snapshots.ts";
import { restoredSnapshot, storedSnapshot } from "../../runtime/machine-children.ts";
import { encodeBody, recordOf } from "../../runtime/message.ts";
import { SNAPSHOTS_AHEAD_MAX, SnapshotReader } from "../../runtime/snapshot-reader.ts";
import { MemorySnapshots } from "../../testing/memory-snapshots.ts";
import { settled } from "../../testing/virtual-time.ts";
import { MemoryStage } from "../kit/memory-node.ts";

const ACTORS = 2 * SNAPSHOTS_AHEAD_MAX + 10;
const ALL = Array.from({ length: ACTORS }, (_, i) => `counter/${i}`);
const command = { kind: "command", timeoutMs: 5_000 } as const;
const query = { kind: "query", timeoutMs: 5_000 } as const;

function recordsFor(addresses: readonly string[]): LogRecord[] {
	return addresses.map((key, offset) => ({
		key,
		offset,
		value: new Uint8Array(),
		headers: {},
		timestamp: 1,
	}));
}

/** A store with a snapshot of each address, and what it was asked for. */
function storeOf(addresses: readonly string[]) {
	const disk = new MemorySnapshots();
	const store = disk.open();
	const snapshots = addresses.map(
		(address): StoredSnapshot => ({ address, offset: 1, version: 1, state: address, timers: [] }),
	);
	store.save(
		{ partition: { topic: "actors", partition: 0 }, next: 2, epoch: 0, watermarks: "[]" },
		snapshots,
	);
	const readings: (readonly string[])[] = [];
	const watched = {
		...store,
		load: (address: string) => {
			readings.push([address]);
			return store.load(address);
		},
		loadAll: (wanted: readonly string[]) => {
			readings.push(wanted);
			return store.loadAll(wanted);
		},
	};
	return { disk, store: watched, readings };
}

test("the snapshots that a batch needs are read many at once, without those of actors in memory", () => {
	const { store, readings } = storeOf(ALL);
	const reader = new SnapshotReader(store, (address) => address === "counter/1");
	reader.during(recordsFor(ALL), () => {
		for (const [offset, address] of ALL.entries()) {
			if (offset !== 1) expect(reader.load(address, offset)?.state).toBe(address);
		}
	});
	expect(readings.map(({ length }) => length)).toEqual([SNAPSHOTS_AHEAD_MAX, SNAPSHOTS_AHEAD_MAX, 9]);
	expect(readings.flat()).not.toContain("counter/1");
	expect(reader.load("counter/5", ACTORS)?.state).toBe("counter/5");
	expect(readings.at(-1)).toEqual(["counter/5"]);
});

test("a snapshot that was read ahead is given once: whoever asks again gets what is stored by then", () => {
	const { store } = storeOf(["a/1", "a/2"]);
	const reader = new SnapshotReader(store, () => false);
	reader.during(recordsFor(["a/1", "a/2", "a/2"]), () => {
		reader.load("a/1", 0);
		expect(reader.load("a/2", 1)?.offset).toBe(1);
		const newer = { address: "a/2", offset: 5, version: 1, state: "newer", timers: [] };
		const at = { partition: { topic: "actors", partition: 0 }, next: 6, epoch: 0, watermarks: "[]" };
		store.save(at, [newer]);
		expect(reader.load("a/2", 2)).toEqual(newer);
	});
});

test("a damaged snapshot among many is its actor's trouble alone, and an actor without one is new", () => {
	const { disk, store } = storeOf(["a/1", "a/2", "a/3"]);
	disk.damageRow("a/2");
	const reader = new SnapshotReader(store, () => false);
	reader.during(recordsFor(["a/1", "a/2", "a/new", "a/3"]), () => {
		expect(reader.load("a/1", 0)?.state).toBe("a/1");
		expect(() => reader.load("a/2", 1)).toThrow(expect.objectContaining({ code: "snapshot.corrupt" }));
		expect(reader.load("a/new", 2)).toBeUndefined();
		expect(reader.load("a/3", 3)?.state).toBe("a/3");
	});
});

test("many actors wake in one batch, each with its own state, also those whose snapshots are damaged or missing", async () => {
	const stage = new MemoryStage();
	const first = await stage.start();
	await Promise.all(ALL.map((to, i) => first.node.ask(to, { type: "add", by: i }, command)));
	await stage.checkpoint(first);
	first.crash();
	for (const damaged of [ALL[3], ALL[ACTORS - 1]]) stage.disk.damageRow(damaged as string);
	const woken = [...ALL, "counter/new"];
	const records = woken.map((to, i) => {
		const draft = { to, kind: "command", type: "add", body: encodeBody({ type: "add", by: 1_000 }) } as const;
		return recordOf(draft, { source: "outside~1", major: i + 1, minor: 0 }, 1);
	});
	stage.storage.store(stage.actors, records);
	const { node } = await stage.start();
	await settled();
	const totals = await Promise.all(woken.map((of) => node.ask(of, { type: "total" }, query)));
	expect(totals).toEqual([...ALL.map((_, i) => i + 1_000), 1_000]);
	expect(node.metrics.snapshotsRebuilt).toBe(2);
});

test("what is made of a stored state is what XState makes of it, and shares nothing with others in that state that is given away", () => {
	const machine = createMachine({
		context: { list: [0] },
		type: "parallel",
		states: {
			door: { initial: "shut", states: { shut: { tags: "closed", on: { open: "ajar" } }, ajar: {} } },
			lamp: { initial: "off", states: { off: {}, on: {} } },
		},
	});
	const stored = (list: number[]) => ({ value: { door: "shut", lamp: "on" }, context: { list } });
	const [one, other] = [[1], [2]].map((list) => restoredSnapshot(machine, stored(list), []));
	expect([one?.context, other?.context]).toEqual([{ list: [1] }, { list: [2] }]);
	expect(one?.value).toEqual(other?.value);
	expect(one?.value).not.toBe(other?.value);
	const resolved = machine.resolveState(stored([1]));
	for (const snapshot of [one, resolved] as (typeof resolved)[]) {
		expect(storedSnapshot(snapshot)).toEqual(stored([1]));
		expect([snapshot.hasTag("closed"), snapshot.can({ type: "open" })]).toEqual([true, true]);
		expect(snapshot.matches({ door: "shut" })).toBe(true);
	}
	expect(() => restoredSnapshot(machine, { value: { door: "gone" }, context: {} }, [])).toThrow("gone");
});
