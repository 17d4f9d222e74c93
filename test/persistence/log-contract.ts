/**
 * What every log driver must hold to: one suite of claims, run over each driver's own storage.
 * Owns the claims that are the same everywhere; what only one driver can do is in that driver's test file.
 */
import { describe, expect, onTestFinished, test } from "vitest";
import type {
	Log,
	LogRecord,
	NewRecord,
	PartitionId,
	PartitionOwner,
	TopicSpec,
} from "../../persistence/log.ts";

export const CONTRACT_TOPICS: readonly TopicSpec[] = [
	{ name: "actors", partitions: 4 },
	{ name: "clients", partitions: 4, retentionMs: 86_400_000 },
];

/** One storage, empty at first, of its own. */
export interface LogStorage {
	/** A fresh log object over this storage, opened; the one before is closed. */
	open(topics?: readonly TopicSpec[]): Promise<Log>;
	dispose(): Promise<void>;
}

const ACTORS: PartitionId = { topic: "actors", partition: 1 };
const NOW = { waitMs: 0, maxRecords: 100_000 };
const CLOSE_MS = 10_000;

export function record(text: string): NewRecord {
	return {
		key: "counter/a",
		value: Buffer.from(text),
		headers: { type: "add" },
		timestamp: 1_700_000_000_000,
	};
}

export function many(count: number, from = 0): NewRecord[] {
	return Array.from({ length: count }, (_, i) => record(String(from + i)));
}

export function texts(records: readonly LogRecord[]): string[] {
	return records.map(({ value }) => Buffer.from(value).toString());
}

export function numbers(count: number, from = 0): string[] {
	return Array.from({ length: count }, (_, i) => String(from + i));
}

/** All that is in a partition, however many reads it takes. */
export async function readAll(log: Log, id: PartitionId): Promise<LogRecord[]> {
	const { start, end } = await log.bounds(id);
	const all: LogRecord[] = [];
	for (let next = start; next < end; ) {
		const page = await log.read(id, next, NOW);
		const last = page.at(-1);
		if (!last) break;
		all.push(...page);
		next = last.offset + 1;
	}
	return all;
}

/** Takes one partition's records; `until` resolves once it has that many. */
export class Collector implements PartitionOwner {
	readonly taken: LogRecord[] = [];
	readonly assignedPartitions: string[] = [];
	readonly revokedPartitions: string[] = [];
	readonly #from: number;
	readonly #handle: () => Promise<void> | void;
	#waiting: { count: number; resolve: () => void }[] = [];

	constructor(from = 0, handle: () => Promise<void> | void = () => {}) {
		this.#from = from;
		this.#handle = handle;
	}

	/** Where it was, if it had the partition before, as from a checkpoint. */
	async assigned({ topic, partition }: PartitionId): Promise<number> {
		this.assignedPartitions.push(`${topic}/${partition}`);
		if (topic !== ACTORS.topic || partition !== ACTORS.partition) return 0;
		return (this.taken.at(-1)?.offset ?? this.#from - 1) + 1;
	}

	async revoked({ topic, partition }: PartitionId): Promise<void> {
		this.revokedPartitions.push(`${topic}/${partition}`);
	}

	records({ topic, partition }: PartitionId, batch: readonly LogRecord[]): Promise<void> | void {
		if (topic !== ACTORS.topic || partition !== ACTORS.partition) return;
		this.taken.push(...batch);
		this.#waiting = this.#waiting.filter(({ count, resolve }) => {
			if (this.taken.length >= count) resolve();
			return this.taken.length < count;
		});
		return this.#handle();
	}

	until(count: number): Promise<void> {
		if (this.taken.length >= count) return Promise.resolve();
		return new Promise((resolve) => this.#waiting.push({ count, resolve }));
	}
}

export function describeLogContract(name: string, storageOf: () => LogStorage | Promise<LogStorage>): void {
	const storage = async () => {
		const made = await storageOf();
		onTestFinished(() => made.dispose());
		return made;
	};
	const opened = async () => {
		const log = await (await storage()).open();
		onTestFinished(() => log.close(CLOSE_MS));
		return log;
	};
	describe(`the ${name} log`, () => {
		describeAppends(opened);
		describeReads(opened);
		describeOwnership(opened, storage);
		describeStorage(opened, storage);
	});
}

