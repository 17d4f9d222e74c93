/**
 * The Kafka log: the port's promises over brokers. Owns opening and the order of closing; writing,
 * group membership, reading and topics have files of their own.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { endsWithin } from "./deadline.ts";
import { MycelogError } from "./errors.ts";
import { KafkaAddresses } from "./kafka-addresses.ts";
import { loadClient, makeCluster } from "./kafka-client.ts";
import type { KafkaClient } from "./kafka-client-names.ts";
import type { KafkaCluster } from "./kafka-cluster.ts";
import { KafkaFollower } from "./kafka-follower.ts";
import { SESSION_MS_LEAST } from "./kafka-group.ts";
import { KafkaMembership } from "./kafka-membership.ts";
import { KafkaProducer } from "./kafka-producer.ts";
import { KafkaProgress, PROBE_MS_MAX } from "./kafka-progress.ts";
import { KafkaReader } from "./kafka-reader.ts";
import { KafkaRetention } from "./kafka-retention.ts";
import { isRefusal, type KafkaSecurity } from "./kafka-security.ts";
import { ensureKafkaTopics, MESSAGE_BYTES_MAX } from "./kafka-topics.ts";
import { KafkaWatch, SIGNS_TOPIC, signsTopic, type WatchParts } from "./kafka-watch.ts";
import { KafkaWriter } from "./kafka-writer.ts";
import type {
	Log,
	LogHealth,
	LogRecord,
	Member,
	NewRecord,
	PartitionBounds,
	PartitionId,
	PartitionOwner,
	ProbeStats,
	ReadLimit,
	TopicSpec,
} from "./log.ts";
import { oversizeError } from "./log.ts";
import { takesNewWork } from "./log-health.ts";

/** Bytes of a record's value; with key and headers it stays below Kafka's default of 1,048,588 a message. */
export const KAFKA_RECORD_BYTES_MAX = 1_000_000;
/** Time for the broker to answer at start, milliseconds. */
const OPEN_DEADLINE_MS_DEFAULT = 10_000;
/** One try at start, and the pause before the next, milliseconds. */
const OPEN_TRY_MS = 2_000;
const OPEN_PAUSE_MS = 200;
const REQUEST_DEADLINE_MS_DEFAULT = 30_000;
/** One try to connect, milliseconds. */
const CONNECT_MS = 2_000;
/** One request, milliseconds; less where the deadline would leave no time for another try. */
const REQUEST_MS_MAX = 5_000;
/** Enough to know a probe's record again. */
const PROBE_BYTES = 16;

/** Of a KafkaLog. */
export interface KafkaLogOptions {
	/** `host:port` of at least one broker. */
	readonly brokers: readonly string[];
	/** Topics are named `<prefix>.<topic>`, the consumer group `<prefix>`. */
	readonly prefix: string;
	readonly clientId: string;
	/** Default: kafkajs. */
	readonly client?: KafkaClient;
	/** Default: plain connections, and nobody logs in. */
	readonly security?: KafkaSecurity;
	/** Least number of copies of a topic. Default: 3, or as many as there are brokers; fewer are only warned of. */
	readonly replicationFactor?: number;
	/** Least number of copies that acknowledge. Default: one less; fewer are only warned of. */
	readonly minInsyncReplicas?: number;
	/** Milliseconds until an unreachable broker is reported at start. */
	readonly openDeadlineMs?: number;
	/** Milliseconds until an append that is not acknowledged rejects. */
	readonly requestDeadlineMs?: number;
	/** The client library's own lines: what it calls an error is mostly tried again, and rejected with if not. */
	readonly onDebug?: (message: string, fields: object) => void;
	/** Told what should be better about the topics that were found. */
	readonly onWarning?: (message: string, fields: Readonly<Record<string, unknown>>) => void;
	/**
	 * Milliseconds without a sign of life after which other processes take a process's partitions. Below 6,000, the least
	 * that brokers allow for sessions, processes watch each other; all must have the same. Default: 6,000.
	 */
	readonly takeoverAfterMs?: number;
	/** Where probes are written while this process owns partitions; undefined: health is judged by failures alone. */
	readonly probe?: PartitionId;
	/** Told when its status changes. */
	readonly onHealth?: (health: LogHealth) => void;
	/** Told when an owner's handler failed and its partition has stopped. */
	readonly onOwnerError?: (error: unknown) => void;
}

