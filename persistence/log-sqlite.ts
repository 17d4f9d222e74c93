/**
 * The embedded log: one SQLite file, one process, the same partitions, offsets and ownership as Kafka.
 * Owns group commit and the hand-over of committed records to their owner; tables are sqlite-records.ts.
 */
import { endsWithin } from "./deadline.ts";
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
import { oversizeError, partitionName } from "./log.ts";
import { OwnedPartition } from "./owned-partition.ts";
import { lockDirectory, openDatabase, type Sqlite } from "./sqlite-database.ts";
import { RECORDS_SCHEMA, SqliteRecords } from "./sqlite-records.ts";

/** Bytes of a record's value by default, as on a Kafka broker with default settings. */
export const RECORD_BYTES_MAX_DEFAULT = 1_000_000;
/** Records a page while an owner catches up. */
const CATCH_UP_PAGE_RECORDS_MAX = 1_000;
/** How often old records are looked for, milliseconds. */
const TRIM_EVERY_MS = 30_000;
/** Records one trimming step deletes at most, and the pause before the next: appends are not held up. */
export const TRIM_STEP_RECORDS_MAX = 2_000;
const TRIM_PAUSE_MS = 50;
/** Of log.db: 64 records of 650 bytes a transaction took a fifth less time than with SQLite's 4,096. */
const PAGE_BYTES = 8192;
/**
 * A commit waits at most half as long as the last one took, and never longer than this, milliseconds, for as many
 * records as half of the last one had: those it acknowledged are about to be answered.
 */
const GROUP_WAIT_MS_MAX = 1;

/** Of a SqliteLog. */
export interface SqliteLogOptions {
	readonly directory: string;
	/** What an acknowledged record survives: a power cut, or only the death of the process. Default: power. */
	readonly durability?: "power" | "process";
	/** Beside a live node: `read` and `bounds` only, the topics must exist. Default: false. */
	readonly readOnly?: boolean;
	/** Largest value, bytes. Default: RECORD_BYTES_MAX_DEFAULT. */
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

/** The embedded log: one file, one process that writes. */
export class SqliteLog implements Log {
	readonly driver = "sqlite";
	readonly addresses: readonly string[];
	/** Bytes of one record. */
	readonly maxRecordBytes: number;
	readonly #options: SqliteLogOptions;
	#lock: Sqlite | undefined;
	#database: Sqlite | undefined;
	#table: SqliteRecords | undefined;
	#specs: readonly TopicSpec[] = [];
	readonly #ends = new Map<string, number>();
	readonly #owned = new Map<string, OwnedPartition>();
	readonly #stopped = new Set<OwnedPartition>();
	readonly #pollers = new Map<string, Set<() => void>>();
	#owner: PartitionOwner | undefined;
	#waiting: Waiting[] = [];
	#waitingRecords = 0;
	#waitingSince = 0;
	/** What the next commit waits for: so many records, so many milliseconds at most. */
	#group = { records: 0, waitMs: 0 };
	#trimming: NodeJS.Timeout | undefined;
	#failing: { readonly cause: string; readonly since: number } | undefined;
	#closed: Promise<void> | undefined;

	constructor(options: SqliteLogOptions) {
		this.#options = options;
		this.addresses = [options.directory];
		this.maxRecordBytes = options.maxRecordBytes ?? RECORD_BYTES_MAX_DEFAULT;
	}