function describeAppends(opened: () => Promise<Log>): void {
	test("an acknowledged append can be read at once, at increasing offsets", async () => {
		const log = await opened();
		const first = await log.append(ACTORS, many(3));
		const second = await log.append(ACTORS, many(2, 3));
		expect(second).toBeGreaterThanOrEqual(first + 3);
		const records = await readAll(log, ACTORS);
		expect(texts(records)).toEqual(numbers(5));
		const offsets = records.map(({ offset }) => offset);
		expect(offsets).toEqual([first, first + 1, first + 2, second, second + 1]);
	});

	test("every partition keeps its own order while all are appended to at once", async () => {
		const log = await opened();
		const ids = CONTRACT_TOPICS.flatMap(({ name: topic, partitions }) =>
			Array.from({ length: partitions }, (_, partition) => ({ topic, partition })),
		);
		const write = async (id: PartitionId) => {
			for (let i = 0; i < 100; i += 5) {
				const base = await log.append(id, many(5, i));
				expect(texts(await log.read(id, base, { waitMs: 0, maxRecords: 1 }))).toEqual([String(i)]);
			}
		};
		await Promise.all(ids.map(write));
		for (const id of ids) expect(texts(await readAll(log, id))).toEqual(numbers(100));
	});

	test("keys, headers, times and bytes come back as they were, empty ones too", async () => {
		const log = await opened();
		const every = Uint8Array.from({ length: 256 }, (_, i) => i);
		const written: NewRecord[] = [
			{ key: "client/ws/ä", value: every, headers: { type: "call", from: "ws/ü", none: "" }, timestamp: 7 },
			{ key: "", value: new Uint8Array(), headers: {}, timestamp: 1_700_000_000_123 },
			// A view into a larger buffer must not bring its neighbours along.
			{ key: "k", value: every.subarray(3, 5), headers: {}, timestamp: 1 },
		];
		const base = await log.append(ACTORS, written);
		const read = (await readAll(log, ACTORS)).map((r) => ({ ...r, value: [...r.value] }));
		expect(read).toEqual(written.map((r, i) => ({ ...r, value: [...r.value], offset: base + i })));
	});

	test("a record over the limit is refused with limit and size, and nothing of its batch is written", async () => {
		const log = await opened();
		const bytes = log.maxRecordBytes + 1;
		const batch = [record("small"), { ...record(""), value: new Uint8Array(bytes) }];
		const refusal = {
			code: "log.record-too-large",
			message: expect.stringMatching(new RegExp(`${bytes}.*${log.maxRecordBytes}`)),
		};
		await expect(log.append(ACTORS, batch)).rejects.toMatchObject(refusal);
		expect(await readAll(log, ACTORS)).toEqual([]);
		await log.append(ACTORS, [{ ...record(""), value: new Uint8Array(log.maxRecordBytes) }]);
		expect((await readAll(log, ACTORS))[0]?.value.length).toBe(log.maxRecordBytes);
	});
}

function describeReads(opened: () => Promise<Log>): void {
	test("a read starts at any offset and returns no more than asked for", async () => {
		const log = await opened();
		const base = await log.append(ACTORS, many(50));
		const read = (from: number, maxRecords: number) =>
			log.read(ACTORS, base + from, { waitMs: 0, maxRecords });
		expect(texts(await read(0, 2))).toEqual(["0", "1"]);
		expect(texts(await read(17, 3))).toEqual(["17", "18", "19"]);
		expect(texts(await read(49, 10))).toEqual(["49"]);
	});

	test("a read at or after the end returns nothing, and a waiting one no sooner than it was told", async () => {
		const log = await opened();
		await log.append(ACTORS, many(2));
		const { end } = await log.bounds(ACTORS);
		expect(await log.read(ACTORS, end, NOW)).toEqual([]);
		expect(await log.read(ACTORS, end + 1_000, NOW)).toEqual([]);
		const since = performance.now();
		expect(await log.read(ACTORS, end, { waitMs: 200, maxRecords: 1 })).toEqual([]);
		expect(performance.now() - since).toBeGreaterThan(150);
	});

	test("a waiting read ends with the next append", async () => {
		const log = await opened();
		await log.append(ACTORS, many(2));
		const { end } = await log.bounds(ACTORS);
		const since = performance.now();
		const waiting = log.read(ACTORS, end, { waitMs: 20_000, maxRecords: 10 });
		await log.append(ACTORS, [record("news")]);
		expect(texts(await waiting)).toEqual(["news"]);
		expect(performance.now() - since).toBeLessThan(10_000);
	});

	test("the bounds are the first offset kept and the one after the newest record", async () => {
		const log = await opened();
		expect(await log.bounds(ACTORS)).toEqual({ start: 0, end: 0 });
		const base = await log.append(ACTORS, many(7));
		expect(await log.bounds(ACTORS)).toEqual({ start: 0, end: base + 7 });
	});
}

