/** Claims of the embedded log beyond the contract (log-contract.test.ts), with processes that really die. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import Database from "better-sqlite3";
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import type { LogRecord, NewRecord, PartitionId, PartitionOwner, TopicSpec } from "../../persistence/log.ts";
import { SqliteLog, type SqliteLogOptions, TRIM_STEP_RECORDS_MAX } from "../../persistence/log-sqlite.ts";

const TOPICS: readonly TopicSpec[] = [{ name: "actors", partitions: 4 }];
const PARTITION: PartitionId = { topic: "actors", partition: 1 };
const NOW = { waitMs: 0, maxRecords: 100_000 };
const MODULE = new URL("../../persistence/log-sqlite.ts", import.meta.url).href;

let directory: string;
beforeEach(() => {
	directory = mkdtempSync(join(tmpdir(), "mycelog-log-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

async function open(options: Partial<SqliteLogOptions> = {}, topics = TOPICS): Promise<SqliteLog> {
	const log = new SqliteLog({ directory, ...options });
	onTestFinished(() => log.close(1_000));
	await log.open(topics);
	return log;
}

function record(text: string, timestamp = 1): NewRecord {
	return { key: "counter/a", value: Buffer.from(text), headers: { type: "add", text }, timestamp };
}

function many(count: number, from = 0): NewRecord[] {
	return Array.from({ length: count }, (_, i) => record(String(from + i)));
}

function texts(records: readonly LogRecord[]): string[] {
	return records.map(({ value }) => Buffer.from(value).toString());
}

/** Takes what it is given; `until` resolves once it has `count` records. */
class Collector implements PartitionOwner {
	readonly records_: LogRecord[] = [];
	readonly revokedPartitions: number[] = [];
	readonly #next: number;
	readonly #handle: () => Promise<void> | void;
	#wanted = Infinity;
	#reached: () => void = () => {};

	constructor(next = 0, handle: () => Promise<void> | void = () => {}) {
		this.#next = next;
		this.#handle = handle;
	}

	async assigned(): Promise<number> {
		return this.#next;
	}

	async revoked({ partition }: PartitionId): Promise<void> {
		this.revokedPartitions.push(partition);
	}

