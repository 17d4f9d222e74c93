/** Claims of the appender over a log that fails on command, with time in the test's hands. */
import { expect, test } from "vitest";
import {
	APPEND_BATCH_BYTES_MAX,
	APPEND_BATCH_RECORDS_MAX,
	APPEND_QUEUE_RECORDS_MAX,
	Appender,
} from "../../persistence/appender.ts";
import { MycelogError } from "../../persistence/errors.ts";
import type { NewRecord } from "../../persistence/log.ts";
import { MemoryLog } from "../../testing/memory-log.ts";
import { settled, VirtualTime } from "../../testing/virtual-time.ts";

const PARTITION = { topic: "actors", partition: 3 };

function setUp(maxRecordBytes?: number) {
	const log = new MemoryLog(maxRecordBytes === undefined ? {} : { maxRecordBytes });
	const time = new VirtualTime(1_000);
	/** Delays asked for, in order. */
	const delays: number[] = [];
	const after = (delayMs: number, callback: () => void) => {
		delays.push(delayMs);
		return time.after(delayMs, callback);
	};
	return {
		log,
		time,
		delays,
		appender: new Appender(log, {
			now: time.now,
			after,
			random: () => 0.999_999,
			turn: (callback) => callback(),
		}),
	};
}

function record(text: string, bytes = 0): NewRecord {
	const value = Buffer.concat([Buffer.from(text), Buffer.alloc(bytes)]);
	return { key: "counter/a", value, headers: {}, timestamp: 1 };
}

function unreachable(): MycelogError {
	return new MycelogError("log.unreachable", "the broker is away");
}

function texts(log: MemoryLog): string[] {
	return log.all(PARTITION).map(({ value }) => Buffer.from(value).toString());
}

function held(): { readonly wait: Promise<void>; readonly release: () => void } {
	const { promise, resolve } = Promise.withResolvers<void>();
	return { wait: promise, release: resolve };
}

test("what waits while an append is under way leaves as the next batch, and one is under way at most", async () => {
	const { log, appender } = setUp();
	const offsets = await Promise.all(
		Array.from({ length: 1_201 }, (_, i) => appender.append(PARTITION, record(String(i)))),
	);
	expect(offsets).toEqual(Array.from({ length: 1_201 }, (_, i) => i));
	const sizes = log.appends.map(({ records }) => records);
	expect(sizes).toEqual([1, APPEND_BATCH_RECORDS_MAX, APPEND_BATCH_RECORDS_MAX, 200]);
	expect(log.underWayMost).toBe(1);
	expect(appender.stats).toMatchObject({ queuedRecords: 0, queuedBytes: 0, batches: 4, records: 1_201 });
});

test("a batch carries a bounded number of bytes", async () => {
	const { log, appender } = setUp();
	const third = Math.ceil(APPEND_BATCH_BYTES_MAX / 3) + 1;
	await Promise.all(Array.from({ length: 6 }, (_, i) => appender.append(PARTITION, record(`${i}`, third))));
	expect(log.appends.map(({ records }) => records)).toEqual([1, 2, 2, 1]);
});

test("partitions do not wait for one another", async () => {
	const { log, appender } = setUp();
	const gate = held();
	log.fault = (_, { partition }) => (partition === 0 ? gate.wait : undefined);
	const slow = appender.append({ topic: "actors", partition: 0 }, record("slow"));
	await appender.append({ topic: "actors", partition: 1 }, record("quick"));
	gate.release();
	expect(await slow).toBe(0);
});

test("order holds and nothing is lost or doubled while appends keep failing", async () => {
	const { log, time, appender } = setUp();
	let calls = 0;
	log.fault = () => {
		if (++calls % 3 !== 0) throw unreachable();
	};
	const all: Promise<number>[] = [];
	for (let i = 0; i < 300; i++) {
		all.push(appender.append(PARTITION, record(String(i)), i % 2 ? { retryForever: true } : {}));
		if (i % 10 === 0) await time.advance(40);
	}
	await time.advance(60_000);
	expect(await Promise.all(all)).toEqual(Array.from({ length: 300 }, (_, i) => i));
	expect(texts(log)).toEqual(Array.from({ length: 300 }, (_, i) => String(i)));
	expect(appender.stats.retries).toBeGreaterThan(2);
});

