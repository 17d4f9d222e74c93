/**
 * The history index: where in its partition the records of each actor lie, and states on the way, so that one actor's
 * history costs its own length. A cache in SQLite beside either log: it may be deleted at any time. Owns its tables; what
 * the entries mean and how the index is kept up with the log is runtime/history-index.ts.
 */
import type { Statement } from "better-sqlite3";
import type { PartitionId } from "./log.ts";
import type { StoredTimer } from "./snapshots.ts";
import { memoryDatabase, openDatabase, type Sqlite } from "./sqlite-database.ts";

/** Of the tables: a file of another one is emptied. */
const FORM = 1;

const SCHEMA = `
	CREATE TABLE IF NOT EXISTS partitions (
		id INTEGER PRIMARY KEY, topic TEXT NOT NULL, partition INTEGER NOT NULL, start INTEGER NOT NULL,
		next INTEGER NOT NULL, tip TEXT NOT NULL, watermarks TEXT NOT NULL, UNIQUE (topic, partition)
	);
	CREATE TABLE IF NOT EXISTS actors (
		id INTEGER PRIMARY KEY, partition INTEGER NOT NULL, address TEXT NOT NULL, UNIQUE (partition, address)
	);
	CREATE TABLE IF NOT EXISTS types (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
	CREATE TABLE IF NOT EXISTS entries (
		actor INTEGER NOT NULL, "offset" INTEGER NOT NULL, timestamp INTEGER NOT NULL, kind INTEGER NOT NULL,
		repeat INTEGER NOT NULL, type INTEGER NOT NULL, PRIMARY KEY (actor, "offset")
	) WITHOUT ROWID;
	CREATE TABLE IF NOT EXISTS marks (
		partition INTEGER NOT NULL, "offset" INTEGER NOT NULL, PRIMARY KEY (partition, "offset")
	) WITHOUT ROWID;
	CREATE TABLE IF NOT EXISTS keyframes (
		actor INTEGER NOT NULL, code TEXT NOT NULL, "offset" INTEGER NOT NULL, version INTEGER NOT NULL,
		state TEXT NOT NULL, timers TEXT NOT NULL, PRIMARY KEY (actor, code, "offset")
	) WITHOUT ROWID;
	CREATE TABLE IF NOT EXISTS codes (code TEXT PRIMARY KEY, used INTEGER NOT NULL) WITHOUT ROWID;
`;
/** Ids of actors and types, each, that are kept in memory. */
const IDS_KNOWN_MAX = 10_000;
/** A node and the commands beside it, and each of them as it was before. */
const CODES_KEPT = 4;
const TABLES = ["partitions", "actors", "types", "entries", "marks", "keyframes", "codes"];

export interface IndexEntry {
	readonly offset: number;
	readonly timestamp: number;
	/** As the runtime counts them. */
	readonly kind: number;
	readonly repeat: boolean;
	readonly type: string;
}

export interface IndexedRecord extends IndexEntry {
	readonly address: string;
	/** To be found again without its actor: what operators did. */
	readonly marked: boolean;
}

/** Up to where a partition is indexed. */
export interface IndexState {
	/** First offset that the log kept when it was last looked at. */
	readonly start: number;
	/** First offset not in the index. */
	readonly next: number;
	/** Of the newest record in it: whether the log is still the same. */
	readonly tip: string;
	/** Newest output seen of each source, as the partition's owner keeps them. */
	readonly watermarks: string;
}

export interface Keyframe {
	/** Of the last message in it. */
	readonly offset: number;
	readonly version: number;
	readonly state: string;
	readonly timers: readonly StoredTimer[];
}

export interface EntryRange {
	/** Inclusive. */
	readonly from: number;
	/** Exclusive. */
	readonly before: number;
	readonly newestFirst?: boolean;
	readonly limit: number;
	/** Only these kinds. */
	readonly kinds: readonly number[];
	readonly type?: string | undefined;
	/** Milliseconds since 1970, inclusive. */
	readonly since?: number | undefined;
	readonly until?: number | undefined;
	readonly repeats?: boolean | undefined;
}

interface EntryRow {
	readonly offset: number;
	readonly timestamp: number;
	readonly kind: number;
	readonly repeat: number;
	readonly type: string;
}

/** The tables of an index, in a file or in memory. */
export class HistoryIndexStore {
	readonly #database: Sqlite;
	readonly #ids = new Map<string, number>();
	readonly #types = new Map<string, number>();
	readonly #insert: Statement;
	readonly #mark: Statement;
	readonly #state: Statement;
	readonly #actor: Statement;