function describeOwnership(opened: () => Promise<Log>, storage: () => Promise<LogStorage>): void {
	test("an owner gets what was there before and what is appended meanwhile, in order and none twice", async () => {
		const log = await opened();
		for (let i = 0; i < 5_000; i += 500) await log.append(ACTORS, many(500, i));
		const owner = new Collector();
		await log.own(["actors", "clients"], owner);
		// Appended while the owner still catches up: an acknowledgement must not overtake what is read.
		for (let i = 5_000; i < 5_200; i += 10) await log.append(ACTORS, many(10, i));
		await owner.until(5_200);
		expect(texts(owner.taken)).toEqual(numbers(5_200));
		expect(owner.assignedPartitions.toSorted()).toEqual(
			CONTRACT_TOPICS.flatMap(({ name: t }) => [0, 1, 2, 3].map((p) => `${t}/${p}`)),
		);
	});

	test("an owner gets its own appends from the offset it asked for", async () => {
		const log = await opened();
		const base = await log.append(ACTORS, many(10));
		const owner = new Collector(base + 7);
		await log.own(["actors"], owner);
		await log.append(ACTORS, many(5, 10));
		await owner.until(8);
		expect(texts(owner.taken)).toEqual(numbers(8, 7));
	});

	test("an owner slower than the appends gets everything", async () => {
		const log = await opened();
		const owner = new Collector(0, () => new Promise((resolve) => setTimeout(resolve, 5)));
		await log.own(["actors"], owner);
		for (let i = 0; i < 10_000; i += 500) await log.append(ACTORS, many(500, i));
		await owner.until(10_000);
		expect(texts(owner.taken)).toEqual(numbers(10_000));
	});

	test("the next log object takes over where the one before let go, without loss", async () => {
		const place = await storage();
		const first = await place.open();
		const before = new Collector();
		await first.own(["actors"], before);
		await first.append(ACTORS, many(30));
		await before.until(30);
		await first.close(CLOSE_MS);
		expect(before.revokedPartitions.toSorted()).toEqual([0, 1, 2, 3].map((p) => `actors/${p}`));
		const second = await place.open();
		onTestFinished(() => second.close(CLOSE_MS));
		await second.append(ACTORS, many(10, 30));
		const after = new Collector((before.taken.at(-1)?.offset ?? 0) + 1);
		await second.own(["actors"], after);
		await second.append(ACTORS, many(10, 40));
		await after.until(20);
		expect(texts(before.taken)).toEqual(numbers(30));
		expect(texts(after.taken)).toEqual(numbers(20, 30));
	});

	test("closing waits for the owner to let go, who may still append and is given nothing more", async () => {
		const log = await opened();
		const owner = new Collector();
		const last: number[] = [];
		owner.revoked = async (id) => {
			last.push(await log.append(id, many(1)));
		};
		await log.own(["actors"], owner);
		await log.close(CLOSE_MS);
		expect(last).toEqual([0, 0, 0, 0]);
		expect(owner.taken).toEqual([]);
	});
}

function describeStorage(opened: () => Promise<Log>, storage: () => Promise<LogStorage>): void {
	test("a log opened again has everything, and goes on after it", async () => {
		const place = await storage();
		const first = await place.open();
		const base = await first.append(ACTORS, many(20));
		await first.close(CLOSE_MS);
		const second = await place.open();
		onTestFinished(() => second.close(CLOSE_MS));
		expect(await second.append(ACTORS, many(1, 20))).toBeGreaterThanOrEqual(base + 20);
		expect(texts(await readAll(second, ACTORS))).toEqual(numbers(21));
	});

	test("a topic with another number of partitions is refused, naming both numbers", async () => {
		const place = await storage();
		const first = await place.open();
		await first.close(CLOSE_MS);
		const refused = place.open([{ name: "actors", partitions: 6 }]);
		await expect(refused).rejects.toMatchObject({
			code: "log.topic-mismatch",
			message: expect.stringMatching(/actors.*\b4\b.*\b6\b/),
		});
	});

	test("a closed log refuses everything, is not healthy, and can be closed again", async () => {
		const log = await opened();
		expect(log.health()).toEqual({ status: "healthy" });
		await Promise.all([log.close(CLOSE_MS), log.close(CLOSE_MS)]);
		await expect(log.append(ACTORS, many(1))).rejects.toMatchObject({ code: "log.closed" });
		await expect(log.read(ACTORS, 0, NOW)).rejects.toMatchObject({ code: "log.closed" });
		await expect(log.bounds(ACTORS)).rejects.toMatchObject({ code: "log.closed" });
		expect(log.health().status).toBe("unavailable");
	});
}

/** For drivers with a broker: `broker` is the address at which none answers. */
export function describeUnreachable(
	name: string,
	make: () => { log: Log; broker: string; deadlineMs: number },
): void {
	test(`the ${name} log without its broker is refused with addresses, attempts and time, and closes`, async () => {
		const { log, broker, deadlineMs } = make();
		const since = performance.now();
		const error = await log.open(CONTRACT_TOPICS).catch((cause: unknown) => cause);
		const elapsedMs = performance.now() - since;
		expect(error).toMatchObject({
			code: "log.unreachable",
			message: expect.stringContaining(broker),
			details: { brokers: [broker], attempts: expect.any(Number), elapsedMs: expect.any(Number) },
		});
		expect((error as { details: { attempts: number } }).details.attempts).toBeGreaterThan(1);
		expect(elapsedMs).toBeLessThan(deadlineMs + 1_000);
		await log.close(1_000);
	});
}
