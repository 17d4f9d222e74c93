/** Claims of the hand-over of records to the owner of a partition. */
import { expect, test } from "vitest";
import type { LogRecord, PartitionOwner } from "../../persistence/log.ts";
import {
	OWNED_BATCH_RECORDS_MAX,
	OWNED_QUEUE_RECORDS_MAX,
	OwnedPartition,
} from "../../persistence/owned-partition.ts";

const ID = { topic: "actors", partition: 0 };

function record(offset: number): LogRecord {
	return { key: "counter/a", value: new Uint8Array(), headers: {}, timestamp: 1, offset };
}

function records(from: number, to: number): LogRecord[] {
	return Array.from({ length: to - from }, (_, i) => record(from + i));
}

function setUp(handle: PartitionOwner["records"] = () => {}, next = 0, holds?: () => boolean) {
	const batches: number[][] = [];
	const errors: unknown[] = [];
	const owner: PartitionOwner = {
		assigned: async () => next,
		revoked: async () => {},
		records: (id, batch) => {
			batches.push(batch.map(({ offset }) => offset));
			return handle(id, batch);
		},
	};
	const owned = new OwnedPartition(ID, next, owner, (error) => errors.push(error), holds);
	return { owned, batches, errors, delivered: () => batches.flat() };
}

function offsets(from: number, to: number): number[] {
	return records(from, to).map(({ offset }) => offset);
}

test("records come in order and none twice, however offers overlap", () => {
	const { owned, delivered } = setUp(() => {}, 5);
	expect(owned.offer(records(0, 5), false)).toBe(true);
	expect(owned.offer(records(3, 8), false)).toBe(true);
	expect(owned.offer(records(6, 8), false)).toBe(true);
	expect(owned.offer(records(7, 10), false)).toBe(true);
	expect(delivered()).toEqual(offsets(5, 10));
	expect(owned.next).toBe(10);
});

test("an acknowledgement after a gap is refused, and comes in order once the gap is filled", () => {
	const { owned, delivered } = setUp();
	expect(owned.offer(records(2, 4), false)).toBe(false);
	expect(owned.next).toBe(0);
	expect(owned.offer(records(0, 4), true)).toBe(true);
	expect(delivered()).toEqual(offsets(0, 4));
});

test("a fetch from the next offset may skip offsets that hold no record", () => {
	const { owned, delivered } = setUp();
	expect(owned.offer([record(3), record(7)], true)).toBe(true);
	expect(delivered()).toEqual([3, 7]);
	expect(owned.next).toBe(8);
});

test("a slow owner gets one bounded batch at a time, and a full queue refuses", async () => {
	const gates: (() => void)[] = [];
	const { owned, batches, delivered } = setUp(() => new Promise((resolve) => gates.push(resolve)));
	const full = OWNED_QUEUE_RECORDS_MAX + OWNED_BATCH_RECORDS_MAX;
	expect(owned.offer(records(0, full), true)).toBe(true);
	expect(batches.length).toBe(1);
	expect(batches[0]?.length).toBe(OWNED_BATCH_RECORDS_MAX);
	expect(owned.offer(records(full, full + 1), false)).toBe(false);
	const drained = owned.drained();
	while (delivered().length < full || gates.length > 0) {
		expect(gates.length).toBe(1);
		gates.pop()?.();
		await new Promise((resolve) => setImmediate(resolve));
	}
	await drained;
	expect(delivered()).toEqual(offsets(0, full));
	expect(owned.offer(records(full, full + 1), false)).toBe(true);
});

test("an owner whose handling causes an offer is not called inside its own call", () => {
	let inside = 0;
	let deepest = 0;
	const { owned, delivered } = setUp((_, batch) => {
		deepest = Math.max(deepest, ++inside);
		const next = (batch.at(-1) as LogRecord).offset + 1;
		if (next < 50) owned.offer([record(next)], false);
		inside--;
	});
	owned.offer([record(0)], false);
	expect(delivered()).toEqual(offsets(0, 50));
	expect(deepest).toBe(1);
});

test.each(["throws", "rejects"])("delivery stops when the owner %s, and its error is told", async (how) => {
	const failure = new Error("broken owner");
	const { owned, delivered, errors } = setUp(() => {
		if (how === "rejects") return Promise.reject(failure);
		throw failure;
	});
	owned.offer([record(0)], false);
	await owned.drained();
	await owned.release();
	expect(errors).toEqual([failure]);
	expect(owned.offer([record(1)], false)).toBe(false);
	expect(delivered()).toEqual([0]);
});

test("release waits for the call under way, after which nothing is delivered", async () => {
	const gate = Promise.withResolvers<void>();
	const { owned, delivered } = setUp(() => gate.promise);
	owned.offer(records(0, OWNED_BATCH_RECORDS_MAX + 1), true);
	let released = false;
	const release = owned.release().then(() => {
		released = true;
	});
	await new Promise((resolve) => setImmediate(resolve));
	expect(released).toBe(false);
	gate.resolve();
	await release;
	expect(delivered().length).toBe(OWNED_BATCH_RECORDS_MAX);
	expect(owned.offer([record(OWNED_BATCH_RECORDS_MAX)], false)).toBe(false);
});

test("nothing is delivered while the partition may have another owner; what waited comes when it has not", async () => {
	let held = true;
	const gate = Promise.withResolvers<void>();
	const { owned, delivered } = setUp(
		() => gate.promise,
		0,
		() => held,
	);
	owned.offer([record(0)], false);
	owned.offer(records(1, 5), false);
	held = false;
	gate.resolve();
	await owned.drained();
	expect(owned.offer([record(5)], false)).toBe(false);
	expect(delivered()).toEqual([0]);
	held = true;
	owned.resume();
	await owned.drained();
	expect(delivered()).toEqual(offsets(0, 5));
	expect(owned.next).toBe(5);
});
