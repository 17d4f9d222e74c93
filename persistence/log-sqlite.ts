/**
 * The embedded log: one SQLite file, one process, the same partitions, offsets and ownership as Kafka.
 * Owns group commit and the hand-over of committed records to their owner; tables are sqlite-records.ts.
 */
import { MycelogError } from "./errors.ts";
import type {
	Log,
	LogHealth,
	LogRecord,
	NewRecord,
	PartitionBounds,
	PartitionId,
	PartitionOwner,
	ReadLimit,
	TopicSpec,
} from "./log.ts";
import { partitionName } from "./log.ts";
import { OwnedPartition } from "./owned-partition.ts";
import { lockDirectory, openDatabase, type Sqlite } from "./sqlite-database.ts";
import { SqliteRecords } from "./sqlite-records.ts";

/** Bytes of a record's value by default, as on a Kafka broker with default settings. */
export const RECORD_BYTES_MAX_DEFAULT = 1_000_000;
/** Records a page while an owner catches up. */
const CATCH_UP_PAGE_RECORDS = 1_000;
/** How often old records are trimmed, milliseconds. */
const TRIM_EVERY_MS = 30_000;

export interface SqliteLogOptions {
	readonly directory: string;
	/** What an acknowledged record survives: a power cut, or the death of the process. Default: power. */
	readonly durability?: "power" | "process";
	/** Beside a live node: `read` and `bounds` only. */
	readonly readOnly?: boolean;
	readonly maxRecordBytes?: number;
	/** Told when an owner's handler failed and its partition has stopped. */
	readonly onOwnerError?: (partition: PartitionId, error: unknown) => void;
}

interface Waiting {
	readonly id: PartitionId;
	readonly records: readonly NewRecord[];
	readonly resolve: (base: number) => void;
	readonly reject: (error: unknown) => void;
}

export class SqliteLog implements Log {
	readonly driver = "sqlite";
	readonly maxRecordBytes: number;
	readonly #options: SqliteLogOptions;
	#lock: Sqlite | undefined;
	#database: Sqlite | undefined;
	#table: SqliteRecords | undefined;
	#specs: readonly TopicSpec[] = [];
	readonly #ends = new Map<string, number>();
	readonly #owned = new Map<string, OwnedPartition>();
	readonly #pollers = new Map<string, Set<() => void>>();
	#owner: PartitionOwner | undefined;
	#waiting: Waiting[] = [];
	#trimming: NodeJS.Timeout | undefined;
	#closing = false;

	constructor(options: SqliteLogOptions) {
		this.#options = options;
		this.maxRecordBytes = options.maxRecordBytes ?? RECORD_BYTES_MAX_DEFAULT;
	}

	async open(topics: readonly TopicSpec[]): Promise<void> {
		const { directory, durability, readOnly = false } = this.#options;
		if (!readOnly) this.#lock = lockDirectory(directory);
		const synchronous = durability === "process" ? "NORMAL" : "FULL";
		this.#database = openDatabase(directory, "log.db", { readOnly, synchronous });
		this.#table = new SqliteRecords(this.#database);
		if (readOnly) return;
		this.#table.ensureTopics(topics);
		this.#specs = topics;
		for (const { name: topic, partitions } of topics) {
			for (let partition = 0; partition < partitions; partition++) {
				this.#ends.set(partitionName({ topic, partition }), this.#table.bounds({ topic, partition }).end);
			}
		}
		this.#trimming = setInterval(() => this.trim(Date.now()), TRIM_EVERY_MS).unref();
	}

