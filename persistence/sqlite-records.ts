/**
 * The tables of the embedded log: topics and records, with the statements on them. Owns the schema;
 * ownership, group commit and waiting are log-sqlite.ts.
 */
import type { Statement } from "better-sqlite3";
import { MycelogError } from "./errors.ts";
import type { LogRecord, NewRecord, PartitionBounds, PartitionId, TopicSpec } from "./log.ts";
import type { Sqlite } from "./sqlite-database.ts";

/** Bytes of values one read returns at most (or one record): pages of large records stay small in memory. */
export const READ_BYTES_MAX = 16 * 1024 * 1024;
/**
 * Rows fetched at a time: at first so few that they are not many bytes whatever they hold, then more while they are
 * small. One by one they cost a third more.
 */
const ROWS_FIRST = 16;
const ROWS_GROWTH = 4;
/** Values up to so many bytes are fetched as hex text: a buffer of the driver's own each costs half as much as the row. */
const HEX_BYTES_MAX = 256;
/** Rows inserted by one statement: one by one they cost half as much again. */
const ROWS_INSERTED = 16;

export const RECORDS_SCHEMA = `
	CREATE TABLE IF NOT EXISTS topics (
		id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, partitions INTEGER NOT NULL
	);
	CREATE TABLE IF NOT EXISTS records (
		topic INTEGER NOT NULL, partition INTEGER NOT NULL, "offset" INTEGER NOT NULL,
		timestamp INTEGER NOT NULL, key TEXT NOT NULL, headers TEXT NOT NULL, value BLOB NOT NULL,
		PRIMARY KEY (topic, partition, "offset")
	) WITHOUT ROWID;
`;

interface TopicRow {
	readonly id: number;
	readonly name: string;
	readonly partitions: number;
}

type Row = [offset: number, timestamp: number, key: string, headers: string, value: Buffer | string];

const ROW = `"offset", timestamp, key, headers, CASE WHEN length(value) <= ${HEX_BYTES_MAX} THEN hex(value) ELSE value END`;

export class SqliteRecords {
	readonly #database: Sqlite;
	readonly #topics = new Map<string, TopicRow>();
	readonly #insert: Statement;
	readonly #insertRows: Statement;
	readonly #select: Statement;
	readonly #ages: Statement;
	readonly #first: Statement;
	readonly #last: Statement;
	readonly #trim: Statement;

	constructor(database: Sqlite) {
		this.#database = database;
		const of = "FROM records WHERE topic = ? AND partition = ?";
		const page = `${of} AND "offset" >= ? ORDER BY "offset" LIMIT ?`;
		this.#insert = database.prepare(insertion(1));
		this.#insertRows = database.prepare(insertion(ROWS_INSERTED));
		this.#select = database.prepare(`SELECT ${ROW} ${page}`).raw();
		this.#ages = database.prepare(`SELECT "offset", timestamp ${page}`).raw();
		this.#first = database.prepare(`SELECT min("offset") ${of}`).pluck();
		this.#last = database.prepare(`SELECT max("offset") ${of}`).pluck();
		this.#trim = database.prepare(`DELETE ${of} AND "offset" <= ?`);
		this.#loadTopics();
	}

	/** Make missing topics, unless opened to read only. Throws `log.topic-mismatch` with found and required. */
	ensureTopics(topics: readonly TopicSpec[]): void {
		for (const { name, partitions } of topics) {
			const found = this.#topics.get(name)?.partitions;
			if (found === undefined && !this.#database.readonly) {
				this.#database.prepare("INSERT INTO topics (name, partitions) VALUES (?, ?)").run(name, partitions);
			} else if (found !== partitions) throw mismatch(name, found ?? 0, partitions);
		}
		this.#loadTopics();
	}

