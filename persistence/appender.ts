/**
 * Micro-batching in front of a log: one append under way per partition, all that waits meanwhile is the next.
 * Owns queues, retries and deadlines; never changes the order within a partition.
 *
 * Why order must hold over retries: receivers drop a record whose number is not above the newest seen from the same
 * source. A record that overtook a failed one would make the failed one look like a repeat, and lose it.
 */
import { MycelogError } from "./errors.ts";
import { type Log, type NewRecord, oversizeError, type PartitionId, partitionName } from "./log.ts";

/** Records and bytes that leave in one append. */
export const APPEND_BATCH_RECORDS_MAX = 500;
export const APPEND_BATCH_BYTES_MAX = 900 * 1024;
/** Records and bytes queued for one partition, under way included; past it `append` refuses. */
export const APPEND_QUEUE_RECORDS_MAX = 20_000;
export const APPEND_QUEUE_BYTES_MAX = 64 * 1024 * 1024;
/** Bytes queued for all partitions together: with many of them the bound of each would not protect the memory. */
export const APPEND_TOTAL_BYTES_MAX = 256 * 1024 * 1024;
/** Pause before a failed batch is tried again, milliseconds: doubles from the first to the last. */
const RETRY_MS_FIRST = 50;
const RETRY_MS_MAX = 2_000;
/** How late after its deadline a caller may be told, milliseconds; also while the log does not answer at all. */
export const DEADLINE_SWEEP_MS = 100;

/** Of one append. */
export interface AppendOptions {
	/** Milliseconds since 1970 after which the caller is told that it failed. */
	readonly deadlineAt?: number;
	/**
	 * The runtime's own outputs: tried until they are in or the appender is closed, and not refused by the queue's
	 * bound, because their producer stops reading its mailbox instead.
	 */
	readonly retryForever?: boolean;
}

/** Counts since the start, and what waits now. */
export interface AppenderStats {
	/** Waiting or under way. */
	queuedRecords: number;
	/** Bytes of what waits or is under way. */
	queuedBytes: number;
	/** Acknowledged. */
	batches: number;
	/** Records acknowledged. */
	records: number;
	/** Batches that were sent again. */
	retries: number;
	/** Never queued. */
	refused: number;
	/** Rejected at their deadline. */
	expired: number;
}

/** Time and chance, so that tests can have their own. */
export interface AppenderTime {
	/** Milliseconds since 1970. */
	now(): number;
	/** Run once after `delayMs`; returns a function that cancels it. */
	after(delayMs: number, callback: () => void): () => void;
	/** At least 0, below 1. */
	random(): number;
	/**
	 * Run once, when this turn of the event loop has brought what it brings. Without it the first record of a turn
	 * would leave alone, and all others wait for its acknowledgement.
	 */
	turn(callback: () => void): void;
}

const SYSTEM_TIME: AppenderTime = {
	now: () => Date.now(),
	after: (delayMs, callback) => {
		const timer = setTimeout(callback, delayMs);
		return () => clearTimeout(timer);
	},
	random: () => Math.random(),
	turn: setImmediate,
};

interface Entry {
	readonly record: NewRecord;
	readonly deadlineAt: number;
	readonly since: number;
	readonly resolve: (offset: number) => void;
	readonly reject: (error: unknown) => void;
	/** Its caller was told while it was under way: it is not tried again. */
	expired: boolean;
}

interface Queue {
	readonly id: PartitionId;
	waiting: Entry[];
	/** The batch under way, or pausing before it is tried again. */
	sending: Entry[];
	/** Of both. */
	records: number;
	bytes: number;
	/** An append of the log is under way; otherwise the batch pauses or there is none. */
	underWay: boolean;
	/** Failures since the last acknowledgement, and the newest one. */
	failures: number;
	lastCause: MycelogError | undefined;
	/** The offset after the newest record acknowledged; 0: none was. */
	end: number;
	/** Records the next batch may have; lowered while looking for one that the log finds too large. */
	most: number;
	/** Set while the batch pauses. */
	cancelRetry: (() => void) | undefined;
}

/** The way of records into a log: one batch under way for each partition, tried again until its deadline, bounded. */
export class Appender {
	readonly stats: AppenderStats = {
		queuedRecords: 0,
		queuedBytes: 0,
		batches: 0,
		records: 0,
		retries: 0,
		refused: 0,
		expired: 0,
	};
	readonly #log: Log;
	readonly #time: AppenderTime;
	readonly #queues = new Map<string, Queue[]>();
	/** Queues that send at the end of this turn. */
	#sendNow: Queue[] = [];
	#cancelSweep: (() => void) | undefined;
	#onIdle: (() => void)[] = [];
	#closed = false;

