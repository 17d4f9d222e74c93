/**
 * kafkajs' cluster object: leaders, single brokers and fetches without a consumer group, for which kafkajs has no
 * public call. Owns the one place that reaches behind kafkajs' surface (the version is pinned to 2.2.4 for it).
 */
import type { Kafka, KafkaMessage } from "kafkajs";

/** Fetches see what is committed: records of an aborted transaction never were. */
export const READ_COMMITTED = 1;

export interface FetchedPartition {
	readonly partition: number;
	readonly messages: readonly (KafkaMessage & { readonly isControlRecord?: boolean })[];
}

export interface PartitionFetch {
	readonly partition: number;
	readonly fetchOffset: string;
	/** A single larger batch is still returned whole. */
	readonly maxBytes: number;
}

export interface FetchRequest {
	readonly isolationLevel: number;
	/** Milliseconds to wait for a first byte. */
	readonly maxWaitTime: number;
	readonly minBytes: number;
	readonly maxBytes: number;
	readonly topics: readonly { readonly topic: string; readonly partitions: readonly PartitionFetch[] }[];
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

/** The broker that coordinates a group. Everything rejects with the protocol's error as `type`. */
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

export interface ClusterBroker extends GroupCoordinator {
	/** Rejects with the first partition's error, whichever that is. */
	fetch(request: FetchRequest): Promise<{
		readonly responses: readonly {
			readonly topicName: string;
			readonly partitions: readonly FetchedPartition[];
		}[];
	}>;
}

export interface KafkaCluster {
	connect(): Promise<void>;
	disconnect(): Promise<void>;
	refreshMetadata(): Promise<void>;
	/** Metadata of a topic must be known before its leaders can be asked for. */
	addTargetTopic(topic: string): Promise<void>;
	/** Partition numbers by the id of their leader. */
	findLeaderForPartitions(topic: string, partitions: readonly number[]): Record<string, number[]>;
	findBroker(request: { nodeId: string }): Promise<ClusterBroker>;
	findGroupCoordinator(request: { groupId: string }): Promise<GroupCoordinator>;
	findTopicPartitionMetadata(topic: string): readonly unknown[];
	fetchTopicsOffset(
		topics: { topic: string; partitions: { partition: number }[]; fromBeginning: boolean }[],
	): Promise<{ partitions: { offset: string }[] }[]>;
}

/** kafkajs keeps the method that makes its cluster objects behind a symbol. */
export function createCluster(kafka: Kafka): KafkaCluster {
	const prototype = Object.getPrototypeOf(kafka);
	const symbols = [...Object.getOwnPropertySymbols(kafka), ...Object.getOwnPropertySymbols(prototype)];
	const create = symbols.find((symbol) => symbol.description === "private:Kafka:createCluster");
	if (!create) throw new Error("this kafkajs has no createCluster; the version is pinned for that reason");
	return (kafka as unknown as Record<symbol, (options: object) => KafkaCluster>)[create]?.({
		allowAutoTopicCreation: false,
		isolationLevel: READ_COMMITTED,
		metadataMaxAge: 300_000,
	}) as KafkaCluster;
}
