/** Histories by the index: the same as by reading the whole partition, whatever was asked before, and what is read for it. */
import { expect, test } from "vitest";
import type { MycelogError } from "../../persistence/errors.ts";
import { HistoryIndexStore } from "../../persistence/history-index.ts";
import type { Log, LogRecord } from "../../persistence/log.ts";
import { type HistoryEntry, type HistoryOptions, history } from "../../runtime/history.ts";
import { HistoryIndex, KEYFRAME_EVERY_MESSAGES } from "../../runtime/history-index.ts";
import { encodeBody, recordOf } from "../../runtime/message.ts";
import type { OperatorParts, ScanProgress } from "../../runtime/operator.ts";
import { type Replay, replay } from "../../runtime/replay.ts";
import { MemoryLog, MemoryStorage } from "../../testing/memory-log.ts";
import { Random } from "../../testing/random.ts";
import { VirtualTime } from "../../testing/virtual-time.ts";
import { counterBehaviour } from "../kit/counter.ts";
import { temporaryDirectory } from "../kit/runtime-node.ts";

const ID = { topic: "actors", partition: 0 };
const behaviours = new Map([["counter", counterBehaviour]]);

async function listOf<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
	const list: Item[] = [];
	for await (const item of items) list.push(item);
	return list;
}

async function openLog(storage = new MemoryStorage()): Promise<MemoryLog> {
	const log = new MemoryLog({ storage, clock: new VirtualTime() });
	await log.open([{ name: "actors", partitions: 1 }]);
	return log;
}

/** So many messages of some counters, with queries, failures and repeats. */
async function filled(seed: number, records: number, counters = 4): Promise<MemoryLog> {
	const random = new Random(seed);
	const log = await openLog();
	const all: ReturnType<typeof recordOf>[] = [];
	let time = 1_000;
	for (let i = 0; i < records; i++) {
		time += random.between(0, 50);
		const before = all.at(-1 - random.between(0, 3));
		if (before && random.chance(0.05)) {
			all.push({ ...before, timestamp: time });
			continue;
		}
		const type = random.pick(["add", "add", "add", "relay", "fail", "total", "arm"]) as string;
		const fields = { by: i, to: "counter/0", delayMs: 10 };
		const kind = type === "total" ? "query" : "command";
		const to = `counter/${random.between(0, counters - 1)}`;
		const from = random.chance(0.5) ? `counter/${random.between(0, counters - 1)}` : undefined;
		const draft = {
			to,
			kind,
			type,
			body: encodeBody({ type, ...fields }),
			...(from ? { from } : undefined),
		} as const;
		all.push(recordOf(draft, { source: "n~1", major: i, minor: 0 }, time));
	}
	for (let i = 0; i < all.length; i += 1_000) await log.append(ID, all.slice(i, i + 1_000));
	return log;
}

function plainEntry(entry: HistoryEntry): unknown {
	return JSON.parse(JSON.stringify({ ...entry, value: entry.value }));
}

function partsOf(log: Log, index?: HistoryIndex): OperatorParts {
	return { log, behaviours, partitions: 1, ...(index ? { index } : undefined) };
}

test("a history by the index is the one that the whole partition gives: forwards, backwards, in pages, filtered, at every offset", async () => {
	const seed = Date.now() % 100_000;
	console.log(`seed ${seed}`);
	const random = new Random(seed);
	const log = await filled(seed, 1_400, 3);
	const index = new HistoryIndex(new HistoryIndexStore(), "a");
	const address = "counter/1";
	const whole = (await listOf(history(partsOf(log), address, { everything: true }))).map(
		plainEntry,
	) as HistoryEntry[];
	const shown = (options: HistoryOptions) => {
		const {
			from = 0,
			to = 9e9,
			everything,
			type,
			sender,
			since = 0,
			until = 9e15,
			outcome,
			newestFirst,
			limit,
		} = options;
		const found = whole.filter(
			(e) =>
				e.offset >= from &&
				e.offset <= to &&
				(everything || e.kind !== "query") &&
				(type === undefined || e.type === type) &&
				(sender === undefined || (e.from ?? "") === sender) &&
				e.timestamp >= since &&
				e.timestamp <= until &&
				(outcome === undefined || e.outcome === outcome),
		);
		return (newestFirst ? found.toReversed() : found).slice(0, limit);
	};
	const end = (await log.bounds(ID)).end;
	const maybe = <Value>(value: Value): Value | undefined => (random.chance(0.4) ? value : undefined);
	// Before its first message there is no such actor.
	const first = whole[0]?.offset ?? 0;
	for (let i = 0; i < 15; i++) {
		const options: HistoryOptions = {
			from: maybe(random.between(0, end)),
			to: maybe(random.between(first, end)),
			everything: maybe(true),
			type: maybe(random.pick(["add", "relay", "fail"]) as string),
			sender: maybe(random.pick(["", "counter/0", "counter/1"]) as string),
			since: maybe(random.between(0, 60_000)),
			until: maybe(random.between(40_000, 120_000)),
			outcome: maybe(random.pick(["folded", "failed", "repeat"] as const)),
			newestFirst: random.chance(0.5),
			limit: maybe(random.between(1, 250)),
		};
		const found = (await listOf(history(partsOf(log, index), address, options))).map(plainEntry);
		expect(found, JSON.stringify(options)).toEqual(shown(options));
	}
	const changes = whole.filter(({ kind, outcome }) => kind !== "query" && outcome !== "repeat");
	for (let i = 0; i < 10; i++) {
		const { offset, timestamp } = random.pick(changes) as HistoryEntry;
		const {
			begun: _,
			records: _r,
			failed: _f,
			repeats: _p,
			...found
		} = await replay(partsOf(log, index), address, { to: offset });
		const {
			begun: _b,
			records,
			failed: _a,
			repeats: _s,
			...expected
		} = await replay(partsOf(log), address, { to: offset });
		expect(found).toEqual(expected);
		expect(found.offset).toBe(offset);
		expect(records).toBeGreaterThan(0);
		// Several may have been written in one millisecond: the newest of them counts.
		const newest = changes.findLast((entry) => entry.timestamp <= timestamp) as HistoryEntry;
		expect((await replay(partsOf(log, index), address, { at: timestamp })).offset).toBe(newest.offset);
	}
});