	async open(topics: readonly TopicSpec[]): Promise<void> {
		const { directory, durability, readOnly = false } = this.#options;
		const synchronous = durability === "process" ? "NORMAL" : "FULL";
		try {
			if (!readOnly) this.#lock = lockDirectory(directory);
			const schema = RECORDS_SCHEMA;
			const pageBytes = PAGE_BYTES;
			this.#database = openDatabase(directory, "log.db", { readOnly, synchronous, pageBytes, schema });
			const table = new SqliteRecords(this.#database);
			table.ensureTopics(topics);
			this.#table = table;
		} catch (error) {
			this.#disconnect();
			throw error;
		}
		this.#specs = topics;
		if (!readOnly) this.#trimAfter(TRIM_EVERY_MS);
	}

	append(id: PartitionId, records: readonly NewRecord[]): Promise<number> {
		return new Promise((resolve, reject) => {
			this.#writable().check(id);
			const oversize = oversizeError(records, this.maxRecordBytes);
			if (oversize) throw oversize;
			// What the event loop brings in one turn leaves in one transaction: one flush to disk for all of it.
			this.#waitingRecords += records.length;
			if (this.#waiting.push({ id, records, resolve, reject }) > 1) return;
			this.#waitingSince = performance.now();
			setImmediate(() => this.#commitOrWait());
		});
	}

	async read(id: PartitionId, from: number, limit: ReadLimit): Promise<LogRecord[]> {
		const table = this.#readable();
		const { start } = table.bounds(id);
		if (from < start) {
			const text = `offset ${from} of ${partitionName(id)} is gone; the first one kept is ${start}`;
			throw new MycelogError("log.offset-trimmed", text, { offset: from, start });
		}
		const records = table.read(id, from, limit.maxRecords);
		if (records.length > 0 || limit.waitMs === 0) return records;
		await this.#news(partitionName(id), limit.waitMs);
		return this.#readable().read(id, from, limit.maxRecords);
	}

	async readAt(id: PartitionId, offsets: readonly number[]): Promise<LogRecord[]> {
		return this.#readable().readAt(id, offsets);
	}

	async bounds(id: PartitionId): Promise<PartitionBounds> {
		return this.#readable().bounds(id);
	}

	async own(topics: readonly string[], owner: PartitionOwner): Promise<void> {
		this.#writable();
		this.#owner = owner;
		for (const id of partitionsOf(this.#specs)) {
			if (!topics.includes(id.topic)) continue;
			const owned = new OwnedPartition(id, await owner.assigned(id), owner, (error) =>
				this.#stop(owned, error),
			);
			this.#owned.set(partitionName(id), owned);
			this.#catchUp(owned);
		}
	}

	health(): LogHealth {
		if (!this.#table) return { status: "unavailable", cause: "the log is not open", sinceMs: 0 };
		if (!this.#failing) return { status: "healthy" };
		return { status: "unavailable", cause: this.#failing.cause, sinceMs: Date.now() - this.#failing.since };
	}

	close(deadlineMs: number): Promise<void> {
		this.#closed ??= this.#close(deadlineMs);
		return this.#closed;
	}

	/** One bounded step of retention, and a write where the last one failed. Never past an owner's checkpoint. Returns how many records it deleted; TRIM_STEP_RECORDS_MAX: there are more. */
	trim(now: number): number {
		const table = this.#writable();
		let left = TRIM_STEP_RECORDS_MAX;
		const failing = this.#failing;
		this.#database?.transaction(() => {
			// A node whose disk was full takes no new clients: without this it would wait for an append that nobody makes.
			if (failing) table.touch();
			for (const spec of this.#specs) {
				if (spec.retentionMs === undefined) continue;
				for (const id of partitionsOf([spec])) {
					if (left <= 0) break;
					const owner = this.#owned.has(partitionName(id)) ? this.#owner : undefined;
					left -= table.trim(id, now - spec.retentionMs, left, owner?.uncovered?.(id));
				}
			}
		})();
		if (failing) this.#failing = undefined;
		return TRIM_STEP_RECORDS_MAX - left;
	}

	#trimAfter(delayMs: number): void {
		this.#trimming = setTimeout(() => {
			let trimmed = 0;
			try {
				trimmed = this.trim(Date.now());
			} catch (error) {
				this.#failed(error as Error);
			}
			this.#trimAfter(trimmed === TRIM_STEP_RECORDS_MAX ? TRIM_PAUSE_MS : TRIM_EVERY_MS);
		}, delayMs).unref();
	}

	async #close(deadlineMs: number): Promise<void> {
		clearTimeout(this.#trimming);
		try {
			await endsWithin(deadlineMs, this.#release());
		} finally {
			this.#commitWaiting();
			this.#disconnect();
			for (const wake of [...this.#pollers.values()].flatMap((pollers) => [...pollers])) wake();
		}
	}

	#disconnect(): void {
		this.#database?.close();
		this.#lock?.close();
		this.#database = this.#lock = this.#table = undefined;
	}

	/** Appends still work meanwhile: an owner's last checkpoint waits for its outputs. */
	async #release(): Promise<void> {
		const owned = [...this.#owned.values()];
		await Promise.all(owned.map((partition) => partition.release()));
		this.#owned.clear();
		await Promise.all(owned.map(({ id }) => this.#owner?.revoked(id, "handed-over")));
	}

	/** A flush costs the same for one record and for a hundred, and many answers to the last one come a bit later. */
	#commitOrWait(): void {
		const { records, waitMs } = this.#group;
		const waited = performance.now() - this.#waitingSince;
		if (this.#waitingRecords < records && waited < waitMs) setImmediate(() => this.#commitOrWait());
		else this.#commitWaiting();
	}

	#commitWaiting(): void {
		const batch = this.#waiting;
		const records = this.#waitingRecords;
		this.#waiting = [];
		this.#waitingRecords = 0;
		if (batch.length === 0) return;
		const since = performance.now();
		this.#commit(batch);
		const waitMs = Math.min((performance.now() - since) / 2, GROUP_WAIT_MS_MAX);
		this.#group = { records: Math.floor(records / 2), waitMs };
	}

	#commit(batch: readonly Waiting[]): void {
		let stored: LogRecord[][];
		const bases: number[] = [];
		const ends = new Map<string, number>();
		try {
			stored = this.#write(batch, bases, ends);
		} catch (cause) {
			// What one of them cannot store must not fail the others that shared its transaction.
			if (batch.length > 1) for (const waiting of batch) this.#commit([waiting]);
			else batch[0]?.reject(this.#failed(cause as Error));
			return;
		}
		this.#failing = undefined;
		for (const [name, end] of ends) this.#ends.set(name, end);
		for (let i = 0; i < batch.length; i++) (batch[i] as Waiting).resolve(bases[i] as number);
		for (let i = 0; i < batch.length; i++) this.#handOver((batch[i] as Waiting).id, stored[i] as LogRecord[]);
	}

	/** One transaction. Fills `bases`, the first offset of each append, and `ends`, of each partition touched. */
	#write(batch: readonly Waiting[], bases: number[], ends: Map<string, number>): LogRecord[][] {
		const table = this.#writable();
		const insert = ({ id, records }: Waiting) => {
			const name = partitionName(id);
			const base = ends.get(name) ?? this.#ends.get(name) ?? table.bounds(id).end;
			bases.push(base);
			ends.set(name, base + records.length);
			return table.insert(id, base, records);
		};
		return (this.#database as Sqlite).transaction(() => batch.map(insert))();
	}

	#failed(cause: Error): MycelogError {
		if (MycelogError.is(cause)) return cause;
		const text = `the embedded log could not write: ${cause.message}`;
		this.#failing ??= { cause: text, since: Date.now() };
		return new MycelogError("log.append-failed", text, {}, { cause });
	}

	#handOver(id: PartitionId, records: readonly LogRecord[]): void {
		const name = partitionName(id);
		const owned = this.#owned.get(name);
		// Refused while the owner still reads older records from the table: it will come to these.
		if (owned && !owned.offer(records, false)) this.#catchUp(owned);
		const pollers = this.#pollers.get(name);
		if (pollers) for (const wake of [...pollers]) wake();
	}

	/** Read from the table what the owner could not be given from memory. */
	#catchUp(owned: OwnedPartition): void {
		if (owned.catchingUp) return;
		owned.catchingUp = true;
		void this.#catchUpPages(owned)
			.catch((error: unknown) => this.#stop(owned, error))
			.finally(() => {
				owned.catchingUp = false;
			});
	}

	async #catchUpPages(owned: OwnedPartition): Promise<void> {
		const name = partitionName(owned.id);
		while (this.#table && this.#owned.get(name) === owned && !this.#stopped.has(owned)) {
			const page = this.#table.read(owned.id, owned.next, CATCH_UP_PAGE_RECORDS_MAX);
			if (page.length === 0) return;
			if (!owned.offer(page, true)) await owned.drained();
			// Sockets and other partitions get their turn between two pages.
			await new Promise((resolve) => setImmediate(resolve));
		}
	}

	#stop(owned: OwnedPartition, error: unknown): void {
		this.#stopped.add(owned);
		this.#options.onOwnerError?.(owned.id, error);
	}

	/** Resolves at the next append to the partition, or after `waitMs`. */
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

	#readable(): SqliteRecords {
		if (this.#table) return this.#table;
		throw new MycelogError("log.closed", `the log in ${this.#options.directory} is not open`);
	}

	#writable(): SqliteRecords {
		if (!this.#options.readOnly) return this.#readable();
		throw new MycelogError("log.closed", `the log in ${this.#options.directory} was opened to read only`);
	}
}

function* partitionsOf(topics: readonly TopicSpec[]): Generator<PartitionId> {
	for (const { name: topic, partitions } of topics) {
		for (let partition = 0; partition < partitions; partition++) yield { topic, partition };
	}
}