test("the pause between tries doubles from 50 ms to 2 s, and starts anew after a success", async () => {
	const { log, time, delays, appender } = setUp();
	let failures = 8;
	log.fault = () => {
		if (failures-- > 0) throw unreachable();
	};
	const first = appender.append(PARTITION, record("a"), { retryForever: true });
	await settled();
	await time.advance(20_000);
	expect(await first).toBe(0);
	expect(delays.map(Math.round)).toEqual([50, 100, 200, 400, 800, 1600, 2000, 2000]);
	failures = 1;
	const second = appender.append(PARTITION, record("b"), { retryForever: true });
	await settled();
	await time.advance(100);
	expect(await second).toBe(1);
	expect(Math.round(delays.at(-1) as number)).toBe(50);
});

test("what is appended during a pause waits for its end, behind the batch that failed", async () => {
	const { log, time, appender } = setUp();
	let failures = 1;
	log.fault = () => {
		if (failures-- > 0) throw unreachable();
	};
	const failed = appender.append(PARTITION, record("failed"));
	await settled();
	const later = appender.append(PARTITION, record("later"));
	await settled();
	expect(log.appends.length).toBe(1);
	await time.advance(50);
	expect(await Promise.all([failed, later])).toEqual([0, 1]);
	expect(texts(log)).toEqual(["failed", "later"]);
	expect(log.underWayMost).toBe(1);
});

test("at its deadline a caller is told elapsed time, attempts and cause; the runtime's outputs stay", async () => {
	const { log, time, appender } = setUp();
	log.fault = () => {
		throw unreachable();
	};
	const forever = appender.append(PARTITION, record("output"), { retryForever: true });
	const late = appender.append(PARTITION, record("late"), { deadlineAt: time.now() + 500 });
	const refused = late.catch((error: unknown) => error);
	await settled();
	await time.advance(700);
	const error = (await refused) as MycelogError;
	expect(error.code).toBe("log.append-failed");
	expect(error.details).toMatchObject({ cause: "the broker is away", attempts: expect.any(Number) });
	expect(error.details["elapsedMs"]).toBeGreaterThanOrEqual(500);
	expect(error.details["elapsedMs"]).toBeLessThanOrEqual(600);
	log.fault = () => {};
	await time.advance(5_000);
	expect(await forever).toBe(0);
	expect(texts(log)).toEqual(["output"]);
	expect(appender.stats).toMatchObject({ expired: 1, queuedRecords: 0, queuedBytes: 0 });
});

test("a deadline holds while the log does not answer at all, and the answer that comes later is counted once", async () => {
	const { log, time, appender } = setUp();
	const gate = held();
	log.fault = () => gate.wait;
	const hanging = appender.append(PARTITION, record("hanging"), { deadlineAt: time.now() + 300 });
	const refused = hanging.catch((error: unknown) => error);
	const next = appender.append(PARTITION, record("next"));
	await time.advance(400);
	expect(await refused).toMatchObject({ code: "log.append-failed", details: { attempts: 1 } });
	expect(appender.stats.queuedRecords).toBe(2);
	gate.release();
	expect(await next).toBe(1);
	expect(appender.stats).toMatchObject({ queuedRecords: 0, queuedBytes: 0, records: 2, expired: 1 });
});

test("a full queue refuses at once and writes nothing, but takes the runtime's own outputs", async () => {
	const { log, appender } = setUp();
	const gate = held();
	log.fault = () => gate.wait;
	const queued = Array.from({ length: APPEND_QUEUE_RECORDS_MAX }, () =>
		appender.append(PARTITION, record("x")),
	);
	await expect(appender.append(PARTITION, record("refused"))).rejects.toMatchObject({
		code: "log.overloaded",
	});
	const output = appender.append(PARTITION, record("output"), { retryForever: true });
	expect(appender.stats).toMatchObject({ refused: 1, queuedRecords: APPEND_QUEUE_RECORDS_MAX + 1 });
	gate.release();
	await Promise.all(queued);
	expect(await output).toBe(APPEND_QUEUE_RECORDS_MAX);
	expect(texts(log)).not.toContain("refused");
});

