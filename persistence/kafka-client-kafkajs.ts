/**
 * The Kafka port on kafkajs. Owns the one place that reaches behind kafkajs' surface: leaders, single brokers, produce
 * and fetch without its producer and consumer have no public call (the version is pinned to 2.2.4 for it).
 *
 * Why not kafkajs' producer: it gives the sequence numbers of a failed request to the next one, and sends a request
 * that one broker has answered again when another broker failed. Either loses or doubles records.
 */
import { Kafka, type KafkaMessage, logLevel } from "kafkajs";
import { ownSocket, type RawConnection } from "./kafka-client-kafkajs-socket.ts";
import type {
	ClusterBroker,
	ClusterOptions,
	FetchedPartition,
	FetchRequest,
	FoundTopic,
	GroupCoordinator,
	KafkaCluster,
	NewTopic,
	ProduceBatch,
	ProducerIdentity,
} from "./kafka-cluster.ts";
import { HEADERS, nullIfEmpty, toHeaders } from "./kafka-records.ts";
import type { LogRecord, NewRecord, PartitionBounds } from "./log.ts";

/** Fetches see what is committed: a record of an open transaction is not there yet. */
const READ_COMMITTED = 1;
const ALL_REPLICAS = -1;
/** Kafka's number for settings of topics. */
const TOPIC_RESOURCE = 2;
/** Milliseconds until leaders are looked up anew without a failure. */
const METADATA_MS_MAX = 300_000;
/** Placed as timestamps in a request for offsets. */
const EARLIEST = -2;
const LATEST = -1;

interface RawTopic {
	readonly topic: string;
	readonly partitionMetadata: readonly {
		readonly partitionId: number;
		readonly leader: number;
		readonly replicas: readonly number[];
	}[];
}

interface RawMetadata {
	readonly brokers: readonly unknown[];
	readonly topicMetadata: readonly RawTopic[];
}

interface RawFetched {
	readonly partition: number;
	readonly highWatermark: string;
	readonly lastStableOffset?: string;
	readonly messages: readonly (KafkaMessage & { readonly isControlRecord?: boolean })[];
}

interface RawBroker extends GroupCoordinator {
	fetch(request: object): Promise<{
		readonly responses: readonly { readonly topicName: string; readonly partitions: readonly RawFetched[] }[];
	}>;
	produce(request: object): Promise<{
		readonly topics: readonly {
			readonly topicName: string;
			readonly partitions: readonly { readonly partition: number; readonly baseOffset: string }[];
		}[];
	}>;
	listOffsets(request: object): Promise<{
		readonly responses: readonly { readonly partitions: readonly { readonly offset: string }[] }[];
	}>;
	deleteRecords(request: object): Promise<unknown>;
	initProducerId(request: object): Promise<{ readonly producerId: string; readonly producerEpoch: number }>;
	metadata(topics: readonly string[]): Promise<RawMetadata>;
	createTopics(request: object): Promise<unknown>;
	deleteTopics(request: object): Promise<unknown>;
	describeConfigs(request: object): Promise<{
		readonly resources: readonly {
			readonly resourceName: string;
			readonly configEntries: readonly { readonly configName: string; readonly configValue: string }[];
		}[];
	}>;
}

/** kafkajs' own object of this name. */
interface RawCluster {
	connect(): Promise<void>;
	disconnect(): Promise<void>;
	refreshMetadata(): Promise<void>;
	addTargetTopic(topic: string): Promise<void>;
	findLeaderForPartitions(topic: string, partitions: readonly number[]): Record<string, number[]>;
	findTopicPartitionMetadata(topic: string): readonly unknown[];
	findBroker(request: { nodeId: string }): Promise<RawBroker>;
	findControllerBroker(): Promise<RawBroker>;
	findGroupCoordinator(request: { groupId: string }): Promise<GroupCoordinator>;
	readonly targetTopics: Set<string>;
	readonly brokerPool: { findConnectedBroker(): Promise<RawBroker> };
	readonly connectionPoolBuilder: {
		build(to?: object): Promise<{ readonly pool: readonly RawConnection[] }>;
	};
}

export class KafkaJsCluster implements KafkaCluster {
	readonly #options: ClusterOptions;
	#raw: RawCluster;
	/** Topics it was told of that did not exist when it last looked. */
	readonly #removed = new Set<string>();
	#connected = false;

