/**
 * Snapshots and checkpoints in SQLite, beside either log. Owns their tables and checksums.
 * Flushed to disk less strictly than the log: what a power cut takes from here is folded again from there.
 */
import { crc32 } from "node:zlib";
import type { Statement } from "better-sqlite3";
import { MycelogError } from "./errors.ts";
import { type PartitionId, partitionName } from "./log.ts";
import type { Checkpoint, PendingTimer, SharedSnapshot, SnapshotStore, StoredSnapshot } from "./snapshots.ts";
import { openDatabase, type Sqlite } from "./sqlite-database.ts";

const SCHEMA = `
	CREATE TABLE IF NOT EXISTS snapshots (
		address TEXT PRIMARY KEY, topic TEXT NOT NULL, partition INTEGER NOT NULL, "offset" INTEGER NOT NULL,
		version INTEGER NOT NULL, state TEXT NOT NULL, timers TEXT NOT NULL, timer_at INTEGER, claim TEXT,
		checksum INTEGER NOT NULL
	) WITHOUT ROWID;
	CREATE INDEX IF NOT EXISTS snapshots_timers ON snapshots (topic, partition, timer_at) WHERE timer_at IS NOT NULL;
	CREATE INDEX IF NOT EXISTS snapshots_claims ON snapshots (topic, partition, claim) WHERE claim IS NOT NULL;
	CREATE TABLE IF NOT EXISTS checkpoints (
		topic TEXT NOT NULL, partition INTEGER NOT NULL, next INTEGER NOT NULL, watermarks TEXT NOT NULL,
		epoch INTEGER NOT NULL, checksum INTEGER NOT NULL, PRIMARY KEY (topic, partition)
	) WITHOUT ROWID;
	CREATE TABLE IF NOT EXISTS followed (partition INTEGER PRIMARY KEY, next INTEGER NOT NULL) WITHOUT ROWID;
`;

interface SnapshotRow {
	readonly address: string;
	readonly topic: string;
	readonly partition: number;
	readonly offset: number;
	readonly version: number;
	readonly state: string;
	readonly timers: string;
	readonly claim: string | null;
	readonly checksum: number;
}

const COLUMNS = 'address, topic, partition, "offset", version, state, timers, timer_at, claim, checksum';
const VALUES = "?, ?, ?, ?, ?, ?, ?, ?, ?, ?";
const REPLACED = COLUMNS.split(", ")
	.slice(1)
	.map((column) => `${column} = excluded.${column}`)
	.join(", ");

/** Of SqliteSnapshots. */
export interface SqliteSnapshotsOptions {
	readonly directory: string;
	/** For operators beside a live node. */
	readonly readOnly?: boolean;
}

/** Snapshots in one file. */
export class SqliteSnapshots implements SnapshotStore {
	readonly #database: Sqlite;
	readonly #load: Statement;
	readonly #loadAll: Statement;
	readonly #put: Statement;
	readonly #checkpoint: Statement;
	readonly #putNewer: Statement;
	readonly #putCheckpoint: Statement;
	readonly #putFollowed: Statement;
	readonly #stored: Statement;
	/** Partitions with snapshots, by name, once somebody asked. */
	#withRows: Set<string> | undefined;

