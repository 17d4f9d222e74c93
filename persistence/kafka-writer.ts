/**
 * Appends to Kafka: what waits for all partitions of a leader leaves in one request. Owns batching, retries and
 * deadlines; a partition that fails fails its own callers only. What makes retries safe is kafka-producer.ts.
 */
import { endsWithin } from "./deadline.ts";
import { MycelogError } from "./errors.ts";
import type { BatchNumber, KafkaProducer, Numbered } from "./kafka-producer.ts";
import type { KafkaProgress } from "./kafka-progress.ts";
import { type NewRecord, type PartitionId, partitionName } from "./log.ts";

/** Bytes of values in one request; a broker refuses those above 100 MiB. */
const PRODUCE_BYTES_MAX = 16 * 1024 * 1024;
/** Between two tries of one partition's batch, milliseconds: doubles from the first to the last. */
const RETRY_MS_FIRST = 100;
const RETRY_MS_MAX = 1_000;
const TOO_LARGE = new Set(["MESSAGE_TOO_LARGE", "RECORD_LIST_TOO_LARGE"]);
/** The broker does not go on from a batch's number: it will never take it under that one. */
const NUMBER_REFUSED = new Set([
	"OUT_OF_ORDER_SEQUENCE_NUMBER",
	"DUPLICATE_SEQUENCE_NUMBER",
	"UNKNOWN_PRODUCER_ID",
	"INVALID_PRODUCER_EPOCH",
	"INVALID_PRODUCER_ID_MAPPING",
]);

export interface WriterParts {
	readonly producer: KafkaProducer;
	readonly brokers: readonly string[];
	readonly topicName: (id: PartitionId) => string;
	/** Milliseconds until an append that is not acknowledged rejects. */
	readonly requestDeadlineMs: number;
	/** Bytes of one message or batch, for the refusal's text. */
	readonly maxBatchBytes: number;
	readonly progress: KafkaProgress;
	/** Told before the caller's promise runs its reactions. */
	readonly onStored: (id: PartitionId, records: readonly NewRecord[], base: number) => void;
}

interface Batch extends Numbered {
	readonly name: string;
	readonly bytes: number;
	readonly since: number;
	/** Milliseconds from `since` until its caller is told that it failed. */
	readonly deadlineMs: number;
	/** Shows whether the log answers, so it goes out when nothing else does. */
	readonly isProbe: boolean;
	readonly resolve: (base: number) => void;
	readonly reject: (error: unknown) => void;
}

export class KafkaWriter {
	readonly #parts: WriterParts;
	/** At most one batch a partition is under way; the callers' own bounds limit what waits. */
	#waiting: Batch[] = [];
	readonly #underWay = new Map<string, Batch>();
	#onIdle: () => void = () => {};
	/** Partitions that failed: they are sent alone until they succeed. */
	readonly #suspects = new Set<string>();
	/** Leaders with a request under way; what waits for them meanwhile shares the next one. */
	readonly #busy = new Set<string>();
	/** The newest batch that was given up, by partition: appended again unchanged, it is the same one. */
	readonly #givenUp = new Map<string, Numbered>();
	#flushPlanned = false;
	#closed = false;

	constructor(parts: WriterParts) {
		this.#parts = parts;
	}

	async connect(): Promise<void> {
		await this.#parts.producer.connect();
	}

	append(id: PartitionId, records: readonly NewRecord[]): Promise<number> {
		return this.#append(id, records, { deadlineMs: this.#parts.requestDeadlineMs, isProbe: false });
	}

	/** The way of every append, even while no other goes out. */
	probe(id: PartitionId, record: NewRecord, deadlineMs: number): Promise<number> {
		// Alone: it must not wait for what may never be answered.
		this.#suspects.add(partitionName(id));
		return this.#append(id, [record], { deadlineMs, isProbe: true });
	}

