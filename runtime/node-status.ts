/**
 * What each node says of its own partitions, asked for from any node. Owns the question between nodes and its answer; a node
 * that does not answer in time is left out, and its partitions are known by their ends alone.
 */
import { type PartitionId, partitionName } from "../persistence/log.ts";
import type { Event, ReplyTo } from "./message.ts";
import type { Node } from "./node.ts";
import type { NodeChannel } from "./node-channel.ts";
import { type StalledOn, stalledOn } from "./stall-watch.ts";

/** Where the question goes to on a node; no socket has this name. */
export const STATUS_CONNECTION = "~status";
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

export class StatusExchange {
	readonly #node: Node;
	readonly #channel: NodeChannel;

	constructor(node: Node, channel: NodeChannel) {
		this.#node = node;
		this.#channel = channel;
	}

	/** Another node asks. */
	take(signal: Event): void {
		if (signal.type !== QUESTION) return;
		const to = signal["replyTo"] as ReplyTo;
		void statusOf(this.#node).then((value) => this.#node.answer(to, { ok: true, value }));
	}

	/** Of the other nodes that answer in time. */
	async others(): Promise<readonly NodeStatus[]> {
		const { nodes, name } = this.#node;
		const asked = nodes.names.filter((other) => other !== name.text).map((other) => this.#ask(other));
		return (await Promise.all(asked)).filter((status) => status !== undefined);
	}

	async #ask(other: string): Promise<NodeStatus | undefined> {
		const { replyTo, result, forget } = this.#node.expect(`status of ${other}`, STATUS_MS_MAX);
		const outlet = { node: other, connection: STATUS_CONNECTION };
		const sent = this.#channel.sendSignal(outlet, { type: QUESTION, replyTo });
		try {
			const reply = await Promise.race([result, sent.then(() => result)]);
			return reply.ok ? (reply.value as NodeStatus) : undefined;
		} catch {
			// Too late, or the log takes nothing: what this node knows is told without it.
			return undefined;
		} finally {
			forget();
		}
	}
}