	/** In memory where there is no directory: for a directory that cannot be written to, and for tests. */
	constructor(directory?: string) {
		const schema = SCHEMA;
		this.#database =
			directory === undefined
				? memoryDatabase(schema)
				: openDatabase(directory, "history.db", {
						readOnly: false,
						synchronous: "NORMAL",
						pageBytes: 4096,
						schema,
					});
		this.#empty();
		this.#insert = this.#database.prepare("INSERT OR IGNORE INTO entries VALUES (?, ?, ?, ?, ?, ?)");
		this.#mark = this.#database.prepare("INSERT OR IGNORE INTO marks VALUES (?, ?)");
		this.#state = this.#database.prepare("SELECT * FROM partitions WHERE topic = ? AND partition = ?");
		this.#actor = this.#database.prepare("SELECT id FROM actors WHERE partition = ? AND address = ?").pluck();
	}

	/** Undefined: nothing of it is indexed. */
	state(id: PartitionId): IndexState | undefined {
		return this.#state.get(id.topic, id.partition) as IndexState | undefined;
	}

	/** False: somebody else has put in these records meanwhile; look again. `before`: the state that this goes on from. */
	extend(
		id: PartitionId,
		before: IndexState | undefined,
		next: IndexState,
		records: readonly IndexedRecord[],
	): boolean {
		return this.#database
			.transaction(() => {
				if ((this.state(id)?.next ?? -1) !== (before?.next ?? -1)) return false;
				const { topic, partition } = id;
				const { start, next: end, tip, watermarks } = next;
				this.#database
					.prepare(
						`INSERT INTO partitions (topic, partition, start, next, tip, watermarks) VALUES (?, ?, ?, ?, ?, ?)
						 ON CONFLICT DO UPDATE SET start = excluded.start, next = excluded.next, tip = excluded.tip,
						 watermarks = excluded.watermarks`,
					)
					.run(topic, partition, start, end, tip, watermarks);
				const row = this.#partition(id);
				for (const { address, offset, timestamp, kind, repeat, type, marked } of records) {
					if (marked) this.#mark.run(row, offset);
					const actor = this.#idOf(row, address);
					this.#insert.run(actor, offset, timestamp, kind, repeat ? 1 : 0, this.#typeOf(type));
				}
				return true;
			})
			.immediate();
	}

	/** Of one actor, in the order asked for. */
	entries(id: PartitionId, address: string, range: EntryRange): IndexEntry[] {
		const actor = this.#find(id, address);
		if (actor === undefined) return [];
		const { from, before, newestFirst, limit, kinds, type, since, until, repeats } = range;
		const conditions = [`actor = ? AND "offset" >= ? AND "offset" < ?`, `kind IN (${kinds.join(", ")})`];
		const values: (number | string)[] = [actor, from, before];
		const where = (condition: string, value: number | string | undefined) => {
			if (value === undefined) return;
			conditions.push(condition);
			values.push(value);
		};
		where("timestamp >= ?", since);
		where("timestamp <= ?", until);
		where("name = ?", type);
		where("repeat = ?", repeats === undefined ? undefined : Number(repeats));
		const rows = this.#database
			.prepare(
				`SELECT "offset", timestamp, kind, repeat, name AS type FROM entries JOIN types ON types.id = type
				 WHERE ${conditions.join(" AND ")} ORDER BY "offset" ${newestFirst ? "DESC" : "ASC"} LIMIT ?`,
			)
			.all(...values, limit) as EntryRow[];
		return rows.map((row) => ({ ...row, repeat: row.repeat === 1 }));
	}

	/** Offsets of marked records, ascending. */
	marks(id: PartitionId): number[] {
		if (!this.state(id)) return [];
		const select = 'SELECT "offset" FROM marks WHERE partition = ? ORDER BY "offset"';
		return this.#database.prepare(select).pluck().all(this.#partition(id)) as number[];
	}

	/** The newest one before `before` that was made by this code. */
	keyframe(id: PartitionId, address: string, code: string, before: number): Keyframe | undefined {
		const actor = this.#find(id, address);
		if (actor === undefined) return undefined;
		const row = this.#database
			.prepare(
				`SELECT "offset", version, state, timers FROM keyframes
				 WHERE actor = ? AND code = ? AND "offset" < ? ORDER BY "offset" DESC LIMIT 1`,
			)
			.get(actor, code, before) as (Omit<Keyframe, "timers"> & { timers: string }) | undefined;
		return row && { ...row, timers: JSON.parse(row.timers) as StoredTimer[] };
	}

