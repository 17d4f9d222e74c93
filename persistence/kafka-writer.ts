/**
 * Appends to Kafka: what waits for all partitions leaves in one call, which kafkajs makes one request a broker.
 * Owns the producer and its replacement; a partition that fails fails its own callers only.
 *
 * Why a producer is replaced after a failure: kafkajs gives the sequence numbers of a failed request to the next one.
 * Where the broker did take the failed request, it would answer the next as a repeat: acknowledged, never written.
 * The SAME records, sent again by the same producer, are safe for the same reason: the repeat is recognised.
 */
import { type Kafka, Partitioners, type Producer } from "kafkajs";
import { endsWithin } from "./deadline.ts";
import { MycelogError } from "./errors.ts";
import type { KafkaProgress } from "./kafka-progress.ts";
import { toMessage } from "./kafka-records.ts";
import { type NewRecord, type PartitionId, partitionName } from "./log.ts";

/**
 * Produce calls under way at once; what waits meanwhile shares the next one. kafkajs' idempotent producer sends one
 * request a broker at a time: a second call would only wait there, with fewer records in it.
 */
const PRODUCES_UNDER_WAY_MAX = 1;
/** Bytes of values in one call; a broker refuses requests above 100 MiB. */
const PRODUCE_BYTES_MAX = 16 * 1024 * 1024;
/** Between two tries of one partition's batch, milliseconds: doubles from the first to the last. */
const RETRY_MS_FIRST = 100;
const RETRY_MS_MAX = 1_000;
const TOO_LARGE = new Set(["MESSAGE_TOO_LARGE", "RECORD_LIST_TOO_LARGE"]);

export interface WriterParts {
	readonly kafka: Kafka;
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

interface Batch {
	readonly id: PartitionId;
	readonly name: string;
	readonly records: readonly NewRecord[];
	readonly bytes: number;
	readonly since: number;
	/** Milliseconds from `since` until its caller is told that it failed. */
	readonly deadlineMs: number;
	/** Shows whether the log answers, so it goes out when nothing else does. */
	readonly isProbe: boolean;
	readonly resolve: (base: number) => void;
	readonly reject: (error: unknown) => void;
}

/** A producer with its users counted, so that a replaced one ends after its last. */
interface Session {
	readonly producer: Producer;
	readonly connected: Promise<void>;
	users: number;
	replaced: boolean;
}

export class KafkaWriter {
	readonly #parts: WriterParts;
	#session: Session | undefined;
	/** At most one batch a partition is under way; the callers' own bounds limit what waits. */
	#waiting: Batch[] = [];
	readonly #underWay = new Map<string, Batch>();
	#onIdle: () => void = () => {};
	/** Partitions that failed: they are sent alone until they succeed. */
	readonly #suspects = new Set<string>();
	#producing = 0;
	#flushPlanned = false;
	#closed = false;

	constructor(parts: WriterParts) {
		this.#parts = parts;
	}

	async connect(): Promise<void> {
		await this.#current().connected;
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
			this.#waiting.push({ id, name: partitionName(id), records, bytes, since, ...how, resolve, reject });
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
		await this.#session?.producer.disconnect();
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
		const together: Batch[] = [];
		const left: Batch[] = [];
		let bytes = 0;
		for (const batch of this.#waiting) {
			const suspect = this.#suspects.has(batch.name);
			const room = this.#producing < PRODUCES_UNDER_WAY_MAX && bytes < PRODUCE_BYTES_MAX;
			if (this.#underWay.has(batch.name) || !(suspect || room)) {
				left.push(batch);
				continue;
			}
			this.#underWay.set(batch.name, batch);
			if (suspect) void this.#sendAlone(batch, this.#current());
			else bytes += together.push(batch) && batch.bytes;
		}
		this.#waiting = left;
		if (together.length > 0) void this.#sendTogether(together);
	}

	async #sendTogether(batches: readonly Batch[]): Promise<void> {
		const session = this.#current();
		this.#producing++;
		try {
			const bases = await this.#send(session, batches);
			this.#parts.progress.wrote();
			for (const [i, batch] of batches.entries()) this.#stored(batch, bases[i] as number);
		} catch (cause) {
			// kafkajs tells one error for all of them: each finds out for itself, by the same producer.
			this.#failed(cause);
			for (const batch of batches) void this.#sendAlone(batch, session);
		} finally {
			this.#producing--;
			this.#planFlush();
		}
	}