	append(id: PartitionId, records: readonly NewRecord[]): Promise<number> {
		const oversize = records.find((record) => record.value.length > this.maxRecordBytes);
		if (oversize) return Promise.reject(this.#oversize(oversize));
		return new Promise((resolve, reject) => {
			if (!this.#table || this.#options.readOnly) return reject(this.#closed());
			// What the event loop brings in one turn leaves in one transaction: one flush to disk for all of it.
			if (this.#waiting.push({ id, records, resolve, reject }) === 1) setImmediate(() => this.#commit());
		});
	}

	async read(id: PartitionId, from: number, limit: ReadLimit): Promise<LogRecord[]> {
		const table = this.#open();
		const { start } = table.bounds(id);
		if (from < start) {
			const text = `offset ${from} of ${partitionName(id)} is gone; the first one kept is ${start}`;
			throw new MycelogError("log.offset-trimmed", text, { offset: from, start });
		}
		const records = table.read(id, from, limit.maxRecords);
		if (records.length > 0 || limit.waitMs === 0) return records;
		await this.#news(partitionName(id), limit.waitMs);
		return this.#table ? this.#table.read(id, from, limit.maxRecords) : [];
	}

	async bounds(id: PartitionId): Promise<PartitionBounds> {
		return this.#open().bounds(id);
	}

	async own(topics: readonly string[], owner: PartitionOwner): Promise<void> {
		this.#open();
		this.#owner = owner;
		for (const { name: topic, partitions } of this.#specs) {
			if (!topics.includes(topic)) continue;
			for (let partition = 0; partition < partitions; partition++) {
				const id = { topic, partition };
				const next = await owner.assigned(id);
				const stopped = (error: unknown) => this.#options.onOwnerError?.(id, error);
				const owned = new OwnedPartition(id, next, owner, stopped);
				this.#owned.set(partitionName(id), owned);
				this.#catchUp(owned, stopped);
			}
		}
	}

	health(): LogHealth {
		if (this.#table && !this.#closing) return { status: "healthy" };
		return { status: "unavailable", cause: "the log is closed", sinceMs: 0 };
	}

	async close(deadlineMs: number): Promise<void> {
		if (this.#closing) return;
		this.#closing = true;
		clearInterval(this.#trimming);
		await within(deadlineMs, this.#release());
		this.#commit();
		for (const wake of this.#pollers.values()) for (const poller of wake) poller();
		this.#database?.close();
		this.#lock?.close();
		this.#database = this.#lock = this.#table = undefined;
	}

	/** Delete what is older than its topic's retention, a bounded step a partition. */
	trim(now: number): number {
		let trimmed = 0;
		for (const { name: topic, partitions, retentionMs } of this.#specs) {
			if (retentionMs === undefined) continue;
			for (let partition = 0; partition < partitions; partition++) {
				trimmed += this.#table?.trim({ topic, partition }, now - retentionMs) ?? 0;
			}
		}
		return trimmed;
	}

	async #release(): Promise<void> {
		const owned = [...this.#owned.values()];
		await Promise.all(owned.map((partition) => partition.release()));
		this.#owned.clear();
		for (const { id } of owned) await this.#owner?.revoked(id);
	}

	#commit(): void {
		const batch = this.#waiting;
		if (batch.length === 0) return;
		this.#waiting = [];
		const stored: LogRecord[][] = [];
		try {
			this.#write(batch, stored);
		} catch (cause) {
			const text = `the embedded log could not write: ${(cause as Error).message}`;
			for (const { reject } of batch) reject(new MycelogError("log.append-failed", text, {}, { cause }));
			return;
		}
		for (let i = 0; i < batch.length; i++) {
			const { id, resolve } = batch[i] as Waiting;
			const records = stored[i] as LogRecord[];
			this.#ends.set(partitionName(id), (records.at(-1)?.offset ?? -1) + 1);
			resolve(records[0]?.offset ?? 0);
		}
		for (let i = 0; i < batch.length; i++) this.#handOver((batch[i] as Waiting).id, stored[i] as LogRecord[]);
	}

	#write(batch: readonly Waiting[], stored: LogRecord[][]): void {
		const table = this.#table;
		if (!this.#database || !table) throw this.#closed();
		const ends = new Map<string, number>();
		this.#database.transaction(() => {
			for (const { id, records } of batch) {
				const name = partitionName(id);
				let offset = ends.get(name) ?? this.#ends.get(name) ?? 0;
				stored.push(
					records.map((record) => {
						table.insert(id, offset, record);
						return { ...record, offset: offset++ };
					}),
				);
				ends.set(name, offset);
			}
		})();
	}

	#handOver(id: PartitionId, records: LogRecord[]): void {
		const name = partitionName(id);
		const owned = this.#owned.get(name);
		if (owned && !owned.offer(records, true)) this.#catchUp(owned, () => {});
		const pollers = this.#pollers.get(name);
		if (pollers) for (const wake of [...pollers]) wake();
	}

	/** Read from the table what the owner could not be given from memory. */
	#catchUp(owned: OwnedPartition, failed: (error: unknown) => void): void {
		if (owned.catchingUp) return;
		owned.catchingUp = true;
		const run = async () => {
			while (this.#table && this.#owned.get(partitionName(owned.id)) === owned) {
				const page = this.#table.read(owned.id, owned.next, CATCH_UP_PAGE_RECORDS);
				if (page.length === 0) return;
				if (!owned.offer(page, false)) await owned.drained();
				else await new Promise((resolve) => setImmediate(resolve));
			}
		};
		run()
			.catch(failed)
			.finally(() => {
				owned.catchingUp = false;
			});
	}

	#news(name: string, waitMs: number): Promise<void> {
		return new Promise((resolve) => {
			const pollers = this.#pollers.get(name) ?? new Set();
			this.#pollers.set(name, pollers);
			const wake = () => {
				clearTimeout(timer);
				pollers.delete(wake);
				resolve();
			};
			const timer = setTimeout(wake, waitMs);
			pollers.add(wake);
		});
	}

	#open(): SqliteRecords {
		if (!this.#table) throw this.#closed();
		return this.#table;
	}

	#closed(): MycelogError {
		return new MycelogError("log.closed", `the log in ${this.#options.directory} is not open for this`);
	}

	#oversize(record: NewRecord): MycelogError {
		const bytes = record.value.length;
		const limit = this.maxRecordBytes;
		return new MycelogError(
			"log.record-too-large",
			`a record of ${bytes} bytes is over the limit of ${limit}`,
			{
				bytes,
				limit,
			},
		);
	}
}

async function within(deadlineMs: number, work: Promise<void>): Promise<void> {
	let timer: NodeJS.Timeout | undefined;
	const deadline = new Promise<void>((resolve) => {
		timer = setTimeout(resolve, deadlineMs);
	});
	await Promise.race([work, deadline]);
	clearTimeout(timer);
}