	/** States of this code are used from now on; those of codes used longer ago than CODES_KEPT others go. */
	use(code: string, now: number): void {
		this.#database.transaction(() => {
			this.#database.prepare("REPLACE INTO codes VALUES (?, ?)").run(code, now);
			const old = "SELECT code FROM codes ORDER BY used DESC LIMIT -1 OFFSET ?";
			const codes = this.#database.prepare(old).pluck().all(CODES_KEPT) as string[];
			for (const one of codes) {
				this.#database.prepare("DELETE FROM keyframes WHERE code = ?").run(one);
				this.#database.prepare("DELETE FROM codes WHERE code = ?").run(one);
			}
		})();
	}

	/** One whose actor is in the index. */
	putKeyframe(id: PartitionId, address: string, code: string, frame: Keyframe): void {
		const actor = this.#find(id, address);
		if (actor === undefined) return;
		const { offset, version, state, timers } = frame;
		this.#database
			.prepare("REPLACE INTO keyframes VALUES (?, ?, ?, ?, ?, ?)")
			.run(actor, code, offset, version, state, JSON.stringify(timers));
	}

	/** What the log does not keep any more: states made from it too, as nobody could check them. */
	trim(id: PartitionId, start: number): void {
		const row = this.#partition(id);
		const inPartition = "actor IN (SELECT id FROM actors WHERE partition = ?)";
		this.#database.transaction(() => {
			this.#database.prepare(`DELETE FROM entries WHERE ${inPartition} AND "offset" < ?`).run(row, start);
			this.#database.prepare(`DELETE FROM keyframes WHERE ${inPartition} AND "offset" < ?`).run(row, start);
			this.#database.prepare('DELETE FROM marks WHERE partition = ? AND "offset" < ?').run(row, start);
			this.#database.prepare("UPDATE partitions SET start = ? WHERE id = ?").run(start, row);
		})();
	}

	/** The log is another one. */
	forget(id: PartitionId): void {
		if (!this.state(id)) return;
		const row = this.#partition(id);
		const inPartition = "actor IN (SELECT id FROM actors WHERE partition = ?)";
		this.#database.transaction(() => {
			this.#database.prepare(`DELETE FROM entries WHERE ${inPartition}`).run(row);
			this.#database.prepare(`DELETE FROM keyframes WHERE ${inPartition}`).run(row);
			this.#database.prepare("DELETE FROM marks WHERE partition = ?").run(row);
			this.#database.prepare("DELETE FROM actors WHERE partition = ?").run(row);
			this.#database.prepare("DELETE FROM partitions WHERE id = ?").run(row);
		})();
		this.#ids.clear();
	}

	/** Nothing is asked or written any more. */
	close(): void {
		this.#database.close();
	}

	#empty(): void {
		const form = this.#database.pragma("user_version", { simple: true });
		if (form === FORM) return;
		if (form !== 0) {
			for (const table of TABLES) this.#database.exec(`DROP TABLE IF EXISTS ${table}`);
			this.#database.exec(SCHEMA);
		}
		this.#database.pragma(`user_version = ${FORM}`);
	}

	#partition(id: PartitionId): number {
		return (this.#state.get(id.topic, id.partition) as { id: number }).id;
	}

	#find(id: PartitionId, address: string): number | undefined {
		const row = this.#state.get(id.topic, id.partition) as { id: number } | undefined;
		return row && (this.#actor.get(row.id, address) as number | undefined);
	}

	/** Call inside a transaction. */
	#idOf(partition: number, address: string): number {
		const key = `${partition} ${address}`;
		const known = this.#ids.get(key);
		if (known !== undefined) return known;
		const insert = "INSERT OR IGNORE INTO actors (partition, address) VALUES (?, ?)";
		this.#database.prepare(insert).run(partition, address);
		const found = this.#actor.get(partition, address) as number;
		if (this.#ids.size >= IDS_KNOWN_MAX) this.#ids.clear();
		this.#ids.set(key, found);
		return found;
	}

	#typeOf(name: string): number {
		const known = this.#types.get(name);
		if (known !== undefined) return known;
		this.#database.prepare("INSERT OR IGNORE INTO types (name) VALUES (?)").run(name);
		const found = this.#database.prepare("SELECT id FROM types WHERE name = ?").pluck().get(name) as number;
		if (this.#types.size >= IDS_KNOWN_MAX) this.#types.clear();
		this.#types.set(name, found);
		return found;
	}
}
