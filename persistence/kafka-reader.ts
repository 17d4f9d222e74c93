/**
 * Reads any partition of a Kafka log from any offset, on request. Owns bounds, long polls and deleting from the beginning
 * too; what a node owns is read by kafka-follower.ts.
 */
import { MycelogError } from "./errors.ts";
import type { FetchedPartition, KafkaCluster } from "./kafka-cluster.ts";
import type { LogRecord, PartitionBounds, ReadLimit } from "./log.ts";

/** Bytes of one fetch; a single larger record is still returned whole. */
const FETCH_BYTES_MAX = 4 * 1024 * 1024;
/** Times a read is tried when leaders move or start, with metadata refreshed in between: five seconds in all. */
const READ_TRIES_MAX = 25;
const READ_RETRY_MS = 200;

export class KafkaReader {
	readonly #cluster: KafkaCluster;
	readonly #topics = new Set<string>();

	constructor(cluster: KafkaCluster) {
		this.#cluster = cluster;
	}

	connect(): Promise<void> {
		return this.#cluster.connect();
	}

	disconnect(): Promise<void> {
		return this.#cluster.disconnect();
	}

	async bounds(topic: string, partition: number): Promise<PartitionBounds> {
		return this.#tried(topic, () => this.#cluster.bounds(topic, partition));
	}

	/** Of the first record that is not older, milliseconds since 1970; undefined: all are. */
	offsetAt(topic: string, partition: number, timestamp: number): Promise<number | undefined> {
		return this.#tried(topic, () => this.#cluster.offsetAt(topic, partition, timestamp));
	}

	/** For good. Again is no matter. */
	deleteRecords(topic: string, partition: number, before: number): Promise<void> {
		return this.#tried(topic, () => this.#cluster.deleteRecords(topic, partition, before));
	}

	async read(topic: string, partition: number, from: number, limit: ReadLimit): Promise<LogRecord[]> {
		let next = from;
		for (;;) {
			const fetched = await this.#fetch(topic, partition, next, limit.waitMs);
			const records = fetched.recordsFrom(next).slice(0, limit.maxRecords);
			if (records.length > 0) return records;
			// Nothing there, or only markers and what compaction emptied: those are stepped over.
			if (fetched.next <= next) return [];
			next = fetched.next;
		}
	}

	#fetch(topic: string, partition: number, from: number, waitMs: number): Promise<FetchedPartition> {
		return this.#tried(topic, async () => {
			const leaders = this.#cluster.findLeaderForPartitions(topic, [partition]);
			const nodeId = Object.keys(leaders)[0];
			if (nodeId === undefined) throw new Error(`partition ${topic}/${partition} has no leader`);
			const broker = await this.#cluster.findBroker({ nodeId });
			const [fetched] = await broker.fetch({
				maxWaitMs: waitMs,
				maxBytes: FETCH_BYTES_MAX,
				partitions: [{ topic, partition, from, maxBytes: FETCH_BYTES_MAX }],
			});
			return fetched as FetchedPartition;
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
