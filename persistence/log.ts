/**
 * The log port: what every driver (SQLite, Kafka) promises to the runtime.
 * Owns the contract and its data types; knows no actors, no retries (see appender.ts) and no encoding.
 */
import type { BreakerState } from "./breaker.ts";
import { MycelogError } from "./errors.ts";

/** One ordered, durable sequence of records. `topic` is a logical name without the driver's prefix. */
export interface PartitionId {
	readonly topic: string;
	/** From 0. */
	readonly partition: number;
}

/** Text by name. */
export type RecordHeaders = Readonly<Record<string, string>>;

/** A record that is not in the log yet. */
export interface NewRecord {
	/** Actor address, or "" where a record belongs to no actor. */
	readonly key: string;
	readonly value: Uint8Array;
	readonly headers: RecordHeaders;
	/** Milliseconds since 1970, set by the appender's clock. */
	readonly timestamp: number;
}

/** A record as it lies in the log. */
export interface LogRecord extends NewRecord {
	/** Position in its partition; strictly increasing, gaps allowed (Kafka's transaction markers). */
	readonly offset: number;
}

/** A topic that must be there. */
export interface TopicSpec {
	/** Letters, digits, `.`, `_`, `-`. */
	readonly name: string;
	/** Fixed at creation. */
	readonly partitions: number;
	/** Milliseconds a record is kept; undefined: for ever. */
	readonly retentionMs?: number;
	/** And until a checkpoint of its partition's owner covers it (`uncovered`), however old it is. Default: false. */
	readonly keepsUncovered?: boolean;
	/**
	 * Only the newest record of each key has to be kept, and none where that one's value is empty. When older ones go
	 * is the driver's affair; readers meet gaps.
	 */
	readonly compacted?: boolean;
}

/** How much one read gives, and how long it waits. */
export interface ReadLimit {
	/** Most records to return. */
	readonly maxRecords: number;
	/** Milliseconds to wait for a first record when `from` is the end; 0 answers at once. */
	readonly waitMs: number;
}

/** First offset still kept, and the offset the next record will be at or after. */
export interface PartitionBounds {
	/** First offset that is kept. */
	readonly start: number;
	/** One behind the newest offset. */
	readonly end: number;
}

/** One process among those that share the partitions of a log. */
export interface Member {
	/** Of the node: of its processes only one counts. */
	readonly id: string;
	/** Of this process alone. */
	readonly name: string;
	/** Rises from one process of a node to the next. */
	readonly since: number;
}

/**
 * - `handed-over`: another process may have the partition once this one has made its state safe.
 * - `lost`: another process may have it already; nothing of it may be written any more.
 */
export type Release = "handed-over" | "lost";

/** Who processes owned partitions. Calls for one partition never overlap. */
export interface PartitionOwner {
	/** Prepare a partition; resolves to the offset to deliver from. Nothing is delivered before. */
	assigned(partition: PartitionId): Promise<number>;
	/** Let go of a partition: no record is delivered after this call began. Resolves once state is safe. */
	revoked(partition: PartitionId, how: Release): Promise<void>;
	/**
	 * Next records in offset order, none twice. The returned promise is the back-pressure. Rejected, nothing more of the
	 * partition is delivered; with `log.fenced` it is assigned anew, if it is still this owner's.
	 */
	records(partition: PartitionId, batch: readonly LogRecord[]): Promise<void> | void;
	/**
	 * The offset from which on no checkpoint covers an owned partition's records: what must be kept, however old. Asked
	 * only by drivers that let go of records themselves.
	 */
	uncovered?(partition: PartitionId): number;
	/** Names of all processes that share the log now, told before what the same change assigns; one of them leads. */
	members?(names: readonly string[], isLeader: boolean): void;
	/**
	 * The others went on without this process, which has let go of everything (`lost`). Resolves to whether it may take
	 * part again.
	 */
	expelled?(): Promise<boolean>;
}

/**
 * - `degraded`: requests fail or do not get on. `stuck`: as far as is known none do, so no new clients should come.
 * - `unavailable`: nothing gets anywhere. `retry`: the driver tries again by itself, and what it is given meanwhile is
 *   not tried; `attempts` have failed.
 */
export type LogHealth =
	| { readonly status: "healthy" }
	| { readonly status: "degraded"; readonly cause: string; readonly sinceMs: number; readonly stuck: boolean }
	| {
			readonly status: "unavailable";
			readonly cause: string;
			readonly sinceMs: number;
			readonly retry?: { readonly attempts: number; readonly nextTryMs: number };
	  };