	constructor(log: Log, time: AppenderTime = SYSTEM_TIME) {
		this.#log = log;
		this.#time = time;
	}

	/**
	 * Resolves to the record's offset once it is durable. Rejects at once with `log.overloaded` or
	 * `log.record-too-large` (nothing written), or later with `log.append-failed` (unknown outcome) or `log.closed`.
	 */
	append(id: PartitionId, record: NewRecord, options: AppendOptions = {}): Promise<number> {
		const queue = this.#queue(id);
		const bytes = record.value.length;
		const refusal = this.#refusal(queue, record, options.retryForever === true);
		if (refusal) {
			this.stats.refused++;
			return Promise.reject(refusal);
		}
		const deadlineAt = options.retryForever ? Infinity : (options.deadlineAt ?? Infinity);
		return new Promise((resolve, reject) => {
			const since = this.#time.now();
			queue.waiting.push({ record, deadlineAt, since, resolve, reject, expired: false });
			queue.records++;
			queue.bytes += bytes;
			this.stats.queuedRecords++;
			this.stats.queuedBytes += bytes;
			if (deadlineAt !== Infinity && !this.#cancelSweep) this.#planSweep();
			if (!queue.underWay && !queue.cancelRetry && queue.waiting.length === 1) this.#sendAfterTurn(queue);
		});
	}

	/** The offset after the newest record that this appender put into a partition; 0: it put none. */
	end({ topic, partition }: PartitionId): number {
		return this.#queues.get(topic)?.[partition]?.end ?? 0;
	}

	/** Resolves when nothing waits or is under way any more. */
	idle(): Promise<void> {
		if (this.stats.queuedRecords === 0) return Promise.resolve();
		return new Promise((resolve) => this.#onIdle.push(resolve));
	}

	/** Reject all that is queued. What is under way may yet be written. */
	async close(): Promise<void> {
		this.#closed = true;
		this.#cancelSweep?.();
		for (const queue of this.#all()) {
			queue.cancelRetry?.();
			const tried = new MycelogError(
				"log.append-failed",
				"the log was closed; this record may have been written",
			);
			const untried = new MycelogError("log.closed", "the log was closed before this record was appended");
			for (const { reject } of queue.sending) reject(tried);
			for (const { reject } of queue.waiting) reject(untried);
			this.#left(queue, queue.sending);
			this.#left(queue, queue.waiting);
			queue.waiting = [];
			queue.sending = [];
		}
	}

	#refusal(queue: Queue, record: NewRecord, unbounded: boolean): MycelogError | undefined {
		if (this.#closed) return new MycelogError("log.closed", "the log is closed");
		const oversize = oversizeError([record], this.#log.maxRecordBytes);
		if (oversize) return oversize;
		if (unbounded) return undefined;
		const full = queue.records >= APPEND_QUEUE_RECORDS_MAX || queue.bytes >= APPEND_QUEUE_BYTES_MAX;
		if (!full && this.stats.queuedBytes < APPEND_TOTAL_BYTES_MAX) return undefined;
		const { queuedBytes } = this.stats;
		const text =
			`${queue.records} records (${queue.bytes} bytes) wait for ${partitionName(queue.id)}, ` +
			`${queuedBytes} bytes for all partitions`;
		return new MycelogError("log.overloaded", text, {
			records: queue.records,
			bytes: queue.bytes,
			queuedBytes,
		});
	}

	#queue(id: PartitionId): Queue {
		let queues = this.#queues.get(id.topic);
		if (!queues) {
			queues = [];
			this.#queues.set(id.topic, queues);
		}
		let queue = queues[id.partition];
		if (!queue) {
			queue = {
				id,
				waiting: [],
				sending: [],
				records: 0,
				bytes: 0,
				underWay: false,
				failures: 0,
				lastCause: undefined,
				end: 0,
				most: APPEND_BATCH_RECORDS_MAX,
				cancelRetry: undefined,
			};
			queues[id.partition] = queue;
		}
		return queue;
	}

	*#all(): Generator<Queue> {
		for (const queues of this.#queues.values()) for (const queue of queues) if (queue) yield queue;
	}

	#sendAfterTurn(queue: Queue): void {
		if (this.#sendNow.push(queue) > 1) return;
		this.#time.turn(() => {
			const queues = this.#sendNow;
			this.#sendNow = [];
			for (const ready of queues) if (!ready.underWay && !ready.cancelRetry) this.#send(ready);
		});
	}

	/** The next batch, or the one that failed. */
	#send(queue: Queue): void {
		if (queue.sending.length === 0) {
			queue.sending = queue.waiting.splice(0, batchLength(queue.waiting, queue.most));
		}
		const batch = queue.sending;
		if (batch.length === 0) return;
		queue.underWay = true;
		const records = batch.map((entry) => entry.record);
		this.#log.append(queue.id, records).then(
			(base) => {
				queue.underWay = false;
				if (!this.#closed) this.#acknowledged(queue, base);
			},
			(error: unknown) => {
				queue.underWay = false;
				if (!this.#closed) this.#failed(queue, error);
			},
		);
	}

