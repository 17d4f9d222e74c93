/** Claims of the snapshot store. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import type { Checkpoint, StoredSnapshot } from "../../persistence/snapshots.ts";
import { SqliteSnapshots } from "../../persistence/snapshots-sqlite.ts";

const PARTITION = { topic: "actors", partition: 2 };

let directory: string;
beforeEach(() => {
	directory = mkdtempSync(join(tmpdir(), "mycelog-snapshots-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function open(readOnly = false): SqliteSnapshots {
	const snapshots = new SqliteSnapshots({ directory, readOnly });
	onTestFinished(() => snapshots.close());
	return snapshots;
}

function snapshot(address: string, more: Partial<StoredSnapshot> = {}): StoredSnapshot {
	return { address, offset: 7, version: 1, state: '{"count":3}', timers: [], ...more };
}

function checkpoint(next: number, partition = PARTITION, epoch = 0): Checkpoint {
	return { partition, next, watermarks: `{"n1":${next}}`, epoch };
}

/** What a bad disk or a stray hand does. */
function damage(sql: string): void {
	const database = new Database(join(directory, "snapshots.db"));
	database.exec(sql);
	database.close();
}

test("a checkpoint and its snapshots come back as saved, also after opening again", () => {
	const first = open();
	const timers = [{ id: "expiry", at: 500, event: '{"type":"expire"}' }];
	const claimed = snapshot("client/ü/1", { timers, claim: "n1~boot" });
	first.save(checkpoint(10), [claimed, snapshot("client/w/2")]);
	const second = open();
	expect(second.load("client/ü/1")).toEqual(claimed);
	expect(second.load("client/w/2")).toEqual(snapshot("client/w/2"));
	expect(second.load("client/w/3")).toBeUndefined();
	expect(second.checkpoint(PARTITION)).toEqual(checkpoint(10));
	expect(second.checkpoint({ topic: "actors", partition: 3 })).toBeUndefined();
});

test("many snapshots come back by one reading: those that are stored, and of a damaged one what is wrong with it", () => {
	const snapshots = open();
	const claimed = snapshot("client/ü/1", { claim: "n1~boot" });
	snapshots.save(checkpoint(10), [
		claimed,
		snapshot('client/w/"2"'),
		snapshot("client/w/3"),
		snapshot("client/w/4"),
	]);
	damage("UPDATE snapshots SET state = '{}' WHERE address = 'client/w/3'");
	const found = snapshots.loadAll(["client/w/3", "client/ü/1", "client/w/none", 'client/w/"2"']);
	expect([...found.keys()].sort()).toEqual(['client/w/"2"', "client/w/3", "client/ü/1"]);
	expect(found.get("client/ü/1")).toEqual(claimed);
	expect(found.get('client/w/"2"')).toEqual(snapshot('client/w/"2"'));
	expect(found.get("client/w/3")).toMatchObject({
		code: "snapshot.corrupt",
		details: { address: "client/w/3" },
	});
});

test("a newer checkpoint replaces what changed and keeps the rest", () => {
	const snapshots = open();
	snapshots.save(checkpoint(10), [snapshot("client/w/1", { claim: "n1~a" }), snapshot("client/w/2")]);
	const changed = snapshot("client/w/1", { offset: 15, state: "{}" });
	snapshots.save(checkpoint(16), [changed]);
	expect(snapshots.load("client/w/1")).toEqual(changed);
	expect(snapshots.load("client/w/2")).toEqual(snapshot("client/w/2"));
	expect(snapshots.checkpoint(PARTITION)).toEqual(checkpoint(16));
});

test("a save that fails half-way leaves nothing of itself", () => {
	const snapshots = open();
	snapshots.save(checkpoint(10), [snapshot("client/w/1")]);
	const impossible = snapshot("client/w/2", { state: null as unknown as string });
	const changed = snapshot("client/w/1", { offset: 11 });
	expect(() => snapshots.save(checkpoint(20), [changed, impossible])).toThrow();
	expect(snapshots.checkpoint(PARTITION)).toEqual(checkpoint(10));
	expect(snapshots.load("client/w/1")?.offset).toBe(7);
});

test("the earliest timer of each actor of a partition is found without the others", () => {
	const snapshots = open();
	const at = (...times: number[]) => ({
		timers: times.map((time, i) => ({ id: `t${i}`, at: time, event: "{}" })),
	});
	snapshots.save(checkpoint(1), [snapshot("a/1", at(900, 300)), snapshot("a/2"), snapshot("a/3", at(200))]);
	snapshots.save(checkpoint(1, { topic: "actors", partition: 5 }), [snapshot("a/4", at(100))]);
	expect(snapshots.timers(PARTITION)).toEqual([
		{ address: "a/3", at: 200 },
		{ address: "a/1", at: 300 },
	]);
	snapshots.save(checkpoint(2), [snapshot("a/3")]);
	expect(snapshots.timers(PARTITION)).toEqual([{ address: "a/1", at: 300 }]);
});

test("actors that claim a process are found without the others", () => {
	const snapshots = open();
	snapshots.save(checkpoint(1), [snapshot("a/1", { claim: "n1~x" }), snapshot("a/2")]);
	snapshots.save(checkpoint(1, { topic: "clients", partition: 2 }), [snapshot("a/3", { claim: "n1~y" })]);
	expect(snapshots.claims(PARTITION)).toEqual([{ address: "a/1", claim: "n1~x" }]);
});

