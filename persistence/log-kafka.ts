/**
 * The Kafka log on kafkajs: the port's promises over a broker. Owns appending, health and the order of closing;
 * group membership, reading and topics have files of their own.
 */
import { type Admin, Kafka, logLevel, Partitioners, type Producer } from "kafkajs";
import { MycelogError } from "./errors.ts";
import { KafkaMembership } from "./kafka-membership.ts";
import { KafkaReader } from "./kafka-reader.ts";
import { toMessage } from "./kafka-records.ts";
import { ensureKafkaTopics } from "./kafka-topics.ts";
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

/** Bytes of a record's value; with key and headers it stays below Kafka's default of 1,048,588 a message. */
export const KAFKA_RECORD_BYTES_MAX = 1_000_000;
/** Time for the broker to answer at start, milliseconds. */
const OPEN_DEADLINE_MS_DEFAULT = 10_000;
/** One try to connect, one request, milliseconds. */
const CONNECT_MS = 2_000;
const REQUEST_MS = 10_000;
const REQUEST_TRIES_MAX = 5;
/** The first group of a fresh broker waits some seconds for its coordinator. */
const COORDINATOR_TRIES_MAX = 15;
/** Produce requests under way at once; what waits meanwhile shares the next one. */
const PRODUCES_UNDER_WAY_MAX = 2;

export interface KafkaLogOptions {
	/** `host:port` of at least one broker. */
	readonly brokers: readonly string[];
	/** Topics are named `<prefix>.<topic>`, the consumer group `<prefix>`. */
	readonly prefix: string;
	readonly clientId: string;
	/** Of topics that are made; 1 suits one broker. */
	readonly replicationFactor?: number;
	/** Milliseconds until an unreachable broker is reported at start. */
	readonly openDeadlineMs?: number;
	/** kafkajs' own log lines; silent by default. */
	readonly onLog?: (level: "warn" | "error", message: string, fields: object) => void;
	/** Told when an owner's handler failed and its partition has stopped. */
	readonly onOwnerError?: (error: unknown) => void;
}

interface Waiting {
	readonly id: PartitionId;
	readonly records: readonly NewRecord[];
	readonly resolve: (base: number) => void;
	readonly reject: (error: unknown) => void;
}

export class KafkaLog implements Log {
	readonly driver = "kafka";
	readonly maxRecordBytes = KAFKA_RECORD_BYTES_MAX;
	readonly #options: KafkaLogOptions;
	readonly #kafka: Kafka;
	readonly #admin: Admin;
	readonly #producer: Producer;
	readonly #reader: KafkaReader;
	/** Long polls hold a connection, so they have their own. */
	readonly #tail: KafkaReader;
	#membership: KafkaMembership | undefined;
	#waiting: Waiting[] = [];
	#flushPlanned = false;
	#producing = 0;
	#failingSince: number | undefined;
	#failure = "";
	#state: "new" | "open" | "closed" = "new";