	#append(
		id: PartitionId,
		records: readonly NewRecord[],
		how: Pick<Batch, "deadlineMs" | "isProbe">,
	): Promise<number> {
		let bytes = 0;
		for (const { value } of records) bytes += value.length;
		return new Promise((resolve, reject) => {
			const since = performance.now();
			const name = partitionName(id);
			const number = this.#numberBefore(name, records);
			this.#waiting.push({ id, name, records, bytes, since, ...how, number, resolve, reject });
			this.#planFlush();
		});
	}

	isWriting(id: PartitionId): boolean {
		return this.#underWay.has(partitionName(id));
	}

	/** What is under way has until `deadline`; then its callers are told that nobody knows. */
	async close(deadline: Promise<void>): Promise<void> {
		this.#closed = true;
		for (const { reject } of this.#waiting.splice(0)) {
			reject(new MycelogError("log.closed", "the Kafka log was closed before this record was appended"));
		}
		const idle = new Promise<void>((resolve) => {
			this.#onIdle = resolve;
			if (this.#underWay.size === 0) resolve();
		});
		await Promise.race([idle, deadline]);
		for (const batch of this.#underWay.values())
			batch.reject(this.#failure(batch, new Error("the log was closed")));
		await this.#parts.producer.disconnect();
	}

	#planFlush(): void {
		if (this.#flushPlanned || this.#waiting.length === 0) return;
		this.#flushPlanned = true;
		setImmediate(() => {
			this.#flushPlanned = false;
			this.#flush();
		});
	}

	#flush(): void {
		const together = new Map<string, { batches: Batch[]; bytes: number }>();
		const left: Batch[] = [];
		for (const batch of this.#waiting) {
			if (this.#underWay.has(batch.name)) {
				left.push(batch);
				continue;
			}
			const leader = this.#parts.producer.leaderOf(batch.id);
			if (leader === undefined || this.#suspects.has(batch.name)) {
				this.#underWay.set(batch.name, batch);
				void this.#sendAlone(batch);
				continue;
			}
			const request = together.get(leader) ?? { batches: [], bytes: 0 };
			if (this.#busy.has(leader) || request.bytes >= PRODUCE_BYTES_MAX) {
				left.push(batch);
				continue;
			}
			this.#underWay.set(batch.name, batch);
			request.batches.push(batch);
			request.bytes += batch.bytes;
			together.set(leader, request);
		}
		this.#waiting = left;
		for (const [leader, { batches }] of together) void this.#sendTogether(leader, batches);
	}

	async #sendTogether(leader: string, batches: readonly Batch[]): Promise<void> {
		this.#busy.add(leader);
		const answers = await this.#send(batches);
		this.#busy.delete(leader);
		for (const [i, batch] of batches.entries()) {
			const answer = answers[i] as number | Error;
			if (typeof answer === "number") {
				this.#stored(batch, answer);
				continue;
			}
			this.#failed(answer);
			void this.#sendAlone(batch);
		}
		this.#planFlush();
	}

	async #sendAlone(batch: Batch): Promise<void> {
		this.#suspects.add(batch.name);
		for (let pause = RETRY_MS_FIRST; ; pause = Math.min(pause * 2, RETRY_MS_MAX)) {
			const [answer] = await this.#send([batch]);
			if (typeof answer === "number") {
				this.#suspects.delete(batch.name);
				this.#stored(batch, answer);
				break;
			}
			const cause = answer as Error;
			this.#failed(cause);
			const again = !this.#closed && !batch.isProbe && isRetryable(cause);
			if (!again || this.#leftMs(batch) <= pause) {
				this.#giveUp(batch, cause);
				break;
			}
			await new Promise((resolve) => setTimeout(resolve, pause));
			await this.#parts.producer.lookAgain().catch(() => {
				// The next try meets the same trouble and reports it.
			});
		}
		this.#planFlush();
	}

	/** What the broker refuses for good is an answer. */
	#failed(cause: unknown): void {
		if (isRetryable(cause)) this.#parts.progress.failed((cause as Error).message);
	}

	/** Answers at the first batch's deadline, whatever the request still does. */
	async #send(batches: readonly Batch[]): Promise<readonly (number | Error)[]> {
		const first = batches[0] as Batch;
		let answers: readonly (number | Error)[] = batches.map(() => new Error("no answer within the deadline"));
		try {
			await this.#mayGo(first);
			const sent = this.#parts.producer.send(batches).then((given) => {
				answers = given;
			});
			await endsWithin(this.#leftMs(first), sent);
			return answers;
		} catch (cause) {
			return batches.map(() => cause as Error);
		}
	}

	/** While the log is left alone, nothing goes out but probes. */
	async #mayGo(batch: Batch): Promise<void> {
		const { shut } = this.#parts.progress;
		if (shut && !batch.isProbe && !(await endsWithin(this.#leftMs(batch), shut))) {
			throw new Error("the log was unavailable until the deadline");
		}
	}

	#giveUp(batch: Batch, cause: Error): void {
		this.#done(batch);
		const type = protocolType(cause) ?? "";
		if (batch.number && !TOO_LARGE.has(type)) {
			this.#parts.producer.giveUp(batch);
			if (!NUMBER_REFUSED.has(type)) this.#givenUp.set(batch.name, batch);
		}
		batch.reject(this.#failure(batch, cause));
	}

	/** Of the same records, given up before: a caller that tries again shall not double what was written after all. */
	#numberBefore(name: string, records: readonly NewRecord[]): BatchNumber | undefined {
		const before = this.#givenUp.get(name);
		this.#givenUp.delete(name);
		const same =
			before?.records.length === records.length && records.every((one, i) => one === before.records[i]);
		return same ? before?.number : undefined;
	}

	#stored(batch: Batch, base: number): void {
		this.#parts.progress.wrote();
		this.#done(batch);
		batch.resolve(base);
		this.#parts.onStored(batch.id, batch.records, base);
	}

	#done({ name }: Batch): void {
		this.#underWay.delete(name);
		if (this.#underWay.size === 0) this.#onIdle();
	}

	#leftMs({ since, deadlineMs }: Batch): number {
		return Math.max(0, since + deadlineMs - performance.now());
	}

	#failure({ id, bytes, since }: Batch, cause: Error): MycelogError {
		const { brokers, maxBatchBytes: limit, topicName } = this.#parts;
		if (TOO_LARGE.has(protocolType(cause) ?? "")) {
			const text = `a batch with ${bytes} bytes of values is over the broker's limit of ${limit} bytes`;
			return new MycelogError("log.record-too-large", text, { bytes, limit }, { cause });
		}
		const elapsedMs = Math.round(performance.now() - since);
		const where = `${topicName(id)}/${id.partition}`;
		const text = `Kafka at ${brokers.join(", ")} did not acknowledge ${where} in ${elapsedMs} ms: ${cause.message}`;
		return new MycelogError("log.append-failed", text, { brokers, elapsedMs }, { cause });
	}
}

/** Of the broker's answer, however deep a library wrapped it. */
function protocolType(error: unknown): string | undefined {
	const { type, cause } = error as { type?: string; cause?: unknown };
	return type ?? (cause ? protocolType(cause) : undefined);
}

/** False where the broker said that this very request will never do. */
function isRetryable(error: unknown): boolean {
	const { retriable, cause } = error as { retriable?: boolean; cause?: { retriable?: boolean } };
	const type = protocolType(error);
	if (type === undefined) return true;
	if (TOO_LARGE.has(type) || NUMBER_REFUSED.has(type)) return false;
	return (cause ?? { retriable }).retriable !== false;
}