test("a page out of a long history reads its own records and at most as many as lie between two kept states", async () => {
	const log = await filled(7, 12_000, 12);
	const index = new HistoryIndex(new HistoryIndexStore(), "a");
	const parts = partsOf(log, index);
	await listOf(history(parts, "counter/3", {}));
	let read = 0;
	const reading = log.read.bind(log);
	log.read = async (...args) => {
		const page = await reading(...args);
		read += page.length;
		return page;
	};
	const page = await listOf(history(parts, "counter/3", { newestFirst: true, limit: 100 }));
	expect(page).toHaveLength(100);
	// What lies between is read with them: twelve actors, and queries and repeats among their messages.
	expect(read).toBeLessThan((KEYFRAME_EVERY_MESSAGES + 100) * 16);
	expect((await replay(parts, "counter/3", { to: page[0]?.offset })).begun).toBeGreaterThan(0);
});

test("who is in a hurry hears how far a long pass is, who is not waits for it, and all share the one that reads each record once", async () => {
	const log = await filled(11, 7_000);
	const index = new HistoryIndex(new HistoryIndexStore(), "a");
	const steps: number[] = [];
	const gates = [1, 2, 3].map(() => Promise.withResolvers<void>());
	const reading = log.read.bind(log);
	log.read = async (id, from, limit) => {
		// One record alone is the last that is known, read to see whether the log is the same.
		if (limit.maxRecords > 1) await gates[steps.push(from) - 1]?.promise;
		return reading(id, from, limit);
	};
	gates[0]?.resolve();
	const told: ScanProgress[] = [];
	const patient = index.extend(log, ID, 7_000, (progress) => told.push(progress));
	await expect(index.hurried(200).extend(log, ID, 7_000)).rejects.toMatchObject({
		code: "operator.indexing",
		message: "the history index takes up actors/0: 2,000 of 7,000 records so far",
		details: { partition: "actors/0", scanned: 2_000, total: 7_000 },
	});
	const short = index.hurried(60_000).extend(log, ID, 6_500);
	for (const gate of gates) gate.resolve();
	expect(await patient).toMatchObject({ next: 7_000 });
	expect(await short).toMatchObject({ next: 7_000 });
	expect(steps).toEqual([0, 2_000, 4_000, 6_000]);
	expect(told.at(-1)).toEqual({ scanned: 7_000, total: 7_000 });
});

test("a state far into a long history is come to by asking again: each answer is further than the one before, and the last is right", async () => {
	const log = await filled(13, 3_000, 1);
	const index = new HistoryIndex(new HistoryIndexStore(), "a");
	await index.extend(log, ID, 3_000);
	// In so great a hurry that each kept state on the way is one too many.
	const parts = partsOf(log, index.hurried(0));
	const scanned: number[] = [];
	let found: Replay | undefined;
	while (!found) {
		found = await replay(parts, "counter/0").catch((error: MycelogError) => {
			expect(error.code).toBe("operator.indexing");
			scanned.push(error.details["total"] as number);
			return undefined;
		});
	}
	// What is left to fold.
	expect(scanned.length).toBeGreaterThan(5);
	expect(scanned).toEqual([...new Set(scanned)].sort((left, right) => right - left));
	expect(found.value).toEqual((await replay(partsOf(log), "counter/0")).value);
	const [newest] = await listOf(history(parts, "counter/0", { newestFirst: true, limit: 1 }));
	expect(newest?.value).toEqual(found.value);
});