test("the bytes of all partitions together are bounded", async () => {
	const { log, appender } = setUp(64 * 1024 * 1024);
	const gate = held();
	log.fault = () => gate.wait;
	const large = record("x", 60 * 1024 * 1024);
	const queued = [0, 1, 2, 3, 4].map((partition) => appender.append({ topic: "actors", partition }, large));
	const refused = appender.append({ topic: "actors", partition: 9 }, record("small"));
	await expect(refused).rejects.toMatchObject({ code: "log.overloaded" });
	gate.release();
	await Promise.all(queued);
});

test("an oversize record is refused alone, naming limit and size", async () => {
	const { log, appender } = setUp(100);
	const before = appender.append(PARTITION, record("before"));
	const oversize = appender.append(PARTITION, record("", 101));
	const after = appender.append(PARTITION, record("after"));
	const error = { code: "log.record-too-large", details: { bytes: 101, limit: 100 } };
	await expect(oversize).rejects.toMatchObject(error);
	expect(await Promise.all([before, after])).toEqual([0, 1]);
	expect(texts(log)).toEqual(["before", "after"]);
});

test("a record that only the log finds too large does not fail those that shared its batch", async () => {
	const { log, appender } = setUp();
	log.fault = (records) => {
		const tooLarge = records.some(({ key }) => key === "long key");
		if (tooLarge) throw new MycelogError("log.record-too-large", "key and headers are over the limit");
	};
	const sent = Array.from({ length: 100 }, (_, i) => {
		const key = i === 37 ? "long key" : "counter/a";
		return appender.append(PARTITION, { ...record(String(i)), key });
	});
	const outcomes = await Promise.allSettled(sent);
	expect(outcomes.flatMap(({ status }, i) => (status === "rejected" ? [i] : []))).toEqual([37]);
	expect(texts(log)).toEqual(
		Array.from({ length: 100 }, (_, i) => String(i)).filter((text) => text !== "37"),
	);
});

test("closing rejects what is queued, stops the retries and refuses what comes later", async () => {
	const { log, time, appender } = setUp();
	log.fault = () => {
		throw unreachable();
	};
	const tried = appender.append(PARTITION, record("tried"), { retryForever: true });
	const waiting = appender.append(PARTITION, record("waiting"), { retryForever: true });
	const outcomes = Promise.allSettled([tried, waiting]);
	await settled();
	await appender.close();
	const [first, second] = await outcomes;
	expect(first).toMatchObject({ reason: { code: "log.append-failed" } });
	expect(second).toMatchObject({ reason: { code: "log.closed" } });
	await expect(appender.append(PARTITION, record("late"))).rejects.toMatchObject({ code: "log.closed" });
	const tries = log.appends.length;
	await time.advance(10_000);
	expect(log.appends.length).toBe(tries);
	expect(appender.stats).toMatchObject({ queuedRecords: 0, queuedBytes: 0 });
});

test("it is idle once everything is acknowledged or told, in every partition, and at once when nothing waits", async () => {
	const { log, appender } = setUp();
	await appender.idle();
	const gate = held();
	log.fault = (_, { partition }) => (partition === 0 ? gate.wait : undefined);
	const done: string[] = [];
	const slow = appender
		.append({ topic: "actors", partition: 0 }, record("slow"))
		.then(() => done.push("slow"));
	const idle = appender.idle().then(() => done.push("idle"));
	await appender.append({ topic: "actors", partition: 1 }, record("quick")).then(() => done.push("quick"));
	await settled();
	expect(done).toEqual(["quick"]);
	gate.release();
	await Promise.all([slow, idle]);
	expect(done.sort()).toEqual(["idle", "quick", "slow"]);
	log.fault = () => gate.wait.then(() => new Promise<void>(() => {}));
	const lost = appender.append(PARTITION, record("lost")).catch((error: unknown) => error);
	const closed = appender.idle();
	await appender.close();
	await closed;
	expect(await lost).toMatchObject({ code: "log.append-failed" });
});
