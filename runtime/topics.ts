/**
 * The runtime's topics: few, fixed, independent of the number of actors. Owns their names and retention.
 */
import type { PartitionId, TopicSpec } from "../persistence/log.ts";

/** Mailboxes of workspaces, and of an embedder's actors. */
export const ACTORS_TOPIC = "actors";
/** Mailboxes of clients, whose messages are kept for a short time. */
export const CLIENTS_TOPIC = "clients";
/** What failed for good. */
export const DEAD_LETTERS_TOPIC = "dead-letters";

/** Default number of partitions of the mailbox topics; fixed when a log is first opened. */
export const PARTITIONS_DEFAULT = 64;
/** Client mailboxes carry call payloads and are kept this long by default, milliseconds. */
export const CLIENTS_RETENTION_MS_DEFAULT = 24 * 3_600_000;
/** A node's own topic is only read live, milliseconds. */
export const NODE_RETENTION_MS = 3_600_000;

export const MAILBOX_TOPICS = [ACTORS_TOPIC, CLIENTS_TOPIC] as const;

/** All partitions of these topics. */
export function partitionsOf(topics: Iterable<string>, partitions: number): PartitionId[] {
	return [...topics].flatMap((topic) =>
		Array.from({ length: partitions }, (_, partition) => ({ topic, partition })),
	);
}

/** What a log must have for a node. Milliseconds for the clients' messages. */
export function mailboxTopics(partitions: number, clientsRetentionMs: number): TopicSpec[] {
	return [
		{ name: ACTORS_TOPIC, partitions },
		{ name: CLIENTS_TOPIC, partitions, retentionMs: clientsRetentionMs, keepsUncovered: true },
		{ name: DEAD_LETTERS_TOPIC, partitions },
	];
}

export function nodeTopic(nodeId: string): TopicSpec {
	return { name: `node.${nodeId}`, partitions: 1, retentionMs: NODE_RETENTION_MS };
}

export function nodePartition(nodeId: string): PartitionId {
	return { topic: `node.${nodeId}`, partition: 0 };
}
