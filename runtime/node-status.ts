/**
 * What each node says of its own partitions, asked for from any node. Owns what it says; a node that does not answer
 * in time is left out, and its partitions are known by their ends alone.
 */
import { type PartitionId, partitionName } from "../persistence/log.ts";
import type { Node } from "./node.ts";
import type { NodeQuestions } from "./node-questions.ts";
import { type StalledOn, stalledOn } from "./stall-watch.ts";

/** For an answer, milliseconds. */
export const STATUS_MS_MAX = 2_000;

const QUESTION = "status.ask";

/** How far one partition is. */
export interface PartitionStatus extends PartitionId {
	/** Caught up with the log as it was when it was assigned. */
	readonly live: boolean;
	/** The next offset to fold. */
	readonly next: number;
	/** The log is known to reach up to here. */
	readonly end: number;
	readonly stalledOn?: StalledOn;
}

/** What a node says of itself. */
export interface NodeStatus {
	/** Its id. */
	readonly node: string;
	readonly ready: boolean;
	/** Those it owns. */
	readonly partitions: readonly PartitionStatus[];
}

export async function statusOf(node: Node): Promise<NodeStatus> {
	const stalls = new Map(node.stalls.map((stall) => [stall.name, stall]));
	const partitions = node.partitions.map(async (partition): Promise<PartitionStatus> => {
		const { id, live, next } = partition;
		const stall = stalls.get(partitionName(id));
		const stands = stall ? { stalledOn: await stalledOn(node.log, stall) } : undefined;
		return { ...id, live, next, end: node.endOf(partition), ...stands };
	});
	return { node: node.name.id, ready: node.ready, partitions: await Promise.all(partitions) };
}

/** Any other node may ask. */
export function answerStatus(node: Node, questions: NodeQuestions): void {
	questions.on(QUESTION, () => statusOf(node));
}

/** Of the other nodes that answer in time: one that does not, or a log that takes nothing, is left out. */
export async function otherStatuses(
	{ nodes, name }: Pick<Node, "nodes" | "name">,
	questions: NodeQuestions,
): Promise<readonly NodeStatus[]> {
	const others = nodes.names.filter((other) => other !== name.text);
	const asked = others.map((other) => questions.ask(other, QUESTION, {}, STATUS_MS_MAX));
	const answers = await Promise.allSettled(asked);
	return answers.flatMap((one) => (one.status === "fulfilled" ? [one.value as NodeStatus] : []));
}
