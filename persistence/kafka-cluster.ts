/**
 * What this project asks of a Kafka client library: requests to brokers, without a library's own producer, consumer or
 * admin. Owns the port; kafka-client-kafkajs.ts and kafka-client-platformatic.ts are its adapters. Retries, batching,
 * sequence numbers, groups and what a failure means stand above it and exist once.
 *
 * Everything rejects with an Error; where a broker answered with an error of the protocol, `type` is its name and
 * `retriable` whether the same request may succeed later.
 */
import type { KafkaAddresses } from "./kafka-addresses.ts";
import type { KafkaSecurity } from "./kafka-security.ts";
import type { LogRecord, NewRecord, PartitionBounds } from "./log.ts";

export interface ClusterOptions {
	/** `host:port`; it does not matter which of them live, as long as one does. */
	readonly addresses: KafkaAddresses;
	readonly clientId: string;
	readonly security: KafkaSecurity;
	/** One try to connect, milliseconds. */
	readonly connectMs: number;
	/** One request, milliseconds, beyond the time it asks the broker to wait. */
	readonly requestMs: number;
	/** The library's own lines. */
	readonly onDebug?: (message: string, fields: object) => void;
}

export interface PartitionFetch {
	readonly topic: string;
	readonly partition: number;
	readonly from: number;
	/** Bytes; a single larger batch is still returned whole. */
	readonly maxBytes: number;
}

export interface FetchRequest {
	/** Milliseconds to wait for a first byte. */
	readonly maxWaitMs: number;
	readonly maxBytes: number;
	readonly partitions: readonly PartitionFetch[];
}

export interface FetchedPartition {
	readonly topic: string;
	readonly partition: number;
	/**
	 * Decoded when asked for: most of what an owner fetches it has already. Those of aborted transactions are among
	 * them, but nobody here makes any.
	 */
	recordsFrom(offset: number): LogRecord[];
	/** Where the log goes on: behind markers and what compaction removed, too. Not above `from` where nothing came. */
	readonly next: number;
	/** Where the log ended when the broker answered. */
	readonly end: number;
}

/** Numbers the batches of each partition, so that a broker knows a repeat. */
export interface ProducerIdentity {
	readonly id: string;
	readonly epoch: number;
}

export interface ProduceBatch {
	readonly topic: string;
	readonly partition: number;
	/** Of its first record, among all this producer sent to the partition. */
	readonly sequence: number;
	readonly records: readonly NewRecord[];
}

export interface JoinRequest {
	readonly groupId: string;
	/** Milliseconds. */
	readonly sessionTimeout: number;
	readonly rebalanceTimeout: number;
	/** Empty: a new member. */
	readonly memberId: string;
	readonly protocolType: string;
	readonly groupProtocols: readonly { readonly name: string; readonly metadata: Buffer }[];
}

export interface JoinResponse {
	readonly generationId: number;
	readonly leaderId: string;
	readonly memberId: string;
	/** Empty for all but the leader. */
	readonly members: readonly { readonly memberId: string; readonly memberMetadata: Buffer }[];
}

/** The broker that coordinates a group. */
export interface GroupCoordinator {
	joinGroup(request: JoinRequest): Promise<JoinResponse>;
	syncGroup(request: {
		groupId: string;
		generationId: number;
		memberId: string;
		groupAssignment: readonly { memberId: string; memberAssignment: Buffer }[];
	}): Promise<{ readonly memberAssignment: Buffer }>;
	heartbeat(request: { groupId: string; groupGenerationId: number; memberId: string }): Promise<unknown>;
	leaveGroup(request: { groupId: string; memberId: string }): Promise<unknown>;
	describeGroups(request: { groupIds: readonly string[] }): Promise<{
		readonly groups: readonly {
			readonly members: readonly { readonly memberId: string; readonly clientId: string }[];
		}[];
	}>;
}

export interface ClusterBroker {
	/** Of partitions it leads. Rejects with the first partition's error, whichever that is. */
	fetch(request: FetchRequest): Promise<readonly FetchedPartition[]>;
	/**
	 * Appends to partitions it leads, acknowledged by all in-sync replicas. Answers in the order of the batches: the
	 * offset of the first record, or why not. A rejection means that nobody knows of any of them.
	 */
	produce(producer: ProducerIdentity, batches: readonly ProduceBatch[]): Promise<readonly (number | Error)[]>;
}

export interface NewTopic {
	readonly name: string;
	readonly partitions: number;
	readonly replicationFactor: number;
	readonly settings: Readonly<Record<string, string>>;
}

export interface FoundTopic {
	readonly name: string;
	readonly partitions: readonly { readonly leader: number; readonly replicas: readonly number[] }[];
}

export interface KafkaCluster {
	/** Tries every address before it rejects. */
	connect(): Promise<void>;
	disconnect(): Promise<void>;

	/** Of the topics that were added. */
	refreshMetadata(): Promise<void>;
	/** Metadata of a topic must be known before its leaders can be asked for. */
	addTargetTopic(topic: string): Promise<void>;
	/** Partition numbers by the id of their leader. */
	findLeaderForPartitions(topic: string, partitions: readonly number[]): Record<string, number[]>;
	findTopicPartitionMetadata(topic: string): readonly unknown[];
	findBroker(request: { nodeId: string }): Promise<ClusterBroker>;
	findGroupCoordinator(request: { groupId: string }): Promise<GroupCoordinator>;
	bounds(topic: string, partition: number): Promise<PartitionBounds>;
	/** Of the first record that is not older, milliseconds since 1970; undefined: all are. */
	offsetAt(topic: string, partition: number, timestamp: number): Promise<number | undefined>;
	/** For good. What is gone already is no matter. */
	deleteRecords(topic: string, partition: number, before: number): Promise<void>;
	newProducer(): Promise<ProducerIdentity>;

	/** How many brokers live. */
	countBrokers(): Promise<number>;
	/** Names of all topics that begin so. */
	listTopics(prefix: string): Promise<readonly string[]>;
	/** Those that do not exist are no matter. */
	deleteTopics(names: readonly string[], timeoutMs: number): Promise<void>;
	/** Those of the names that exist. */
	describeTopics(names: readonly string[]): Promise<readonly FoundTopic[]>;
	/** Those that exist already stay as they are. */
	createTopics(topics: readonly NewTopic[], timeoutMs: number): Promise<void>;
	/** What is in force, by topic and by the name of the setting. */
	topicSettings(
		topics: readonly string[],
		settings: readonly string[],
	): Promise<ReadonlyMap<string, Readonly<Record<string, string>>>>;
}
