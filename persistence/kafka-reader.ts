/**
 * Reads any partition of a Kafka log from any offset, without a consumer group. kafkajs has no public call for that,
 * so this one file uses its cluster object (kafkajs is pinned to 2.2.4 for it). Owns bounds and long polls too.
 */
import type { Kafka, KafkaMessage } from "kafkajs";
import { MycelogError } from "./errors.ts";
import { toRecord } from "./kafka-records.ts";
import type { LogRecord, PartitionBounds, ReadLimit } from "./log.ts";

/** Bytes of one fetch; a single larger record is still returned whole. */
const FETCH_BYTES_MAX = 4 * 1024 * 1024;
/** Times a read is tried when leaders move or start, with metadata refreshed in between: five seconds in all. */
const READ_TRIES_MAX = 25;
const READ_RETRY_MS = 200;
const READ_COMMITTED = 1;

interface FetchedPartition {
	readonly partition: number;
	readonly errorCode: number;
	readonly highWatermark: string;
	readonly messages: readonly (KafkaMessage & { readonly isControlRecord?: boolean })[];
}

interface Broker {
	fetch(request: object): Promise<{ responses: { partitions: FetchedPartition[] }[] }>;
}

interface Cluster {
	connect(): Promise<void>;
	disconnect(): Promise<void>;
	refreshMetadata(): Promise<void>;
	addTargetTopic(topic: string): Promise<void>;
	findLeaderForPartitions(topic: string, partitions: number[]): Record<string, number[]>;
	findBroker(request: { nodeId: string }): Promise<Broker>;
	fetchTopicsOffset(
		topics: { topic: string; partitions: { partition: number }[]; fromBeginning: boolean }[],
	): Promise<{ partitions: { offset: string }[] }[]>;
}

export class KafkaReader {
	readonly #cluster: Cluster;
	readonly #topics = new Set<string>();

	constructor(kafka: Kafka) {
		this.#cluster = createCluster(kafka);
	}

	connect(): Promise<void> {
		return this.#cluster.connect();
	}

	disconnect(): Promise<void> {
		return this.#cluster.disconnect();
	}

	async bounds(topic: string, partition: number): Promise<PartitionBounds> {
		return this.#tried(topic, async () => {
			const of = (fromBeginning: boolean) => [{ topic, partitions: [{ partition }], fromBeginning }];
			const [first] = await this.#cluster.fetchTopicsOffset(of(true));
			const [last] = await this.#cluster.fetchTopicsOffset(of(false));
			return { start: Number(first?.partitions[0]?.offset), end: Number(last?.partitions[0]?.offset) };
		});
	}

	async read(topic: string, partition: number, from: number, limit: ReadLimit): Promise<LogRecord[]> {
		let next = from;
		for (;;) {
			const fetched = await this.#fetch(topic, partition, next, limit.waitMs);
			const records = fetched.messages
				.filter((message) => Number(message.offset) >= next && !message.isControlRecord)
				.slice(0, limit.maxRecords)
				.map(toRecord);
			if (records.length > 0) return records;
			const last = fetched.messages.at(-1);
			// Nothing there, or only markers: those are stepped over.
			if (!last || Number(last.offset) < next) return [];
			next = Number(last.offset) + 1;
		}
	}

	#fetch(topic: string, partition: number, from: number, waitMs: number): Promise<FetchedPartition> {
		return this.#tried(topic, async () => {
			const leaders = this.#cluster.findLeaderForPartitions(topic, [partition]);
			const nodeId = Object.keys(leaders)[0];
			if (nodeId === undefined) throw new Error(`partition ${topic}/${partition} has no leader`);
			const broker = await this.#cluster.findBroker({ nodeId });
			const { responses } = await broker.fetch({
				isolationLevel: READ_COMMITTED,
				maxWaitTime: waitMs,
				minBytes: 1,
				maxBytes: FETCH_BYTES_MAX,
				topics: [
					{ topic, partitions: [{ partition, fetchOffset: String(from), maxBytes: FETCH_BYTES_MAX }] },
				],
			});
			return responses[0]?.partitions[0] as FetchedPartition;
		});
	}

	async #tried<T>(topic: string, attempt: () => Promise<T>): Promise<T> {
		for (let tries = 1; ; tries++) {
			try {
				if (!this.#topics.has(topic)) {
					await this.#cluster.addTargetTopic(topic);
					this.#topics.add(topic);
				}
				return await attempt();
			} catch (cause) {
				const { type, message } = cause as Error & { type?: string };
				if (type === "OFFSET_OUT_OF_RANGE") throw cause;
				if (tries >= READ_TRIES_MAX) {
					const text = `cannot read ${topic} after ${tries} tries: ${message}`;
					throw new MycelogError("log.unreachable", text, { attempts: tries }, { cause });
				}
				await new Promise((resolve) => setTimeout(resolve, READ_RETRY_MS));
				await this.#cluster.refreshMetadata().catch(() => {
					// The next try meets the same trouble and reports it.
				});
			}
		}
	}
}

/** kafkajs keeps the method that makes its cluster objects behind a symbol. */
function createCluster(kafka: Kafka): Cluster {
	const prototype = Object.getPrototypeOf(kafka);
	const symbols = [...Object.getOwnPropertySymbols(kafka), ...Object.getOwnPropertySymbols(prototype)];
	const create = symbols.find((symbol) => symbol.description === "private:Kafka:createCluster");
	if (!create) throw new Error("this kafkajs has no createCluster; the version is pinned for that reason");
	return (kafka as unknown as Record<symbol, (options: object) => Cluster>)[create]?.({
		allowAutoTopicCreation: false,
		isolationLevel: READ_COMMITTED,
		metadataMaxAge: 300_000,
	}) as Cluster;
}
