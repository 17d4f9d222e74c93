/**
 * What an operator's questions about actors need: a log, maybe snapshots, and the behaviours to fold with.
 * Owns finding an actor's mailbox; the questions are history.ts, replay.ts, verify.ts and actor-list.ts.
 */
import { MycelogError } from "../persistence/errors.ts";
import { type PartitionId, partitionName, type ReadableLog } from "../persistence/log.ts";
import type { SnapshotStore } from "../persistence/snapshots.ts";
import { type Address, partitionOf, typeOf } from "./address.ts";
import type { Behaviour, Behaviours } from "./behaviour.ts";
import type { HistoryIndex } from "./history-index.ts";
import type { Draft } from "./message.ts";
import { partitionsOf } from "./topics.ts";

/** Everything an answer is made of. Nothing here carries out effects, and only `rebuild` writes. */
export interface OperatorParts {
	readonly log: ReadableLog;
	/** Undefined: answers come from the log alone. */
	readonly snapshots?: SnapshotStore;
	readonly behaviours: Behaviours;
	/** Undefined: an actor's history is found by reading its whole partition. */
	readonly index?: HistoryIndex;
	/** Partitions of the mailbox topics. */
	readonly partitions: number;
}

/** For what is done to actors: each of it is a record in a mailbox. */
export interface WritableParts extends OperatorParts {
	/** Resolves to the offset once it is durable. */
	readonly append: (draft: Draft) => Promise<number>;
}

/** Where the messages of an actor lie, and who folds them. */
export interface Mailbox {
	readonly partition: PartitionId;
	readonly behaviour: Behaviour;
}

/** How far a look at a history is. */
export interface ScanProgress {
	/** Offsets of the mailbox's partition looked at so far, of all that will be. */
	readonly scanned: number;
	/** Offsets of that partition that will be looked at. */
	readonly total: number;
}

/** Throws `actor.invalid-address` or `actor.unknown-type`. */
export function mailboxOf({ behaviours, partitions }: OperatorParts, address: Address): Mailbox {
	const type = typeOf(address);
	const behaviour = behaviours.get(type);
	if (!behaviour) throw unknownType(type, behaviours.keys(), { address });
	return {
		behaviour,
		partition: { topic: behaviour.topic, partition: partitionOf(address, partitions) },
	};
}

/** Mailboxes of all actors of a type, or of all there are. Throws `actor.unknown-type`. */
export function mailboxesOf(
	{ behaviours, partitions }: Pick<OperatorParts, "behaviours" | "partitions">,
	type?: string,
): PartitionId[] {
	if (type !== undefined && !behaviours.has(type)) throw unknownType(type, behaviours.keys());
	const meant = [...behaviours.values()].filter((one) => type === undefined || one.type === type);
	return partitionsOf(new Set(meant.map(({ topic }) => topic)), partitions);
}

export function unknownType(
	type: string,
	known: Iterable<string>,
	details: Readonly<Record<string, unknown>> = {},
): MycelogError {
	const text = `no actor type "${type}" here; known: ${[...known].join(", ")}`;
	return new MycelogError("actor.unknown-type", text, details);
}

export function notFound(address: Address, partition: PartitionId, start: number, end: number): MycelogError {
	const where = `${partition.topic}/${partition.partition}`;
	return new MycelogError(
		"actor.not-found",
		`no records of ${address} in its mailbox (partition ${where}, offsets ${start} to ${end})`,
		{ address, partition: where, start, end },
	);
}

/** Throws `log.offset-trimmed` for an offset that the log does not keep any more, or does not reach. */
export function mustBeKept(partition: PartitionId, offset: number, start: number, end: number): void {
	if (offset >= start && offset < end) return;
	const where = partitionName(partition);
	const kept = start === end ? "it is empty" : `it keeps ${start} to ${end - 1}`;
	const text = `offset ${offset} is not in partition ${where}: ${kept}`;
	throw new MycelogError("log.offset-trimmed", text, { partition: where, offset, start, end });
}