	async #sendAlone(batch: Batch, session: Session): Promise<void> {
		this.#suspects.add(batch.name);
		for (let pause = RETRY_MS_FIRST; ; pause = Math.min(pause * 2, RETRY_MS_MAX)) {
			try {
				const [base] = await this.#send(session, [batch]);
				this.#suspects.delete(batch.name);
				this.#parts.progress.wrote();
				this.#stored(batch, base as number);
				break;
			} catch (cause) {
				this.#failed(cause);
				const again = !this.#closed && !batch.isProbe && isRetryable(cause);
				if (again && this.#leftMs(batch) > pause) {
					await new Promise((resolve) => setTimeout(resolve, pause));
					continue;
				}
				this.#replace(session);
				this.#done(batch);
				batch.reject(this.#failure(batch, cause as Error));
				break;
			}
		}
		this.#planFlush();
	}

	/** What the broker refuses for good is an answer. */
	#failed(cause: unknown): void {
		if (isRetryable(cause)) this.#parts.progress.failed((cause as Error).message);
	}

	/** Rejects at the first batch's deadline, whatever kafkajs still does. */
	async #send(session: Session, batches: readonly Batch[]): Promise<number[]> {
		const first = batches[0] as Batch;
		session.users++;
		let timer: NodeJS.Timeout | undefined;
		const deadline = new Promise<never>((_, reject) => {
			const late = () => reject(new Error("no answer within the deadline"));
			timer = setTimeout(late, this.#leftMs(first));
		});
		const work = this.#mayGo(first, session).then(() => this.#produce(session.producer, batches));
		void work
			.catch(() => {
				// Told below, unless the deadline was told instead.
			})
			.finally(() => {
				session.users--;
				this.#end(session);
			});
		try {
			return await Promise.race([work, deadline]);
		} finally {
			clearTimeout(timer);
		}
	}

	/** While the log is left alone, nothing goes out but probes. */
	async #mayGo(batch: Batch, { connected }: Session): Promise<void> {
		const { shut } = this.#parts.progress;
		if (shut && !batch.isProbe && !(await endsWithin(this.#leftMs(batch), shut))) {
			throw new Error("the log was unavailable until the deadline");
		}
		await connected;
	}

	async #produce(producer: Producer, batches: readonly Batch[]): Promise<number[]> {
		const { topicName } = this.#parts;
		const byTopic = Map.groupBy(batches, ({ id }) => topicName(id));
		const answers = await producer.sendBatch({
			acks: -1,
			topicMessages: [...byTopic].map(([topic, of]) => ({
				topic,
				messages: of.flatMap(({ id, records }) => records.map((record) => toMessage(record, id.partition))),
			})),
		});
		const bases = new Map(answers.map((a) => [`${a.topicName}/${a.partition}`, Number(a.baseOffset)]));
		return batches.map(({ id }) => {
			const base = bases.get(`${topicName(id)}/${id.partition}`);
			// kafkajs forgets a partition whose leader moved to a broker that has answered already.
			if (base === undefined || base < 0) throw new Error(`no answer for ${topicName(id)}/${id.partition}`);
			return base;
		});
	}

	#stored(batch: Batch, base: number): void {
		this.#done(batch);
		batch.resolve(base);
		this.#parts.onStored(batch.id, batch.records, base);
	}

	#done({ name }: Batch): void {
		this.#underWay.delete(name);
		if (this.#underWay.size === 0) this.#onIdle();
	}

	#current(): Session {
		if (this.#session) return this.#session;
		const producer = this.#parts.kafka.producer({
			idempotent: true,
			allowAutoTopicCreation: false,
			createPartitioner: Partitioners.DefaultPartitioner,
		});
		const session = { producer, connected: producer.connect(), users: 0, replaced: false };
		// One that could not connect is of no use to the next append.
		session.connected.catch(() => this.#replace(session));
		this.#session = session;
		return session;
	}

	#replace(session: Session): void {
		if (this.#session === session) this.#session = undefined;
		session.replaced = true;
		this.#end(session);
	}

	#end(session: Session): void {
		if (!session.replaced || session.users > 0) return;
		session.producer.disconnect().catch((cause: Error) => this.#parts.progress.failed(cause.message));
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

/** Of the broker's answer, however deep kafkajs wrapped it. */
function protocolType(error: unknown): string | undefined {
	const { type, cause } = error as { type?: string; cause?: unknown };
	return type ?? (cause ? protocolType(cause) : undefined);
}

/** False where the broker said that this very request will never do. */
function isRetryable(error: unknown): boolean {
	const { retriable, cause } = error as { retriable?: boolean; cause?: { retriable?: boolean } };
	if (protocolType(error) === undefined) return true;
	return (cause ?? { retriable }).retriable !== false;
}