	constructor({ directory, readOnly = false }: SqliteSnapshotsOptions) {
		const options = { readOnly, synchronous: "NORMAL", pageBytes: 4096, schema: SCHEMA } as const;
		this.#database = openDatabase(directory, "snapshots.db", options);
		this.#load = this.#database.prepare("SELECT * FROM snapshots WHERE address = ?");
		this.#loadAll = this.#database.prepare(
			"SELECT * FROM snapshots WHERE address IN (SELECT value FROM json_each(?))",
		);
		this.#checkpoint = this.#database.prepare("SELECT * FROM checkpoints WHERE topic = ? AND partition = ?");
		this.#put = this.#database.prepare(`REPLACE INTO snapshots (${COLUMNS}) VALUES (${VALUES})`);
		this.#putNewer = this.#database.prepare(
			`INSERT INTO snapshots (${COLUMNS}) VALUES (${VALUES}) ON CONFLICT (address) DO UPDATE SET ${REPLACED}
			 WHERE excluded."offset" > snapshots."offset"`,
		);
		this.#putCheckpoint = this.#database.prepare("REPLACE INTO checkpoints VALUES (?, ?, ?, ?, ?, ?)");
		this.#stored = this.#database.prepare(
			'SELECT "offset", length(state) + length(timers) AS bytes FROM snapshots WHERE address = ?',
		);
		this.#putFollowed = this.#database.prepare("REPLACE INTO followed VALUES (?, ?)");
	}

	load(address: string): StoredSnapshot | undefined {
		const row = this.#load.get(address) as SnapshotRow | undefined;
		if (!row) return undefined;
		const snapshot = snapshotIn(row);
		if (snapshot instanceof MycelogError) throw snapshot;
		return snapshot;
	}

	loadAll(addresses: readonly string[]): Map<string, StoredSnapshot | MycelogError> {
		const rows = this.#loadAll.all(JSON.stringify(addresses)) as SnapshotRow[];
		return new Map(rows.map((row) => [row.address, snapshotIn(row)]));
	}

	/** A damaged checkpoint counts as none: its partition is folded from the log's start. */
	checkpoint(partition: PartitionId): Checkpoint | undefined {
		const row = this.#checkpoint.get(partition.topic, partition.partition) as
			| { next: number; watermarks: string; epoch: number; checksum: number }
			| undefined;
		if (!row) return undefined;
		const { next, watermarks, epoch } = row;
		const checkpoint = { partition, next, watermarks, epoch };
		return checksumOfCheckpoint(checkpoint) === row.checksum ? checkpoint : undefined;
	}

	/** Throws `snapshot.not-written`; the checkpoint before stays. */
	save(checkpoint: Checkpoint, changed: readonly StoredSnapshot[], followedTo?: number): void {
		const { partition: id } = checkpoint;
		this.#write(() => {
			for (const snapshot of changed) this.#putRow(this.#put, id, snapshot);
			this.#writeCheckpoint(checkpoint);
			if (followedTo !== undefined) this.#putFollowed.run(id.partition, followedTo);
		});
	}

	followedTo(partition: number): number {
		const row = this.#database.prepare("SELECT next FROM followed WHERE partition = ?").get(partition);
		return (row as { next: number } | undefined)?.next ?? 0;
	}

	/** Throws `snapshot.not-written`; nothing is merged. */
	merge(
		partition: number,
		followedTo: number,
		checkpoints: readonly Checkpoint[],
		snapshots: readonly SharedSnapshot[],
	): void {
		this.#write(() => {
			for (const { topic, ...snapshot } of snapshots) {
				this.#putRow(this.#putNewer, { topic, partition }, snapshot);
			}
			for (const checkpoint of checkpoints) {
				const stored = this.checkpoint(checkpoint.partition);
				if (!stored || isNewer(checkpoint, stored)) this.#writeCheckpoint(checkpoint);
			}
			this.#putFollowed.run(partition, followedTo);
		});
	}

	stored(address: string): { offset: number; bytes: number } | undefined {
		return this.#stored.get(address) as { offset: number; bytes: number } | undefined;
	}

	timers({ topic, partition }: PartitionId): PendingTimer[] {
		return this.#database
			.prepare(
				`SELECT address, timer_at AS at FROM snapshots
				 WHERE topic = ? AND partition = ? AND timer_at IS NOT NULL ORDER BY timer_at`,
			)
			.all(topic, partition) as PendingTimer[];
	}

	claims({ topic, partition }: PartitionId): { readonly address: string; readonly claim: string }[] {
		return this.#database
			.prepare("SELECT address, claim FROM snapshots WHERE topic = ? AND partition = ? AND claim IS NOT NULL")
			.all(topic, partition) as { address: string; claim: string }[];
	}

	addresses(options: { prefix?: string; after?: string; limit: number }): string[] {
		const { prefix = "", after = "", limit } = options;
		// A range on the key instead of a test of every row: there are far more clients than workspaces.
		return this.#database
			.prepare(
				`SELECT address FROM snapshots
				 WHERE address > ? AND address >= ? AND address < ? ORDER BY address LIMIT ?`,
			)
			.pluck()
			.all(after, prefix, `${prefix}\u{10ffff}`, limit) as string[];
	}

	forget(id: PartitionId, from: number): void {
		const { topic, partition } = id;
		this.#database.transaction(() => {
			// Without an index this looks at every row, and most partitions of a young log have none.
			if (this.#partitionsWithRows().has(partitionName(id))) {
				this.#database
					.prepare('DELETE FROM snapshots WHERE topic = ? AND partition = ? AND "offset" >= ?')
					.run(topic, partition, from);
			}
			this.#database
				.prepare("DELETE FROM checkpoints WHERE topic = ? AND partition = ?")
				.run(topic, partition);
		})();
	}

	close(): void {
		this.#database.close();
	}

	/** Looked up once; a partition whose rows were all deleted may stay in it. */
	#partitionsWithRows(): Set<string> {
		this.#withRows ??= new Set(
			(this.#database.prepare("SELECT DISTINCT topic, partition FROM snapshots").all() as PartitionId[]).map(
				partitionName,
			),
		);
		return this.#withRows;
	}

	#write(work: () => void): void {
		try {
			this.#database.transaction(work)();
		} catch (cause) {
			const text = `snapshots could not be stored: ${(cause as Error).message}`;
			throw new MycelogError("snapshot.not-written", text, {}, { cause });
		}
	}

	#putRow(put: Statement, id: PartitionId, snapshot: StoredSnapshot): void {
		const { topic, partition } = id;
		this.#withRows?.add(partitionName(id));
		const { address, offset, version, state, timers: list, claim = null } = snapshot;
		const timers = JSON.stringify(list);
		const timerAt = list.length === 0 ? null : Math.min(...list.map(({ at }) => at));
		const checksum = checksumOf({ address, topic, partition, offset, version, state, timers, claim });
		put.run(address, topic, partition, offset, version, state, timers, timerAt, claim, checksum);
	}

	#writeCheckpoint(checkpoint: Checkpoint): void {
		const { partition: id, next, watermarks, epoch } = checkpoint;
		const checksum = checksumOfCheckpoint(checkpoint);
		this.#putCheckpoint.run(id.topic, id.partition, next, watermarks, epoch, checksum);
	}
}

/** A later owner's counts, however far an earlier one has got meanwhile. */
function isNewer(a: Checkpoint, b: Checkpoint): boolean {
	return a.epoch > b.epoch || (a.epoch === b.epoch && a.next > b.next);
}

function snapshotIn(row: SnapshotRow): StoredSnapshot | MycelogError {
	const { address, offset, version, state, timers, claim, checksum: found } = row;
	const expected = checksumOf(row);
	if (expected !== found) {
		const text = `the snapshot of ${address} does not match its checksum`;
		return new MycelogError("snapshot.corrupt", text, { address, expected, found });
	}
	const stored = { address, offset, version, state, timers: JSON.parse(timers) };
	return claim ? { ...stored, claim } : stored;
}

function checksumOfCheckpoint({ next, watermarks, epoch }: Checkpoint): number {
	return crc32(`${next}\n${epoch}\n${watermarks}`);
}

function checksumOf(row: Omit<SnapshotRow, "checksum">): number {
	const { address, topic, partition, offset, version, state, timers, claim } = row;
	return crc32(JSON.stringify([address, topic, partition, offset, version, claim, timers, state]));
}