test("addresses come in ascending pages, only with the prefix", () => {
	const snapshots = open();
	const names = ["client/a/1", "client/a/2", "client/ab/1", "client/😀", "workspace/a", "workspace/b"];
	snapshots.save(
		checkpoint(1),
		names.toReversed().map((name) => snapshot(name)),
	);
	expect(snapshots.addresses({ limit: 100 })).toEqual(names);
	expect(snapshots.addresses({ prefix: "client/a/", limit: 100 })).toEqual(names.slice(0, 2));
	expect(snapshots.addresses({ prefix: "client/", limit: 2 })).toEqual(names.slice(0, 2));
	expect(snapshots.addresses({ prefix: "client/", after: "client/a/2", limit: 9 })).toEqual(
		names.slice(2, 4),
	);
	expect(snapshots.addresses({ prefix: "client/😀", limit: 9 })).toEqual(["client/😀"]);
	expect(snapshots.addresses({ prefix: "none/", limit: 9 })).toEqual([]);
});

test.each([
	"state = '{\"count\":4}'",
	'"offset" = 8',
	"version = 2",
	"timers = '[ ]'",
	"claim = 'n2~x'",
	"partition = 3",
	"checksum = checksum + 1",
])("a row changed by another hand (%s) is reported as corrupt, others are not", (change) => {
	const snapshots = open();
	snapshots.save(checkpoint(10), [snapshot("a/1"), snapshot("a/2")]);
	damage(`UPDATE snapshots SET ${change} WHERE address = 'a/1'`);
	expect(() => snapshots.load("a/1")).toThrow(
		expect.objectContaining({
			code: "snapshot.corrupt",
			details: expect.objectContaining({ address: "a/1" }),
		}),
	);
	expect(snapshots.load("a/2")).toEqual(snapshot("a/2"));
	snapshots.save(checkpoint(11), [snapshot("a/1")]);
	expect(snapshots.load("a/1")).toEqual(snapshot("a/1"));
});

test("a damaged checkpoint counts as none, so that its partition is folded from the start", () => {
	const snapshots = open();
	snapshots.save(checkpoint(10), []);
	damage("UPDATE checkpoints SET next = 11");
	expect(snapshots.checkpoint(PARTITION)).toBeUndefined();
});

test("a partition can be forgotten from an offset on, with its checkpoint; other partitions stay", () => {
	const snapshots = open();
	const other = { topic: "actors", partition: 3 };
	snapshots.save(checkpoint(20), [snapshot("a/1", { offset: 9 }), snapshot("a/2", { offset: 10 })]);
	snapshots.save(checkpoint(20, other), [snapshot("a/3", { offset: 15 })]);
	snapshots.forget(PARTITION, 10);
	expect(snapshots.addresses({ limit: 10 })).toEqual(["a/1", "a/3"]);
	expect([snapshots.checkpoint(PARTITION), snapshots.checkpoint(other)?.next]).toEqual([undefined, 20]);
});

test("a read-only store reads beside a live writer and cannot save", () => {
	const writer = open();
	writer.save(checkpoint(10), [snapshot("a/1")]);
	const reader = open(true);
	expect(reader.load("a/1")).toEqual(snapshot("a/1"));
	writer.save(checkpoint(11), [snapshot("a/1", { offset: 10 })]);
	expect(reader.load("a/1")?.offset).toBe(10);
	expect(() => reader.save(checkpoint(12), [])).toThrow(
		expect.objectContaining({ code: "snapshot.not-written" }),
	);
	expect(writer.checkpoint(PARTITION)).toEqual(checkpoint(11));
});

test("what others shared is taken where it is newer: snapshots by offset, checkpoints by epoch", () => {
	const snapshots = open();
	const { topic, partition } = PARTITION;
	const shared = (address: string, offset: number, state: string) => {
		return { ...snapshot(address, { offset, state }), topic };
	};
	snapshots.save(checkpoint(10, PARTITION, 5), [
		snapshot("client/w/1"),
		snapshot("client/w/2", { offset: 9 }),
	]);
	snapshots.merge(
		partition,
		40,
		[checkpoint(30, PARTITION, 20), checkpoint(99, PARTITION, 5)],
		[shared("client/w/1", 25, '"newer"'), shared("client/w/2", 8, '"older"'), shared("client/w/3", 3, "3")],
	);
	expect(snapshots.load("client/w/1")).toEqual(snapshot("client/w/1", { offset: 25, state: '"newer"' }));
	expect(snapshots.load("client/w/2")).toEqual(snapshot("client/w/2", { offset: 9 }));
	expect(snapshots.load("client/w/3")?.state).toBe("3");
	expect(snapshots.checkpoint(PARTITION)).toEqual(checkpoint(30, PARTITION, 20));
	expect(snapshots.followedTo(partition)).toBe(40);
	expect(snapshots.followedTo(partition + 1)).toBe(0);
	expect(snapshots.stored("client/w/1")).toEqual({ offset: 25, bytes: '"newer"[]'.length });
	expect(snapshots.stored("client/w/4")).toBeUndefined();
});

test("a save says how far others are followed, in the same transaction", () => {
	const snapshots = open();
	snapshots.save(checkpoint(10), [], 77);
	snapshots.save(checkpoint(11), []);
	expect(snapshots.followedTo(PARTITION.partition)).toBe(77);
});
