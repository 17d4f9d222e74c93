/**
 * What an operator's questions about actors need: a log, maybe snapshots, and the behaviours to fold with.
 * Owns finding an actor's mailbox; the questions are history.ts, replay.ts, verify.ts and actor-list.ts.
 */
import { MycelogError } from "../persistence/errors.ts";
import type { Log, PartitionId } from "../persistence/log.ts";
import type { SnapshotStore } from "../persistence/snapshots.ts";
import { type Address, partitionOf, typeOf } from "./address.ts";
import type { Behaviour, Behaviours } from "./behaviour.ts";

/** Everything an answer is made of. Nothing here carries out effects, and only `rebuild` writes. */
export interface OperatorParts {
	readonly log: Log;
	/** Undefined: answers come from the log alone. */
	readonly snapshots?: SnapshotStore;
	readonly behaviours: Behaviours;
	/** Partitions of the mailbox topics. */
	readonly partitions: number;
}

export interface Mailbox {
	readonly partition: PartitionId;
	readonly behaviour: Behaviour;
}

export interface ScanProgress {
	/** Offsets of the mailbox's partition looked at so far, of all that will be. */
	readonly scanned: number;
	readonly total: number;
}

/** Partitions more than this are taken for a fault. */
const PARTITIONS_MAX = 1 << 20;

/** Throws `actor.invalid-address` or `actor.unknown-type`. */
export function mailboxOf({ behaviours, partitions }: OperatorParts, address: Address): Mailbox {
	const type = typeOf(address);
	const behaviour = behaviours.get(type);
	if (!behaviour) {
		const known = [...behaviours.keys()].join(", ");
		throw new MycelogError("actor.unknown-type", `no actor type "${type}" here; known: ${known}`, {
			address,
		});
	}
	return {
		behaviour,
		partition: { topic: behaviour.topic, partition: partitionOf(address, partitions) },
	};
}

/**
 * How many partitions a topic of an open log has. Asked from the log because a wrong number would look for
 * mailboxes in wrong places and find nothing. Rejects with `log.topic-mismatch` where the topic is missing.
 */
export async function partitionCount(log: Log, topic: string): Promise<number> {
	await log.bounds({ topic, partition: 0 });
	let least = 1;
	let most = 2;
	while (await hasPartition(log, { topic, partition: most - 1 })) {
		if (most >= PARTITIONS_MAX) break;
		least = most;
		most *= 2;
	}
	while (least < most - 1) {
		const middle = (least + most) >> 1;
		if (await hasPartition(log, { topic, partition: middle - 1 })) least = middle;
		else most = middle;
	}
	return least;
}

async function hasPartition(log: Log, partition: PartitionId): Promise<boolean> {
	try {
		await log.bounds(partition);
		return true;
	} catch (error) {
		if (MycelogError.is(error, "log.topic-mismatch")) return false;
		throw error;
	}
}

export function notFound(address: Address, partition: PartitionId, start: number, end: number): MycelogError {
	const where = `${partition.topic}/${partition.partition}`;
	return new MycelogError(
		"actor.not-found",
		`no records of ${address} in its mailbox (partition ${where}, offsets ${start} to ${end})`,
		{ address, partition: where, start, end },
	);
}