test("a pass that fails is told to all who wait for it, and the next one begins where it was", async () => {
	const log = await filled(12, 4_500);
	const index = new HistoryIndex(new HistoryIndexStore(), "a");
	const reading = log.read.bind(log);
	log.read = async (id, from, limit) => {
		if (from >= 2_000) throw new Error("the log is away");
		return reading(id, from, limit);
	};
	const asked = [1, 2].map(() => index.extend(log, ID, 4_500));
	for (const one of asked) await expect(one).rejects.toThrow("the log is away");
	log.read = reading;
	const told: ScanProgress[] = [];
	await index.extend(log, ID, 4_500, (progress) => told.push(progress));
	expect(told.at(-1)).toEqual({ scanned: 2_500, total: 2_500 });
});

test("an index goes on where it was, is trimmed with the log, and begins anew with another log", async () => {
	const directory = temporaryDirectory();
	try {
		const storage = new MemoryStorage();
		const log = await openLog(storage);
		const one = (n: number): ReturnType<typeof recordOf> =>
			recordOf(
				{ to: "counter/0", kind: "command", type: "add", body: encodeBody({ type: "add", by: n }) },
				{ source: "n~1", major: n, minor: 0 },
				1_000 + n,
			);
		await log.append(ID, [one(1), one(2), one(3)]);
		const open = () => new HistoryIndex(new HistoryIndexStore(directory.path), "a");
		const offsets = async (index: HistoryIndex, of: Log) =>
			(await listOf(history(partsOf(of, index), "counter/0"))).map(({ offset }) => offset);
		const [first, second] = [open(), open()];
		expect(await offsets(first, log)).toEqual([0, 1, 2]);
		await log.append(ID, [one(4)]);
		// Two processes beside each other put in what they find once.
		expect(await Promise.all([offsets(first, log), offsets(second, log)])).toEqual([
			[0, 1, 2, 3],
			[0, 1, 2, 3],
		]);
		storage.trim(ID, 2);
		expect(await offsets(second, log)).toEqual([2, 3]);
		first.close();
		second.close();
		const other = await openLog();
		await other.append(ID, [one(11), one(12), one(13), one(14), one(15)]);
		const third = open();
		expect(await offsets(third, other)).toEqual([0, 1, 2, 3, 4]);
		third.close();
	} finally {
		directory.remove();
	}
});

test("following goes on behind the index with what is repeated still known", async () => {
	const log = await filled(3, 100, 1);
	const index = new HistoryIndex(new HistoryIndexStore(), "a");
	const ending = new AbortController();
	const found: HistoryEntry[] = [];
	const last = log.all(ID).at(-1) as LogRecord;
	const following = (async () => {
		for await (const entry of history(partsOf(log, index), "counter/0", {
			from: 90,
			follow: ending.signal,
			everything: true,
		})) {
			found.push(entry);
			if (entry.offset === 99) await log.append(ID, [{ ...last, timestamp: 9e9 }]);
			if (entry.offset === 100) ending.abort(new Error("enough"));
		}
	})();
	await expect(following).rejects.toThrow("enough");
	expect(found.map(({ offset }) => offset)).toEqual([90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 100]);
	expect(found.at(-1)?.outcome).toBe("repeat");
});

test("offsets that the log does not have are refused with what it has; an actor that is not there is not found", async () => {
	const log = await filled(3, 100, 1);
	const parts = partsOf(log, new HistoryIndex(new HistoryIndexStore(), "a"));
	const trimmed = { code: "log.offset-trimmed", message: expect.stringMatching(/keeps 0 to 99/) };
	for (const one of [parts, partsOf(log)]) {
		await expect(replay(one, "counter/0", { to: 100 })).rejects.toMatchObject(trimmed);
		await expect(listOf(history(one, "counter/0", { from: 101 }))).rejects.toMatchObject(trimmed);
		expect(await listOf(history(one, "counter/0", { from: 100 }))).toEqual([]);
		for (const newestFirst of [true, false]) {
			const nobody = listOf(history(one, "counter/nobody", { newestFirst }));
			await expect(nobody).rejects.toMatchObject({ code: "actor.not-found" });
		}
		await expect(replay(one, "counter/0", { at: 5 })).rejects.toMatchObject({ code: "actor.not-found" });
	}
	log.storage.trim(ID, 50);
	await expect(replay(parts, "counter/0", { to: 49 })).rejects.toMatchObject({ code: "log.offset-trimmed" });
	await expect(listOf(history(parts, "counter/0", { from: 49 }))).rejects.toMatchObject({
		code: "log.offset-trimmed",
	});
});