	constructor(options: KafkaLogOptions) {
		this.#options = options;
		this.#kafka = kafkaClient(options, REQUEST_TRIES_MAX);
		this.#admin = this.#kafka.admin();
		this.#producer = this.#kafka.producer({
			idempotent: true,
			allowAutoTopicCreation: false,
			createPartitioner: Partitioners.DefaultPartitioner,
			retry: { initialRetryTime: 50, maxRetryTime: 1_000, retries: 5 },
		});
		this.#reader = new KafkaReader(this.#kafka);
		this.#tail = new KafkaReader(this.#kafka);
	}

	async open(topics: readonly TopicSpec[]): Promise<void> {
		await this.#reach();
		const { prefix, replicationFactor = 1 } = this.#options;
		await ensureKafkaTopics(this.#admin, prefix, topics, replicationFactor);
		await Promise.all([this.#producer.connect(), this.#reader.connect(), this.#tail.connect()]);
		this.#state = "open";
	}

	append(id: PartitionId, records: readonly NewRecord[]): Promise<number> {
		const oversize = records.find((record) => record.value.length > this.maxRecordBytes);
		if (oversize) return Promise.reject(tooLarge(oversize.value.length, this.maxRecordBytes));
		return new Promise((resolve, reject) => {
			if (this.#state !== "open") return reject(new MycelogError("log.closed", "the Kafka log is not open"));
			this.#waiting.push({ id, records, resolve, reject });
			this.#planFlush();
		});
	}

	async read(id: PartitionId, from: number, limit: ReadLimit): Promise<LogRecord[]> {
		const reader = limit.waitMs > 0 ? this.#tail : this.#reader;
		try {
			return await reader.read(this.#topic(id), id.partition, from, limit);
		} catch (error) {
			if ((error as { type?: string }).type !== "OFFSET_OUT_OF_RANGE") throw error;
			const { start, end } = await this.bounds(id);
			if (from >= end) return [];
			const text = `offset ${from} of ${this.#topic(id)}/${id.partition} is gone; the first one kept is ${start}`;
			throw new MycelogError("log.offset-trimmed", text, { offset: from, start });
		}
	}

	bounds(id: PartitionId): Promise<PartitionBounds> {
		return this.#reader.bounds(this.#topic(id), id.partition);
	}

	async own(topics: readonly string[], owner: PartitionOwner): Promise<void> {
		const { prefix, onOwnerError = () => {} } = this.#options;
		this.#membership = new KafkaMembership({
			kafka: kafkaClient(this.#options, COORDINATOR_TRIES_MAX),
			group: prefix,
			prefix,
			onError: onOwnerError,
		});
		await this.#membership.join(topics, owner);
	}

	health(): LogHealth {
		if (this.#state !== "open") return { status: "unavailable", cause: "the log is not open", sinceMs: 0 };
		if (this.#failingSince === undefined) return { status: "healthy" };
		return { status: "unavailable", cause: this.#failure, sinceMs: Date.now() - this.#failingSince };
	}

	async close(deadlineMs: number): Promise<void> {
		if (this.#state === "closed") return;
		const work = async () => {
			await this.#membership?.leave();
			this.#state = "closed";
			const parts = [this.#producer, this.#reader, this.#tail, this.#admin];
			await Promise.allSettled(parts.map((part) => part.disconnect()));
		};
		let timer: NodeJS.Timeout | undefined;
		const deadline = new Promise<void>((resolve) => {
			timer = setTimeout(resolve, deadlineMs);
		});
		await Promise.race([work(), deadline]);
		clearTimeout(timer);
		this.#state = "closed";
		for (const { reject } of this.#waiting.splice(0)) {
			reject(new MycelogError("log.closed", "the Kafka log was closed before this record was appended"));
		}
	}

	async #reach(): Promise<void> {
		const { brokers, openDeadlineMs = OPEN_DEADLINE_MS_DEFAULT } = this.#options;
		const since = Date.now();
		for (let attempts = 1; ; attempts++) {
			try {
				await this.#admin.connect();
				return;
			} catch (cause) {
				const elapsedMs = Date.now() - since;
				if (elapsedMs < openDeadlineMs) continue;
				const text = `no Kafka broker answered at ${brokers.join(", ")}: ${attempts} attempts in ${elapsedMs} ms; last: ${(cause as Error).message}`;
				throw new MycelogError("log.unreachable", text, { brokers, attempts, elapsedMs }, { cause });
			}
		}
	}

	#planFlush(): void {
		if (this.#flushPlanned || this.#producing >= PRODUCES_UNDER_WAY_MAX) return;
		this.#flushPlanned = true;
		setImmediate(() => {
			this.#flushPlanned = false;
			void this.#flush();
		});
	}

	/** All partitions' waiting batches in one call: kafkajs makes it one request a broker. */
	async #flush(): Promise<void> {
		const batches = this.#waiting;
		if (batches.length === 0) return;
		this.#waiting = [];
		this.#producing++;
		try {
			const bases = await this.#produce(batches);
			this.#failingSince = undefined;
			for (const [i, batch] of batches.entries()) {
				const base = bases[i] as number;
				batch.resolve(base);
				this.#membership?.appended(batch.id, stored(batch.records, base));
			}
		} catch (cause) {
			this.#failed(batches, cause as Error);
		} finally {
			this.#producing--;
			if (this.#waiting.length > 0) this.#planFlush();
		}
	}

	async #produce(batches: readonly Waiting[]): Promise<number[]> {
		const byTopic = Map.groupBy(batches, ({ id }) => this.#topic(id));
		const metadata = await this.#producer.sendBatch({
			acks: -1,
			topicMessages: [...byTopic].map(([topic, waiting]) => ({
				topic,
				messages: waiting.flatMap(({ id, records }) =>
					records.map((record) => toMessage(record, id.partition)),
				),
			})),
		});
		const bases = new Map(metadata.map((m) => [`${m.topicName}/${m.partition}`, Number(m.baseOffset)]));
		return batches.map(({ id }) => bases.get(`${this.#topic(id)}/${id.partition}`) ?? -1);
	}

	#failed(batches: readonly Waiting[], cause: Error): void {
		this.#failingSince ??= Date.now();
		this.#failure = cause.message;
		const { brokers } = this.#options;
		const text = `Kafka at ${brokers.join(", ")} did not acknowledge: ${cause.message}`;
		for (const { reject } of batches)
			reject(new MycelogError("log.append-failed", text, { brokers }, { cause }));
	}

	#topic({ topic }: PartitionId): string {
		return `${this.#options.prefix}.${topic}`;
	}
}

function stored(records: readonly NewRecord[], base: number): LogRecord[] {
	return records.map((record, i) => ({ ...record, offset: base + i }));
}

function tooLarge(bytes: number, limit: number): MycelogError {
	const text = `a record of ${bytes} bytes is over the limit of ${limit}`;
	return new MycelogError("log.record-too-large", text, { bytes, limit });
}

function kafkaClient({ brokers, clientId, onLog }: KafkaLogOptions, retries: number): Kafka {
	return new Kafka({
		brokers: [...brokers],
		clientId,
		connectionTimeout: CONNECT_MS,
		requestTimeout: REQUEST_MS,
		retry: { initialRetryTime: 100, maxRetryTime: 2_000, retries },
		logLevel: onLog ? logLevel.WARN : logLevel.NOTHING,
		logCreator:
			() =>
			({ level, log }) => {
				const { message, ...fields } = log;
				onLog?.(level === logLevel.ERROR ? "error" : "warn", message, fields);
			},
	});
}