/** The log on Kafka, which many processes share. */
export class KafkaLog implements Log {
	readonly driver = "kafka";
	readonly addresses: readonly string[];
	readonly maxRecordBytes = KAFKA_RECORD_BYTES_MAX;
	readonly #options: KafkaLogOptions;
	readonly #addresses: KafkaAddresses;
	readonly #progress: KafkaProgress;
	readonly #writer: KafkaWriter;
	readonly #reader: KafkaReader;
	/** Long polls hold a connection, so they have their own. */
	readonly #tail: KafkaReader;
	#membership: KafkaMembership | undefined;
	#follower: KafkaFollower | undefined;
	#specs: readonly TopicSpec[] = [];
	#retention: KafkaRetention | undefined;
	#state: "new" | "open" | "closed" = "new";
	#closing: Promise<void> | undefined;

	constructor(options: KafkaLogOptions) {
		this.#options = options;
		this.addresses = options.brokers;
		this.#addresses = new KafkaAddresses(options.brokers);
		this.#progress = new KafkaProgress((health) => options.onHealth?.(health));
		const { requestDeadlineMs = REQUEST_DEADLINE_MS_DEFAULT } = options;
		const requestMs = Math.min(REQUEST_MS_MAX, requestDeadlineMs / 3);
		const topicName = (id: PartitionId) => this.#topic(id);
		this.#reader = new KafkaReader(this.#cluster({ requestMs }));
		this.#tail = new KafkaReader(this.#cluster({ requestMs }));
		this.#writer = new KafkaWriter({
			producer: new KafkaProducer(this.#cluster({ requestMs }), topicName),
			brokers: options.brokers,
			topicName,
			requestDeadlineMs,
			maxBatchBytes: MESSAGE_BYTES_MAX,
			progress: this.#progress,
			onStored: (id, records, base) => this.#membership?.appended(id, stored(records, base)),
		});
	}

	async open(topics: readonly TopicSpec[]): Promise<void> {
		const { brokers, openDeadlineMs = OPEN_DEADLINE_MS_DEFAULT } = this.#options;
		await loadClient(this.#options.client ?? "kafkajs");
		const since = Date.now();
		for (let attempts = 1; ; attempts++) {
			const leftMs = since + openDeadlineMs - Date.now();
			try {
				const connected = this.#connect(topics, Math.min(OPEN_TRY_MS, leftMs));
				if (!(await endsWithin(leftMs, connected))) throw new Error("no answer within the deadline");
				this.#specs = topics;
				this.#state = "open";
				return;
			} catch (cause) {
				if (MycelogError.is(cause)) throw cause;
				if (isRefusal(cause)) throw accessRefused(brokers, cause as Error);
				const elapsedMs = Date.now() - since;
				if (elapsedMs + OPEN_PAUSE_MS < openDeadlineMs) {
					await new Promise((resolve) => setTimeout(resolve, OPEN_PAUSE_MS));
					continue;
				}
				const text = `no Kafka broker answered at ${brokers.join(", ")}: ${attempts} attempts in ${elapsedMs} ms; last: ${(cause as Error).message}`;
				throw new MycelogError("log.unreachable", text, { brokers, attempts, elapsedMs }, { cause });
			}
		}
	}

	get probes(): ProbeStats {
		return this.#progress.stats;
	}

	append(id: PartitionId, records: readonly NewRecord[]): Promise<number> {
		const oversize = oversizeError(records, this.maxRecordBytes);
		if (oversize) return Promise.reject(oversize);
		return this.#state === "open" ? this.#writer.append(id, records) : Promise.reject(notOpen());
	}

	async read(id: PartitionId, from: number, limit: ReadLimit): Promise<LogRecord[]> {
		if (this.#state !== "open") throw notOpen();
		const reader = limit.waitMs > 0 ? this.#tail : this.#reader;
		try {
			return await this.#answered(() => reader.read(this.#topic(id), id.partition, from, limit));
		} catch (error) {
			if ((error as { type?: string }).type !== "OFFSET_OUT_OF_RANGE") throw error;
			const { start, end } = await this.bounds(id);
			if (from >= end) return [];
			const text = `offset ${from} of ${this.#topic(id)}/${id.partition} is gone; the first one kept is ${start}`;
			throw new MycelogError("log.offset-trimmed", text, { offset: from, start });
		}
	}

	async bounds(id: PartitionId): Promise<PartitionBounds> {
		if (this.#state !== "open") throw notOpen();
		return this.#answered(() => this.#reader.bounds(this.#topic(id), id.partition));
	}

	/** 0: there is no such topic. */
	async partitionsOf(topic: string): Promise<number> {
		const name = this.#topic({ topic, partition: 0 });
		return this.#withCluster(REQUEST_MS_MAX, async (cluster) => {
			const [found] = await cluster.describeTopics([name]);
			return found?.partitions.length ?? 0;
		});
	}

	async topics(prefix: string): Promise<readonly string[]> {
		const names = await this.#withCluster(REQUEST_MS_MAX, (cluster) => {
			return cluster.listTopics(`${this.#options.prefix}.${prefix}`);
		});
		return names.map((name) => name.slice(this.#options.prefix.length + 1));
	}

	async removeTopics(names: readonly string[]): Promise<void> {
		await this.#withCluster(REQUEST_MS_MAX, (cluster) => {
			return cluster.deleteTopics(
				names.map((topic) => this.#topic({ topic, partition: 0 })),
				REQUEST_MS_MAX,
			);
		});
	}

	async own(topics: readonly string[], owner: PartitionOwner, member = memberOfItsOwn()): Promise<void> {
		const { prefix, onOwnerError: onError = () => {} } = this.#options;
		const progress = this.#progress;
		this.#follower = new KafkaFollower({
			cluster: this.#cluster({ requestMs: REQUEST_MS_MAX }),
			topicName: (id) => this.#topic(id),
			boundsOf: (id) => this.bounds(id),
			isWriting: (id) => this.#writer.isWriting(id),
			progress,
			onError,
		});
		await this.#follower.connect();
		const follower = this.#follower;
		this.#membership = new KafkaMembership({
			cluster: this.#cluster({ requestMs: REQUEST_MS_MAX, clientId: member.id }),
			apart: (work) =>
				this.#withCluster(REQUEST_MS_MAX, async (cluster) => {
					await cluster.refreshMetadata();
					return work(cluster);
				}),
			silenceMs: this.#silenceMs,
			watch: this.#isWatched ? (onSilent) => this.#watch(member, onSilent) : undefined,
			group: prefix,
			prefix,
			progress,
			follower,
			owner,
			member,
			onError,
		});
		if (owner.uncovered) this.#retain((id) => owner.uncovered?.(id) ?? 0);
		await this.#membership.join(topics);
		const { probe } = this.#options;
		if (probe) progress.watch(() => this.#probe(probe));
	}

	/** One look for old records of owned partitions, which are deleted as far as checkpoints reached at the last one. */
	async trim(now: number): Promise<void> {
		await this.#retention?.look(now);
	}

	end(id: PartitionId): number {
		return this.#membership?.end(id) ?? 0;
	}

	health(): LogHealth {
		if (this.#state !== "open") return { status: "unavailable", cause: "the log is not open", sinceMs: 0 };
		return this.#progress.health();
	}

	async handOver(): Promise<void> {
		await this.#membership?.handOver();
	}

	close(deadlineMs: number): Promise<void> {
		this.#closing ??= this.#close(deadlineMs);
		return this.#closing;
	}

	async #close(deadlineMs: number): Promise<void> {
		this.#retention?.stop();
		let timer: NodeJS.Timeout | undefined;
		const deadline = new Promise<void>((resolve) => {
			timer = setTimeout(resolve, deadlineMs);
		});
		// Appends still work while the owner lets go: its last checkpoint waits for its outputs.
		await Promise.race([this.#membership?.leave(), deadline]);
		this.#state = "closed";
		this.#progress.end();
		const parts = [
			this.#writer.close(deadline),
			this.#reader.disconnect(),
			this.#tail.disconnect(),
			this.#follower?.disconnect(),
		];
		await Promise.race([Promise.allSettled(parts), deadline]);
		clearTimeout(timer);
	}

	/** A read waits while the log is left alone, and begins anew when it failed in front of that. */
	async #answered<T>(work: () => Promise<T>): Promise<T> {
		for (;;) {
			await this.#progress.shut;
			if (this.#state !== "open") throw notOpen();
			try {
				const answer = await work();
				this.#progress.read();
				return answer;
			} catch (error) {
				if (!MycelogError.is(error, "log.unreachable") || takesNewWork(this.#progress.health())) throw error;
			}
		}
	}

	#retain(uncovered: (id: PartitionId) => number): void {
		const { onWarning = () => {} } = this.#options;
		this.#retention = new KafkaRetention({
			reader: this.#reader,
			topicName: (id) => this.#topic(id),
			topics: this.#specs,
			owned: () => this.#membership?.partitions ?? [],
			uncovered,
			progress: this.#progress,
			onWarning,
		});
		this.#retention.start();
	}

	#watch(member: Member, onSilent: WatchParts["onSilent"]): KafkaWatch {
		return new KafkaWatch({
			member,
			silenceMs: this.#silenceMs,
			onSilent,
			append: (id, record) => this.#writer.append(id, [record]),
			reader: new KafkaReader(this.#cluster({ requestMs: REQUEST_MS_MAX })),
			topicName: this.#topic({ topic: SIGNS_TOPIC, partition: 0 }),
		});
	}

	/** What every command takes, at the smallest: written and acknowledged, then read back. */
	async #probe(id: PartitionId): Promise<void> {
		const value = randomBytes(PROBE_BYTES);
		const record = { key: "", value, headers: {}, timestamp: Date.now() };
		const offset = await this.#writer.probe(id, record, PROBE_MS_MAX);
		const once = { maxRecords: 1, waitMs: 0 };
		const [read] = await this.#reader.read(this.#topic(id), id.partition, offset, once);
		if (!read || !value.equals(read.value)) throw new Error("what was written could not be read back");
	}

	/** `requestMs`: a frozen broker takes connections and never answers. */
	async #connect(topics: readonly TopicSpec[], requestMs: number): Promise<void> {
		const { prefix, replicationFactor, minInsyncReplicas, onWarning = () => {} } = this.#options;
		const replication = {
			...(replicationFactor !== undefined && { factor: replicationFactor }),
			...(minInsyncReplicas !== undefined && { inSync: minInsyncReplicas }),
		};
		await this.#withCluster(requestMs, async (cluster) => {
			const all = this.#isWatched ? [...topics, signsTopic] : topics;
			await ensureKafkaTopics({ cluster, prefix, replication, onWarning }, all);
			await Promise.all([this.#writer.connect(), this.#reader.connect(), this.#tail.connect()]);
		});
	}

	/** Milliseconds without a sign of life after which others take over. */
	get #silenceMs(): number {
		return this.#options.takeoverAfterMs ?? SESSION_MS_LEAST;
	}

	/** Sooner than Kafka's sessions can tell, so members watch each other. */
	get #isWatched(): boolean {
		return this.#silenceMs < SESSION_MS_LEAST;
	}

	async #withCluster<T>(requestMs: number, ask: (cluster: KafkaCluster) => Promise<T>): Promise<T> {
		const cluster = this.#cluster({ requestMs });
		try {
			await cluster.connect();
			return await ask(cluster);
		} finally {
			await cluster.disconnect();
		}
	}

	#cluster(own: { readonly requestMs: number; readonly clientId?: string }): KafkaCluster {
		const { client = "kafkajs", clientId, security = {}, onDebug } = this.#options;
		const options = { addresses: this.#addresses, clientId, security, connectMs: CONNECT_MS, ...own };
		return makeCluster(client, { ...options, ...(onDebug && { onDebug }) });
	}

	#topic({ topic }: PartitionId): string {
		return `${this.#options.prefix}.${topic}`;
	}
}

function memberOfItsOwn(): Member {
	const name = randomUUID();
	return { id: name, name, since: 0 };
}

function accessRefused(brokers: readonly string[], cause: Error): MycelogError {
	const text = `Kafka at ${brokers.join(", ")} refuses this node: ${cause.message}`;
	return new MycelogError("log.access-refused", text, { brokers }, { cause });
}

function notOpen(): MycelogError {
	return new MycelogError("log.closed", "the Kafka log is not open");
}

function stored(records: readonly NewRecord[], base: number): LogRecord[] {
	return records.map((record, i) => ({ ...record, offset: base + i }));
}
