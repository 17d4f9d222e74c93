/**
 * The tables of the embedded log: topics and records, with the statements on them. Owns the schema;
 * ownership, group commit and waiting are log-sqlite.ts.
 */
import type { Statement } from "better-sqlite3";
import { MycelogError } from "./errors.ts";
import type { LogRecord, NewRecord, PartitionBounds, PartitionId, TopicSpec } from "./log.ts";
import type { Sqlite } from "./sqlite-database.ts";

/** Records one trimming step deletes at most, so that appends are not held up. */
export const TRIM_STEP_RECORDS_MAX = 5_000;

interface TopicRow {
	readonly id: number;
	readonly name: string;
	readonly partitions: number;
}

type Row = [offset: number, timestamp: number, key: string, headers: string, value: Buffer];

export class SqliteRecords {
	readonly #database: Sqlite;
	readonly #topics = new Map<string, TopicRow>();
	readonly #insert: Statement;
	readonly #select: Statement;
	readonly #first: Statement;
	readonly #last: Statement;
	readonly #trim: Statement;

	constructor(database: Sqlite) {
		this.#database = database;
		if (!database.readonly) {
			database.exec(`
				CREATE TABLE IF NOT EXISTS topics (
					id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, partitions INTEGER NOT NULL
				);
				CREATE TABLE IF NOT EXISTS records (
					topic INTEGER NOT NULL, partition INTEGER NOT NULL, "offset" INTEGER NOT NULL,
					timestamp INTEGER NOT NULL, key TEXT NOT NULL, headers TEXT NOT NULL, value BLOB NOT NULL,
					PRIMARY KEY (topic, partition, "offset")
				) WITHOUT ROWID;
			`);
		}
		const of = "FROM records WHERE topic = ? AND partition = ?";
		this.#insert = database.prepare("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?)");
		this.#select = database
			.prepare(
				`SELECT "offset", timestamp, key, headers, value ${of} AND "offset" >= ? ORDER BY "offset" LIMIT ?`,
			)
			.raw();
		this.#first = database.prepare(`SELECT min("offset") ${of}`).pluck();
		this.#last = database.prepare(`SELECT max("offset") ${of}`).pluck();
		this.#trim = database.prepare(`DELETE ${of} AND "offset" <= ?`);
		this.#loadTopics();
	}

	/** Make missing topics. Throws `log.topic-mismatch` where one exists with another number of partitions. */
	ensureTopics(topics: readonly TopicSpec[]): void {
		const insert = this.#database.prepare("INSERT INTO topics (name, partitions) VALUES (?, ?)");
		for (const { name, partitions } of topics) {
			const found = this.#topics.get(name)?.partitions;
			if (found === undefined) insert.run(name, partitions);
			else if (found !== partitions) throw mismatch(name, found, partitions);
		}
		this.#loadTopics();
	}

	get topics(): Iterable<{ readonly name: string; readonly partitions: number }> {
		return this.#topics.values();
	}

	insert({ topic, partition }: PartitionId, offset: number, record: NewRecord): void {
		const { key, headers, value, timestamp } = record;
		this.#insert.run(this.#topic(topic), partition, offset, timestamp, key, JSON.stringify(headers), value);
	}

	read({ topic, partition }: PartitionId, from: number, limit: number): LogRecord[] {
		const rows = this.#select.all(this.#topic(topic), partition, from, limit) as Row[];
		return rows.map(([offset, timestamp, key, headers, value]) => ({
			offset,
			timestamp,
			key,
			headers: JSON.parse(headers),
			value,
		}));
	}

	bounds({ topic, partition }: PartitionId): PartitionBounds {
		const id = this.#topic(topic);
		const last = this.#last.get(id, partition) as number | null;
		if (last === null) return { start: 0, end: 0 };
		return { start: this.#first.get(id, partition) as number, end: last + 1 };
	}

	/** Delete records older than `before`, oldest first, never the newest one: it holds the partition's end. */
	trim(id: PartitionId, before: number): number {
		const { end } = this.bounds(id);
		const oldest = this.read(id, 0, TRIM_STEP_RECORDS_MAX);
		let cut = -1;
		for (const { offset, timestamp } of oldest) {
			if (timestamp >= before || offset === end - 1) break;
			cut = offset;
		}
		if (cut < 0) return 0;
		return this.#trim.run(this.#topic(id.topic), id.partition, cut).changes;
	}

	#topic(name: string): number {
		const topic = this.#topics.get(name);
		if (topic) return topic.id;
		const known = [...this.#topics.keys()].join(", ");
		throw new MycelogError("log.topic-mismatch", `no topic "${name}" in this log; found: ${known || "none"}`);
	}

	#loadTopics(): void {
		for (const row of this.#database.prepare("SELECT id, name, partitions FROM topics").all() as TopicRow[]) {
			this.#topics.set(row.name, row);
		}
	}
}

function mismatch(topic: string, found: number, required: number): MycelogError {
	return new MycelogError(
		"log.topic-mismatch",
		`topic "${topic}" has ${found} partitions, this node requires ${required}: start with --partitions ${found}`,
		{ topic, found, required },
	);
}
