/**
 * Micro-batching in front of a log: one append under way per partition, all that waits meanwhile is the next.
 * Owns queues, retries and deadlines; never changes the order within a partition.
 *
 * Why order must hold over retries: receivers drop a record whose number is not above the newest seen from the same
 * source. A record that overtook a failed one would make the failed one look like a repeat, and lose it.
 */
import { MycelogError } from "./errors.ts";
import { type Log, type NewRecord, type PartitionId, partitionName } from "./log.ts";

/** Records and bytes that leave in one append. */
export const APPEND_BATCH_RECORDS_MAX = 500;
export const APPEND_BATCH_BYTES_MAX = 900 * 1024;
/** Records and bytes waiting for one partition; past it `append` refuses, and nothing is written. */
export const APPEND_QUEUE_RECORDS_MAX = 20_000;
export const APPEND_QUEUE_BYTES_MAX = 64 * 1024 * 1024;
/** Pause before a failed batch is tried again, milliseconds: doubles from the first to the last. */
const RETRY_MS_FIRST = 50;
const RETRY_MS_MAX = 2_000;

export interface AppendOptions {
	/** Milliseconds since 1970 after which the caller is told that it failed. */
	readonly deadlineAt?: number;
	/**
	 * The runtime's own outputs: tried until they are in or the appender is closed, and not refused by the queue's
	 * bound, because their producer stops reading its mailbox instead.
	 */
	readonly retryForever?: boolean;
}

export interface AppenderStats {
	queuedRecords: number;
	queuedBytes: number;
	batches: number;
	records: number;
	retries: number;
	refused: number;
	expired: number;
}

export interface AppenderTime {
	now(): number;
	/** Run once after `delayMs`. */
	after(delayMs: number, callback: () => void): void;
	random(): number;
}

const SYSTEM_TIME: AppenderTime = {
	now: () => Date.now(),
	after: (delayMs, callback) => void setTimeout(callback, delayMs),
	random: () => Math.random(),
};

interface Entry {
	readonly record: NewRecord;
	readonly bytes: number;
	readonly deadlineAt: number;
	readonly since: number;
	readonly resolve: (offset: number) => void;
	readonly reject: (error: unknown) => void;
}