	topics(): { readonly topic: string; readonly partitions: number }[] {
		return [...this.#topics.values()].map(({ name: topic, partitions }) => ({ topic, partitions }));
	}

	/** Throws `log.topic-mismatch` where there is no such partition. */
	check({ topic, partition }: PartitionId): number {
		const row = this.#topics.get(topic);
		if (row && partition >= 0 && partition < row.partitions) return row.id;
		const found = [...this.#topics.values()].map((known) => `${known.name} (${known.partitions} partitions)`);
		const text = `no partition ${partition} of topic "${topic}" in this log; found: ${found.join(", ") || "none"}`;
		throw new MycelogError("log.topic-mismatch", text, { topic, partition });
	}

	/** Write something that changes nothing. */
	touch(): void {
		this.#database.prepare("UPDATE topics SET partitions = partitions").run();
	}

	/** Call inside a transaction. Returns the records as they are stored, the first at offset `base`. */
	insert(id: PartitionId, base: number, records: readonly NewRecord[]): LogRecord[] {
		const topic = this.check(id);
		for (let at = 0; at < records.length; ) {
			const rows = records.length - at < ROWS_INSERTED ? 1 : ROWS_INSERTED;
			const values: unknown[] = [];
			for (const { key, value, headers, timestamp } of records.slice(at, at + rows)) {
				values.push(topic, id.partition, base + at++, timestamp, key, JSON.stringify(headers), value);
			}
			(rows === 1 ? this.#insert : this.#insertRows).run(values);
		}
		return records.map(({ key, value, headers, timestamp }, i) => {
			return { key, value, headers, timestamp, offset: base + i };
		});
	}

	/** Fewer than `limit` records also where the next one would pass READ_BYTES_MAX. */
	read(id: PartitionId, from: number, limit: number): LogRecord[] {
		const topic = this.check(id);
		const records: LogRecord[] = [];
		let bytes = 0;
		let rows = ROWS_FIRST;
		while (records.length < limit) {
			const next = (records.at(-1)?.offset ?? from - 1) + 1;
			const asked = Math.min(rows, limit - records.length);
			const chunk = this.#select.all(topic, id.partition, next, asked) as Row[];
			for (const record of recordsIn(chunk)) {
				bytes += record.value.length;
				if (bytes > READ_BYTES_MAX && records.length > 0) return records;
				records.push(record);
			}
			if (chunk.length < asked) break;
			const fitting = Math.floor(((READ_BYTES_MAX - bytes) * records.length) / Math.max(bytes, 1));
			rows = Math.max(1, Math.min(ROWS_GROWTH * rows, fitting));
		}
		return records;
	}

	/** Those that are there, in the order of the offsets. */
	readAt(id: PartitionId, offsets: readonly number[]): LogRecord[] {
		const topic = this.check(id);
		const rows: Row[] = [];
		for (const at of offsets) {
			const row = this.#select.get(topic, id.partition, at, 1) as Row | undefined;
			if (row?.[0] === at) rows.push(row);
		}
		return recordsIn(rows);
	}

	bounds(id: PartitionId): PartitionBounds {
		const topic = this.check(id);
		const last = this.#last.get(topic, id.partition) as number | null;
		if (last === null) return { start: 0, end: 0 };
		return { start: this.#first.get(topic, id.partition) as number, end: last + 1 };
	}

	/**
	 * Delete records older than `before` and below `keepFrom` from the start on, at most `most`, never the newest one: it
	 * holds the partition's end, and offsets must not be given twice. Returns how many were deleted.
	 */
	trim(id: PartitionId, before: number, most: number, keepFrom = Number.POSITIVE_INFINITY): number {
		const topic = this.check(id);
		const newest = this.#last.get(topic, id.partition) as number | null;
		let cut = -1;
		for (const row of this.#ages.iterate(topic, id.partition, 0, most)) {
			const [offset, timestamp] = row as [number, number];
			if (timestamp >= before || offset >= keepFrom || offset === newest) break;
			cut = offset;
		}
		return cut < 0 ? 0 : this.#trim.run(topic, id.partition, cut).changes;
	}

	#loadTopics(): void {
		for (const row of this.#database.prepare("SELECT id, name, partitions FROM topics").all() as TopicRow[]) {
			this.#topics.set(row.name, row);
		}
	}
}

/** Headers are parsed as one text and small values share one buffer: one by one all of it takes half as long again. */
function recordsIn(rows: readonly Row[]): LogRecord[] {
	const headers = JSON.parse(`[${rows.map((row) => row[3]).join(",")}]`) as LogRecord["headers"][];
	if (headers.length !== rows.length) throw new Error("the headers of a stored record are not one object");
	const texts = rows.map(({ 4: value }) => (typeof value === "string" ? value : ""));
	const small = Buffer.from(texts.join(""), "hex");
	let end = 0;
	return rows.map(([offset, timestamp, key, , stored], i) => {
		const start = end;
		if (typeof stored === "string") end += stored.length / 2;
		const value = typeof stored === "string" ? small.subarray(start, end) : stored;
		return { key, value, headers: headers[i] as LogRecord["headers"], timestamp, offset };
	});
}

function insertion(rows: number): string {
	return `INSERT INTO records VALUES ${new Array(rows).fill("(?, ?, ?, ?, ?, ?, ?)").join(", ")}`;
}

function mismatch(topic: string, found: number, required: number): MycelogError {
	const advice = found === 0 ? "is this the right data directory?" : `start with --partitions ${found}`;
	const text = `topic "${topic}" has ${found} partitions, ${required} are required: ${advice}`;
	return new MycelogError("log.topic-mismatch", text, { topic, found, required });
}