	records(_: PartitionId, batch: readonly LogRecord[]): Promise<void> | void {
		this.records_.push(...batch);
		if (this.records_.length >= this.#wanted) this.#reached();
		return this.#handle();
	}

	until(count: number): Promise<void> {
		this.#wanted = count;
		if (this.records_.length >= count) return Promise.resolve();
		return new Promise((resolve) => {
			this.#reached = resolve;
		});
	}

	get offsets(): number[] {
		return this.records_.map(({ offset }) => offset);
	}
}

function upTo(count: number): number[] {
	return Array.from({ length: count }, (_, i) => i);
}

/** Runs `body` in another process, where `SqliteLog`, `directory`, `topics` are known. */
function inOtherProcess(body: string) {
	const code = `
		const { SqliteLog } = await import(${JSON.stringify(MODULE)});
		const directory = ${JSON.stringify(directory)};
		const topics = ${JSON.stringify(TOPICS)};
		${body}`;
	const child = spawn(process.execPath, ["--input-type=module", "-e", code], {
		stdio: ["pipe", "pipe", "inherit"],
	});
	onTestFinished(() => void child.kill("SIGKILL"));
	return { child, lines: createInterface({ input: child.stdout }) };
}

test.each(["power", "process"] as const)(
	"everything acknowledged survives kill -9 in the middle of appends (durability: %s)",
	async (durability) => {
		const { child, lines } = inOtherProcess(`
			const log = new SqliteLog({ directory, durability: ${JSON.stringify(durability)} });
			await log.open(topics);
			async function run(partition) {
				for (let i = 0; ; i++) {
					const records = [0, 1, 2].map((n) =>
						({ key: "a", value: Buffer.from(i + "." + n), headers: {}, timestamp: 1 }));
					const base = await log.append({ topic: "actors", partition }, records);
					console.log(JSON.stringify({ partition, base, i }));
				}
			}
			for (const partition of [0, 1, 2, 3]) run(partition);`);
		const acknowledged: { partition: number; base: number; i: number }[] = [];
		lines.on("line", (line) => {
			acknowledged.push(JSON.parse(line));
			if (acknowledged.length === 200) child.kill("SIGKILL");
		});
		await Promise.all([once(child, "close"), once(lines, "close")]);
		const log = await open();
		expect(acknowledged.length).toBeGreaterThanOrEqual(200);
		for (const partition of upTo(4)) {
			const records = await log.read({ topic: "actors", partition }, 0, NOW);
			expect(records.map(({ offset }) => offset)).toEqual(upTo(records.length));
			expect(records.length % 3).toBe(0);
			for (const { base, i } of acknowledged.filter((ack) => ack.partition === partition)) {
				expect(texts(records.slice(base, base + 3))).toEqual([`${i}.0`, `${i}.1`, `${i}.2`]);
			}
		}
	},
);

test("a second process that would write is refused, and takes over once the first was killed", async () => {
	const { child, lines } = inOtherProcess(`
		const log = new SqliteLog({ directory });
		await log.open(topics);
		await log.append({ topic: "actors", partition: 1 },
			[{ key: "a", value: Buffer.from("first"), headers: {}, timestamp: 1 }]);
		console.log("open");
		process.stdin.resume();`);
	await once(lines, "line");
	const second = new SqliteLog({ directory });
	await expect(second.open(TOPICS)).rejects.toMatchObject({ code: "log.in-use", details: { directory } });
	child.kill("SIGKILL");
	await once(child, "close");
	await second.open(TOPICS);
	expect(texts(await second.read(PARTITION, 0, NOW))).toEqual(["first"]);
	await second.close(1_000);
});

test("a read-only log reads beside a live writer and a stopped one, and may not append or own", async () => {
	const writer = await open();
	await writer.append(PARTITION, many(3));
	const reader = await open({ readOnly: true });
	expect(texts(await reader.read(PARTITION, 1, NOW))).toEqual(["1", "2"]);
	await writer.append(PARTITION, many(1, 3));
	expect(await reader.bounds(PARTITION)).toEqual({ start: 0, end: 4 });
	await expect(reader.append(PARTITION, many(1))).rejects.toMatchObject({ code: "log.closed" });
	await expect(reader.own(["actors"], new Collector())).rejects.toMatchObject({ code: "log.closed" });
	await writer.close(1_000);
	const later = await open({ readOnly: true });
	expect(await later.bounds(PARTITION)).toEqual({ start: 0, end: 4 });
});

test("a read-only log of a directory without one is refused, naming the path", async () => {
	const nowhere = join(directory, "nowhere");
	const reader = new SqliteLog({ directory: nowhere, readOnly: true });
	const error = { code: "log.file-unusable", details: { path: join(nowhere, "log.db") } };
	await expect(reader.open(TOPICS)).rejects.toMatchObject(error);
});

test("a file that is no database is refused by its path, and is left as it was", async () => {
	const garbage = "not a database, but somebody's only copy of something".repeat(100);
	writeFileSync(join(directory, "log.db"), garbage);
	const error = { code: "log.file-unusable", retryable: false, details: { path: join(directory, "log.db") } };
	await expect(open()).rejects.toMatchObject(error);
	expect(readFileSync(join(directory, "log.db"), "utf8")).toBe(garbage);
});

test("records come back as they went in, also after the log was opened again", async () => {
	const first = await open();
	const whole = {
		key: "client/ü",
		value: Buffer.from([0, 255, 7]),
		headers: { a: 'q"\n', b: "" },
		timestamp: 42,
	};
	expect(await first.append(PARTITION, [whole])).toBe(0);
	await first.close(1_000);
	const second = await open();
	const [read] = await second.read(PARTITION, 0, NOW);
	expect({ ...read, value: Buffer.from(read?.value ?? []) }).toEqual({ ...whole, offset: 0 });
	expect(await second.append(PARTITION, many(2))).toBe(1);
});

test.each([1, 15, 16, 17, 50])("%i records of one append are stored one after the other", async (count) => {
	const log = await open();
	await log.append(PARTITION, [record("before")]);
	expect(await log.append(PARTITION, many(count))).toBe(1);
	const read = await log.read(PARTITION, 0, NOW);
	expect(texts(read)).toEqual(["before", ...texts(many(count) as LogRecord[])]);
	expect(read.map(({ offset }) => offset)).toEqual(Array.from({ length: count + 1 }, (_, i) => i));
});

test("values of every length come back byte for byte", async () => {
	const log = await open();
	const values = [0, 1, 255, 256, 257, 5_000].map((length) =>
		Uint8Array.from({ length }, (_, i) => 255 - (i % 256)),
	);
	await log.append(
		PARTITION,
		values.map((value) => ({ ...record("x"), value })),
	);
	const offsets = values.map((_, offset) => offset);
	for (const read of [await log.read(PARTITION, 0, NOW), await log.readAt(PARTITION, offsets)]) {
		expect(read.map(({ value }) => Uint8Array.from(value))).toEqual(values);
	}
});

test("appends issued together get offsets in the order of the calls, per partition", async () => {
	const log = await open();
	const calls = Array.from({ length: 40 }, (_, i) =>
		log.append({ topic: "actors", partition: i % 4 }, many(2, i * 2)),
	);
	expect(await Promise.all(calls)).toEqual(calls.map((_, i) => Math.floor(i / 4) * 2));
	expect(texts(await log.read(PARTITION, 0, { waitMs: 0, maxRecords: 4 }))).toEqual(["2", "3", "10", "11"]);
});

test("an append that cannot be stored does not fail those that share its transaction", async () => {
	const log = await open();
	const broken = { ...record("broken"), timestamp: Number.NaN };
	const outcomes = await Promise.allSettled([
		log.append(PARTITION, many(1)),
		log.append(PARTITION, [record("lost with it"), broken]),
		log.append(PARTITION, many(1, 1)),
	]);
	expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
	expect(outcomes[1]).toMatchObject({ reason: { code: "log.append-failed" } });
	expect(texts(await log.read(PARTITION, 0, NOW))).toEqual(["0", "1"]);
	expect(log.health().status).toBe("healthy");
});

test("a record over the limit is refused with limit and size, and its batch is not written", async () => {
	const log = await open({ maxRecordBytes: 10 });
	const batch = [record("fits"), record("does not fit")];
	const error = { code: "log.record-too-large", details: { bytes: 12, limit: 10 } };
	await expect(log.append(PARTITION, batch)).rejects.toMatchObject(error);
	expect(await log.bounds(PARTITION)).toEqual({ start: 0, end: 0 });
});

test("other numbers of partitions are refused, naming found and required, and the directory is free again", async () => {
	await (await open()).close(1_000);
	const other = [{ name: "actors", partitions: 8 }];
	const error = { code: "log.topic-mismatch", details: { found: 4, required: 8 } };
	await expect(open({}, other)).rejects.toMatchObject(error);
	await expect(open({ readOnly: true }, other)).rejects.toMatchObject(error);
	await open();
});

test("an unknown topic or partition is refused", async () => {
	const log = await open();
	for (const id of [
		{ topic: "actors", partition: 4 },
		{ topic: "other", partition: 0 },
	]) {
		await expect(log.append(id, many(1))).rejects.toMatchObject({ code: "log.topic-mismatch" });
		await expect(log.read(id, 0, NOW)).rejects.toMatchObject({ code: "log.topic-mismatch" });
	}
});

test("an owner that fails stops its partition and is told of, the others go on", async () => {
	const failures: unknown[] = [];
	const log = await open({ onOwnerError: (id, error) => failures.push([id.partition, error]) });
	const broken = new Error("broken owner");
	const collector = new Collector();
	await log.own(["actors"], {
		assigned: () => collector.assigned(),
		revoked: (id) => collector.revoked(id),
		records: (id, batch) => {
			if (id.partition === 1) throw broken;
			return collector.records(id, batch);
		},
	});
	await log.append(PARTITION, many(1));
	await log.append(PARTITION, many(1, 1));
	await log.append({ topic: "actors", partition: 2 }, many(1));
	await collector.until(1);
	expect(failures).toEqual([[1, broken]]);
	expect(await log.bounds(PARTITION)).toEqual({ start: 0, end: 2 });
});

test("closing ends at its deadline when an owner does not let go", async () => {
	const log = await open();
	const collector = new Collector();
	await log.own(["actors"], {
		assigned: () => collector.assigned(),
		revoked: () => new Promise(() => {}),
		records: () => {},
	});
	await log.close(50);
	await open();
});

test("old records are trimmed in bounded steps, and a read below the start names it", async () => {
	const log = await open({}, [{ name: "actors", partitions: 4, retentionMs: 1_000 }]);
	const old = upTo(TRIM_STEP_RECORDS_MAX + 100).map((i) => record(String(i), 5_000));
	await log.append(PARTITION, old);
	await log.append(PARTITION, [record("young", 9_500)]);
	expect(log.trim(5_500)).toBe(0);
	expect(log.trim(10_000)).toBe(TRIM_STEP_RECORDS_MAX);
	expect(log.trim(10_000)).toBe(100);
	expect(await log.bounds(PARTITION)).toEqual({ start: old.length, end: old.length + 1 });
	const error = { code: "log.offset-trimmed", details: { offset: 3, start: old.length } };
	await expect(log.read(PARTITION, 3, NOW)).rejects.toMatchObject(error);
	const owner = new Collector(3);
	await log.own(["actors"], owner);
	await owner.until(1);
	expect(owner.offsets).toEqual([old.length]);
});

test("records that no checkpoint of their owner covers are kept, however old they are", async () => {
	const log = await open({}, [{ name: "actors", partitions: 4, retentionMs: 1_000 }]);
	await log.append(
		PARTITION,
		upTo(10).map((i) => record(String(i), 5_000)),
	);
	let covered = 4;
	const owner = Object.assign(new Collector(0), { uncovered: () => covered });
	await log.own(["actors"], owner);
	await owner.until(10);
	expect(log.trim(60_000)).toBe(4);
	expect(await log.bounds(PARTITION)).toEqual({ start: 4, end: 10 });
	expect(log.trim(60_000)).toBe(0);
	covered = 10;
	expect(log.trim(60_000)).toBe(5);
});

test("a log that could not write is healthy again once it can, also if nobody appends meanwhile", async () => {
	const log = await open({});
	const other = new Database(join(directory, "log.db"));
	other.exec("BEGIN IMMEDIATE");
	await expect(log.append(PARTITION, [record("refused")])).rejects.toMatchObject({
		code: "log.append-failed",
	});
	expect(log.health()).toMatchObject({
		status: "unavailable",
		cause: expect.stringContaining("could not write"),
	});
	other.close();
	log.trim(0);
	expect(log.health()).toEqual({ status: "healthy" });
	expect(await log.append(PARTITION, [record("taken")])).toBe(0);
});

test("offsets are never given twice, however much was trimmed before the log was opened again", async () => {
	const topics = [{ name: "actors", partitions: 4, retentionMs: 1 }];
	const first = await open({}, topics);
	await first.append(PARTITION, many(5));
	expect(first.trim(10_000)).toBe(4);
	await first.close(1_000);
	const second = await open({}, topics);
	expect(await second.bounds(PARTITION)).toEqual({ start: 4, end: 5 });
	expect(await second.append(PARTITION, many(1))).toBe(5);
});