interface Queue {
	readonly id: PartitionId;
	readonly entries: Entry[];
	bytes: number;
	busy: boolean;
	failures: number;
}

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
	readonly #queues = new Map<string, Queue>();
	#closed = false;

	constructor(log: Log, time: AppenderTime = SYSTEM_TIME) {
		this.#log = log;
		this.#time = time;
	}

	/** Resolves to the record's offset once it is durable. */
	append(id: PartitionId, record: NewRecord, options: AppendOptions): Promise<number> {
		const bytes = record.value.length;
		const refusal = this.#refusal(id, bytes, options);
		if (refusal) {
			this.stats.refused++;
			return Promise.reject(refusal);
		}
		const queue = this.#queue(id);
		return new Promise((resolve, reject) => {
			queue.entries.push({
				record,
				bytes,
				deadlineAt: options.retryForever ? Number.POSITIVE_INFINITY : (options.deadlineAt ?? Infinity),
				since: this.#time.now(),
				resolve,
				reject,
			});
			queue.bytes += bytes;
			this.stats.queuedRecords++;
			this.stats.queuedBytes += bytes;
			if (!queue.busy) this.#send(queue);
		});
	}

	/** Reject what still waits. What is under way may yet be written. */
	async close(): Promise<void> {
		this.#closed = true;
		for (const queue of this.#queues.values()) {
			for (const entry of this.#take(queue, queue.entries.length)) {
				entry.reject(new MycelogError("log.closed", "the log was closed before this record was appended"));
			}
		}
	}

	#refusal(id: PartitionId, bytes: number, options: AppendOptions): MycelogError | undefined {
		if (this.#closed) return new MycelogError("log.closed", "the log is closed");
		if (bytes > this.#log.maxRecordBytes) {
			const limit = this.#log.maxRecordBytes;
			return new MycelogError(
				"log.record-too-large",
				`a record of ${bytes} bytes is over the limit of ${limit}`,
				{
					bytes,
					limit,
				},
			);
		}
		const queue = this.#queue(id);
		const full = queue.entries.length >= APPEND_QUEUE_RECORDS_MAX || queue.bytes >= APPEND_QUEUE_BYTES_MAX;
		if (!full || options.retryForever) return undefined;
		return new MycelogError(
			"log.overloaded",
			`${queue.entries.length} records (${queue.bytes} bytes) wait for ${partitionName(id)} already`,
		);
	}

	#queue(id: PartitionId): Queue {
		const name = partitionName(id);
		let queue = this.#queues.get(name);
		if (!queue) {
			queue = { id, entries: [], bytes: 0, busy: false, failures: 0 };
			this.#queues.set(name, queue);
		}
		return queue;
	}

	#send(queue: Queue): void {
		const count = batchLength(queue.entries);
		if (count === 0) {
			queue.busy = false;
			return;
		}
		queue.busy = true;
		const batch = queue.entries.slice(0, count).map((entry) => entry.record);
		this.#log.append(queue.id, batch).then(
			(base) => {
				queue.failures = 0;
				this.stats.batches++;
				this.stats.records += count;
				const sent = this.#take(queue, count);
				for (let i = 0; i < sent.length; i++) (sent[i] as Entry).resolve(base + i);
				this.#send(queue);
			},
			(error) => this.#failed(queue, count, error),
		);
	}

	/** The batch stays at the head of its queue, minus those whose callers have been told. */
	#failed(queue: Queue, count: number, error: unknown): void {
		const retryable = MycelogError.is(error) && error.retryable && !this.#closed;
		if (!retryable) {
			for (const entry of this.#take(queue, count)) entry.reject(error);
			this.#send(queue);
			return;
		}
		queue.failures++;
		this.stats.retries++;
		const growth = Math.min(RETRY_MS_FIRST * 2 ** (queue.failures - 1), RETRY_MS_MAX);
		const pause = growth * (0.5 + this.#time.random() / 2);
		this.#expire(queue, error);
		this.#time.after(pause, () => this.#send(queue));
	}

	#expire(queue: Queue, cause: MycelogError): void {
		const now = this.#time.now();
		const late = queue.entries.filter((entry) => entry.deadlineAt <= now);
		if (late.length === 0) return;
		const kept = queue.entries.filter((entry) => entry.deadlineAt > now);
		this.#take(queue, queue.entries.length);
		for (const entry of kept) this.#keep(queue, entry);
		this.stats.expired += late.length;
		for (const entry of late) {
			const elapsedMs = now - entry.since;
			const details = { elapsedMs, attempts: queue.failures, cause: cause.message };
			const text = `not acknowledged after ${elapsedMs} ms and ${queue.failures} attempts: ${cause.message}`;
			entry.reject(new MycelogError("log.append-failed", text, details, { cause }));
		}
	}

	#keep(queue: Queue, entry: Entry): void {
		queue.entries.push(entry);
		queue.bytes += entry.bytes;
		this.stats.queuedRecords++;
		this.stats.queuedBytes += entry.bytes;
	}

	#take(queue: Queue, count: number): Entry[] {
		const taken = queue.entries.splice(0, count);
		for (const { bytes } of taken) {
			queue.bytes -= bytes;
			this.stats.queuedBytes -= bytes;
		}
		this.stats.queuedRecords -= taken.length;
		return taken;
	}
}

/** As many entries from the head as one append may carry; at least one, if there is one. */
function batchLength(entries: readonly Entry[]): number {
	let bytes = 0;
	let count = 0;
	while (count < entries.length && count < APPEND_BATCH_RECORDS_MAX) {
		bytes += (entries[count] as Entry).bytes;
		if (count > 0 && bytes > APPEND_BATCH_BYTES_MAX) break;
		count++;
	}
	return count;
}