	#acknowledged(queue: Queue, base: number): void {
		const batch = queue.sending;
		queue.failures = 0;
		queue.most = Math.min(queue.most * 2, APPEND_BATCH_RECORDS_MAX);
		queue.end = base + batch.length;
		this.stats.batches++;
		this.stats.records += batch.length;
		this.#left(queue, batch);
		queue.sending = [];
		for (let i = 0; i < batch.length; i++) (batch[i] as Entry).resolve(base + i);
		this.#send(queue);
	}

	/** The batch stays at the head of its queue, minus those whose callers have been told. */
	#failed(queue: Queue, error: unknown): void {
		if (!MycelogError.is(error) || !error.retryable) {
			this.#refused(queue, error);
			return;
		}
		queue.failures++;
		queue.lastCause = error;
		this.stats.retries++;
		this.#expire(queue, this.#time.now());
		const told = queue.sending.filter((entry) => entry.expired);
		this.#left(queue, told);
		if (told.length > 0) queue.sending = queue.sending.filter((entry) => !entry.expired);
		const pause = Math.min(RETRY_MS_FIRST * 2 ** (queue.failures - 1), RETRY_MS_MAX);
		queue.cancelRetry = this.#time.after(pause * (0.5 + this.#time.random() / 2), () => {
			queue.cancelRetry = undefined;
			this.#send(queue);
		});
	}

	/** Nothing was written and the same batch never will be. One record too large must not fail its neighbours. */
	#refused(queue: Queue, error: unknown): void {
		const batch = queue.sending;
		queue.sending = [];
		queue.failures = 0;
		if (batch.length > 1 && MycelogError.is(error, "log.record-too-large")) {
			queue.most = Math.ceil(batch.length / 2);
			queue.waiting = batch.concat(queue.waiting);
		} else {
			this.#left(queue, batch);
			for (const { reject } of batch) reject(error);
		}
		this.#send(queue);
	}

	#planSweep(): void {
		this.#cancelSweep = this.#time.after(DEADLINE_SWEEP_MS, () => {
			this.#cancelSweep = undefined;
			const now = this.#time.now();
			let more = false;
			for (const queue of this.#all()) if (queue.records > 0 && this.#expire(queue, now)) more = true;
			if (more) this.#planSweep();
		});
	}

	/** Tell the callers whose deadline has passed. True: entries with a deadline are left. */
	#expire(queue: Queue, now: number): boolean {
		let more = false;
		const expired = (entry: Entry) => {
			if (entry.expired) return true;
			if (entry.deadlineAt > now) {
				more ||= entry.deadlineAt !== Infinity;
				return false;
			}
			entry.expired = true;
			this.stats.expired++;
			entry.reject(deadlineError(queue, now - entry.since, this.#log.addresses));
			return true;
		};
		for (const entry of queue.sending) expired(entry);
		const late = queue.waiting.filter(expired);
		if (late.length > 0) {
			queue.waiting = queue.waiting.filter((entry) => !entry.expired);
			this.#left(queue, late);
		}
		return more;
	}

	#left(queue: Queue, entries: readonly Entry[]): void {
		let bytes = 0;
		for (const { record } of entries) bytes += record.value.length;
		queue.records -= entries.length;
		queue.bytes -= bytes;
		this.stats.queuedRecords -= entries.length;
		this.stats.queuedBytes -= bytes;
		if (this.stats.queuedRecords === 0) for (const idle of this.#onIdle.splice(0)) idle();
	}
}

/** As many entries from the head as one append may carry; at least one, if there is one. */
function batchLength(entries: readonly Entry[], most: number): number {
	let bytes = 0;
	let count = 0;
	while (count < entries.length && count < most) {
		bytes += (entries[count] as Entry).record.value.length;
		if (count > 0 && bytes > APPEND_BATCH_BYTES_MAX) break;
		count++;
	}
	return count;
}

function deadlineError(queue: Queue, elapsedMs: number, addresses: readonly string[]): MycelogError {
	const attempts = queue.failures + (queue.underWay ? 1 : 0);
	const cause = queue.failures > 0 ? queue.lastCause : undefined;
	const text =
		`not acknowledged by the log at ${addresses.join(", ")} after ${elapsedMs} ms and ${attempts} attempts: ` +
		`${cause?.message ?? "no answer yet"}`;
	const details = { addresses, elapsedMs, attempts, cause: cause?.message };
	return new MycelogError("log.append-failed", text, details, cause && { cause });
}