/** Of probes, which write to a log and read back. */
export interface ProbeStats {
	/** Whether the log is left alone after failed ones. */
	readonly breaker: BreakerState;
	/** Probes that came back. */
	succeeded: number;
	/** Probes that did not. */
	failed: number;
	/** Times the log was left alone after failed ones. */
	opened: number;
	/** What the newest one that succeeded took, milliseconds. */
	lastMs: number;
}

/** The port of a log: append, read, own partitions. Drivers pass one suite of claims; docs/concepts/log.md. */
export interface Log {
	/** Driver name, shown to operators and asserted by tests: the backend really in use. */
	readonly driver: string;
	/** Where it lies, for errors and operators: brokers or a directory. */
	readonly addresses: readonly string[];
	/** Largest `value` accepted, bytes. A larger one is refused with `log.record-too-large`. */
	readonly maxRecordBytes: number;
	/** Drivers that need no probes have none. */
	readonly probes?: ProbeStats;

	/**
	 * Connect and make the topics that are missing. Rejects with `log.unreachable` (addresses, attempts,
	 * elapsed ms), `log.file-unusable` (path) or `log.topic-mismatch` (found, required).
	 */
	open(topics: readonly TopicSpec[]): Promise<void>;

	/**
	 * Append a batch to one partition, all or nothing, in order; resolves to the first record's offset (the
	 * others follow without gaps) once it is durable. Callers keep ONE append under way per partition: the
	 * Appender does. A rejection means unknown outcome unless its code says nothing was written.
	 */
	append(partition: PartitionId, records: readonly NewRecord[]): Promise<number>;

	/** Records from `from` on, in order. Rejects with `log.offset-trimmed` where `from` < start. */
	read(partition: PartitionId, from: number, limit: ReadLimit): Promise<LogRecord[]>;

	/**
	 * The records at these offsets, ascending; those that are not there are left out. Only of drivers for which one record
	 * costs no request: others are asked for what lies around.
	 */
	readAt?(partition: PartitionId, offsets: readonly number[]): Promise<LogRecord[]>;

	/** First offset kept and the one behind the newest. Rejects with `log.topic-mismatch` where there is none. */
	bounds(partition: PartitionId): Promise<PartitionBounds>;

	/**
	 * Take part in owning the partitions of `topics`, as `member` (default: one of its own) where several processes share the log. Resolves once
	 * the first assignment has been served (every assigned partition's `assigned` resolved), which may hold nothing
	 * while others let go. Called at most once per open log. Rejects with `log.group-refused`.
	 */
	own(topics: readonly string[], owner: PartitionOwner, member?: Member): Promise<void>;

	/**
	 * Names of the topics there are that begin so, and their removal with all they hold; one that is not there is no
	 * matter. Only of drivers that several nodes share.
	 */
	topics?(prefix: string): Promise<readonly string[]>;
	/** For good, records and all. Names as `topics` gives them. */
	removeTopics?(names: readonly string[]): Promise<void>;

	/**
	 * Where an owned partition ends as far as the driver knows without asking; 0: unknown. Only of drivers that several
	 * nodes share: elsewhere whoever appends knows.
	 */
	end?(partition: PartitionId): number;

	/** Judged by progress of the driver's own requests, not by the process being alive. */
	health(): LogHealth;

	/**
	 * Let the processes beside this one have every owned partition (`revoked` is awaited), and take none any more;
	 * appends and reads go on, and the others still count this process. Without others it keeps them. Drivers of one
	 * process have no such call.
	 */
	handOver?(): Promise<void>;

	/** Release owned partitions (`revoked` is awaited), then disconnect. Idempotent; ends within `deadlineMs`. */
	close(deadlineMs: number): Promise<void>;
}

/** What is asked of a log by those who only read it. */
export type ReadableLog = Pick<Log, "driver" | "maxRecordBytes" | "read" | "readAt" | "bounds">;

/** `log.record-too-large` of the first record that is; undefined: none is. */
export function oversizeError(records: readonly NewRecord[], limit: number): MycelogError | undefined {
	const bytes = records.find(({ value }) => value.length > limit)?.value.length;
	if (bytes === undefined) return undefined;
	const text = `a record of ${bytes} bytes is over the limit of ${limit} bytes`;
	return new MycelogError("log.record-too-large", text, { bytes, limit });
}

/** `topic/partition`, for maps and messages. */
export function partitionName({ topic, partition }: PartitionId): string {
	return `${topic}/${partition}`;
}