	constructor(options: ClusterOptions) {
		this.#options = options;
		this.#raw = this.#create();
	}

	/** kafkajs stays with the first address where that one takes connections and never answers. */
	async connect(): Promise<void> {
		for (let tries = 1; ; tries++) {
			const { addresses } = this.#options;
			const first = addresses.order[0] as string;
			// In the order that is known by now.
			if (!this.#connected) this.#raw = this.#create();
			try {
				await this.#raw.connect();
				this.#connected = true;
				return;
			} catch (cause) {
				await this.#raw.disconnect();
				addresses.failed(first);
				if (isSaslFailure(cause)) throw Object.assign(cause, { type: "SASL_AUTHENTICATION_FAILED" });
				if (tries >= addresses.order.length) throw cause;
			}
		}
	}

	disconnect(): Promise<void> {
		return this.#raw.disconnect();
	}

	refreshMetadata(): Promise<void> {
		return this.#forgiving(() => this.#raw.refreshMetadata());
	}

	addTargetTopic(topic: string): Promise<void> {
		return this.#forgiving(() => this.#raw.addTargetTopic(topic));
	}

	findLeaderForPartitions(topic: string, partitions: readonly number[]): Record<string, number[]> {
		return this.#raw.findLeaderForPartitions(topic, partitions);
	}

	findTopicPartitionMetadata(topic: string): readonly unknown[] {
		return this.#raw.findTopicPartitionMetadata(topic);
	}

	async findBroker(request: { nodeId: string }): Promise<ClusterBroker> {
		return new KafkaJsBroker(await this.#raw.findBroker(request), this.#options.requestMs);
	}

	findGroupCoordinator(request: { groupId: string }): Promise<GroupCoordinator> {
		return this.#raw.findGroupCoordinator(request);
	}

	/** kafkajs asks for all topics it was ever told of at once, and hears of none where one of them was removed. */
	async #forgiving(look: () => Promise<void>): Promise<void> {
		// They may have been made anew.
		for (const topic of this.#removed) this.#raw.targetTopics.add(topic);
		this.#removed.clear();
		try {
			await look();
		} catch (cause) {
			if ((cause as { type?: string }).type !== "UNKNOWN_TOPIC_OR_PARTITION") throw cause;
			const { topicMetadata } = await this.#any((broker) => broker.metadata([]));
			const there = new Set(topicMetadata.map(({ topic }) => topic));
			for (const topic of this.#raw.targetTopics) if (!there.has(topic)) this.#removed.add(topic);
			if (this.#removed.size === 0) throw cause;
			for (const topic of this.#removed) this.#raw.targetTopics.delete(topic);
			await look();
		}
	}

	async bounds(topic: string, partition: number): Promise<PartitionBounds> {
		const at = (timestamp: number) => this.#offset(topic, partition, timestamp);
		const [start, end] = await Promise.all([at(EARLIEST), at(LATEST)]);
		return { start, end };
	}

	async offsetAt(topic: string, partition: number, timestamp: number): Promise<number | undefined> {
		const offset = await this.#offset(topic, partition, timestamp);
		return offset < 0 ? undefined : offset;
	}

	async deleteRecords(topic: string, partition: number, before: number): Promise<void> {
		const leader = await this.#leader(topic, partition);
		const topics = [{ topic, partitions: [{ partition, offset: String(before) }] }];
		await leader.deleteRecords({ topics }).catch((error: { partitions?: { error: Error }[] }) => {
			throw error.partitions?.[0]?.error ?? error;
		});
	}

	async #offset(topic: string, partition: number, timestamp: number): Promise<number> {
		const leader = await this.#leader(topic, partition);
		const topics = [{ topic, partitions: [{ partition, timestamp }] }];
		const { responses } = await leader.listOffsets({ isolationLevel: READ_COMMITTED, topics });
		return Number(responses[0]?.partitions[0]?.offset);
	}

	#leader(topic: string, partition: number): Promise<RawBroker> {
		const nodeId = Object.keys(this.#raw.findLeaderForPartitions(topic, [partition]))[0];
		if (nodeId === undefined) throw new Error(`partition ${topic}/${partition} has no leader`);
		return this.#raw.findBroker({ nodeId });
	}

	async newProducer(): Promise<ProducerIdentity> {
		const request = { transactionTimeout: this.#options.requestMs };
		const { producerId, producerEpoch } = await this.#any((broker) => broker.initProducerId(request));
		return { id: producerId, epoch: producerEpoch };
	}

	async countBrokers(): Promise<number> {
		return (await this.#any((broker) => broker.metadata([]))).brokers.length;
	}

	async listTopics(prefix: string): Promise<string[]> {
		const { topicMetadata } = await this.#any((broker) => broker.metadata([]));
		return topicMetadata.map(({ topic }) => topic).filter((topic) => topic.startsWith(prefix));
	}

	async deleteTopics(names: readonly string[], timeout: number): Promise<void> {
		await this.#raw.refreshMetadata();
		const controller = await this.#raw.findControllerBroker();
		for (const name of names) {
			try {
				await controller.deleteTopics({ topics: [name], timeout });
			} catch (error) {
				if ((error as { type?: string }).type !== "UNKNOWN_TOPIC_OR_PARTITION") throw error;
			}
		}
	}

	async describeTopics(names: readonly string[]): Promise<readonly FoundTopic[]> {
		// Of all: asked for one that does not exist, kafkajs tells of none.
		const { topicMetadata } = await this.#any((broker) => broker.metadata([]));
		return topicMetadata
			.filter(({ topic }) => names.includes(topic))
			.map(({ topic: name, partitionMetadata: partitions }) => ({ name, partitions }));
	}

	async createTopics(topics: readonly NewTopic[], timeout: number): Promise<void> {
		const request = {
			timeout,
			topics: topics.map(({ name, partitions, replicationFactor, settings }) => ({
				topic: name,
				numPartitions: partitions,
				replicationFactor,
				configEntries: Object.entries(settings).map(([name, value]) => ({ name, value })),
			})),
		};
		await this.#raw.refreshMetadata();
		try {
			await (await this.#raw.findControllerBroker()).createTopics(request);
		} catch (error) {
			const { errors = [error] } = error as { errors?: { type?: string }[] };
			const other = errors.find((one) => (one as { type?: string }).type !== "TOPIC_ALREADY_EXISTS");
			if (other) throw other;
		}
	}

	async topicSettings(
		topics: readonly string[],
		configNames: readonly string[],
	): Promise<Map<string, Record<string, string>>> {
		const resources = topics.map((name) => ({ type: TOPIC_RESOURCE, name, configNames }));
		const described = await this.#any((broker) => broker.describeConfigs({ resources }));
		return new Map(
			described.resources.map(({ resourceName, configEntries }) => [
				resourceName,
				Object.fromEntries(configEntries.map(({ configName, configValue }) => [configName, configValue])),
			]),
		);
	}

	async #any<T>(ask: (broker: RawBroker) => Promise<T>): Promise<T> {
		return ask(await this.#raw.brokerPool.findConnectedBroker());
	}

	#create(): RawCluster {
		const { addresses, clientId, security, connectMs, requestMs, onDebug } = this.#options;
		const { tls, sasl } = security;
		const kafka = new Kafka({
			brokers: [...addresses.order],
			clientId,
			connectionTimeout: connectMs,
			authenticationTimeout: requestMs,
			requestTimeout: requestMs,
			retry: { retries: 0 },
			logLevel: onDebug ? logLevel.WARN : logLevel.NOTHING,
			logCreator:
				() =>
				({ log: { message, ...fields } }) =>
					onDebug?.(message, fields),
			...(tls && { ssl: { ...tls } }),
			...(sasl && { sasl: { ...sasl, mechanism: sasl.mechanism.toLowerCase() as "plain" } }),
		});
		const raw = createCluster(kafka);
		ownSockets(raw);
		return raw;
	}
}

class KafkaJsBroker implements ClusterBroker {
	readonly #raw: RawBroker;
	readonly #requestMs: number;

	constructor(raw: RawBroker, requestMs: number) {
		this.#raw = raw;
		this.#requestMs = requestMs;
	}

	async fetch({ maxWaitMs, maxBytes, partitions }: FetchRequest): Promise<FetchedPartition[]> {
		const asked = new Map(partitions.map((one) => [`${one.topic}/${one.partition}`, one.from]));
		const byTopic = Map.groupBy(partitions, ({ topic }) => topic);
		const { responses } = await this.#raw.fetch({
			isolationLevel: READ_COMMITTED,
			maxWaitTime: maxWaitMs,
			minBytes: 1,
			maxBytes,
			topics: [...byTopic].map(([topic, of]) => ({
				topic,
				partitions: of.map(({ partition, from, maxBytes }) => ({
					partition,
					fetchOffset: String(from),
					maxBytes,
				})),
			})),
		});
		return responses.flatMap(({ topicName: topic, partitions: fetched }) =>
			fetched.map((one) => fetchedOf(topic, one, asked.get(`${topic}/${one.partition}`) ?? 0)),
		);
	}

	async produce(
		{ id, epoch }: ProducerIdentity,
		batches: readonly ProduceBatch[],
	): Promise<(number | Error)[]> {
		const byTopic = Map.groupBy(batches, ({ topic }) => topic);
		const request = {
			acks: ALL_REPLICAS,
			timeout: this.#requestMs,
			producerId: id,
			producerEpoch: epoch,
			topicData: [...byTopic].map(([topic, of]) => ({
				topic,
				partitions: of.map(({ partition, sequence, records }) => ({
					partition,
					firstSequence: sequence,
					messages: records.map(toMessage),
				})),
			})),
		};
		let bases: Map<string, number>;
		try {
			const { topics } = await this.#raw.produce(request);
			bases = new Map(
				topics.flatMap(({ topicName, partitions }) =>
					partitions.map((of) => [`${topicName}/${of.partition}`, Number(of.baseOffset)] as const),
				),
			);
		} catch (error) {
			// kafkajs tells the first partition's error and forgets the others' answers.
			return batches.map(() => error as Error);
		}
		return batches.map(({ topic, partition }) => {
			return bases.get(`${topic}/${partition}`) ?? new Error(`no answer for ${topic}/${partition}`);
		});
	}
}

/** kafkajs keeps the broker's answer to a login to itself. */
function isSaslFailure(error: unknown): error is Error {
	return error instanceof Error && error.name === "KafkaJSSASLAuthenticationError";
}

function fetchedOf(
	topic: string,
	{ partition, messages, ...ends }: RawFetched,
	from: number,
): FetchedPartition {
	const last = messages.at(-1);
	const end = Number(ends.lastStableOffset ?? ends.highWatermark);
	const recordsFrom = (first: number) =>
		messages
			.filter(({ offset, isControlRecord }) => Number(offset) >= first && !isControlRecord)
			.map(toRecord);
	if (last) return { topic, partition, recordsFrom, next: Number(last.offset) + 1, end };
	// A batch that compaction emptied is there, and kafkajs does not say how long it is.
	return { topic, partition, recordsFrom, next: from < end ? from + 1 : from, end };
}

function toMessage({ key, value, headers, timestamp }: NewRecord) {
	return {
		key,
		value: nullIfEmpty(value),
		headers: { [HEADERS]: JSON.stringify(headers) },
		timestamp: String(timestamp),
	};
}

function toRecord(message: KafkaMessage): LogRecord {
	return {
		offset: Number(message.offset),
		timestamp: Number(message.timestamp),
		key: message.key?.toString("utf8") ?? "",
		headers: toHeaders(message.headers?.[HEADERS]),
		value: message.value ?? new Uint8Array(),
	};
}

function ownSockets({ connectionPoolBuilder: builder }: RawCluster): void {
	const build = builder.build;
	builder.build = async (to) => {
		const made = await build(to);
		for (const connection of made.pool) ownSocket(connection);
		return made;
	};
}

/** kafkajs keeps the method that makes its cluster objects behind a symbol. */
function createCluster(kafka: Kafka): RawCluster {
	const prototype = Object.getPrototypeOf(kafka);
	const symbols = [...Object.getOwnPropertySymbols(kafka), ...Object.getOwnPropertySymbols(prototype)];
	const create = symbols.find((symbol) => symbol.description === "private:Kafka:createCluster");
	if (!create) throw new Error("this kafkajs has no createCluster; the version is pinned for that reason");
	return (kafka as unknown as Record<symbol, (options: object) => RawCluster>)[create]?.({
		allowAutoTopicCreation: false,
		isolationLevel: READ_COMMITTED,
		metadataMaxAge: METADATA_MS_MAX,
	}) as RawCluster;
}
