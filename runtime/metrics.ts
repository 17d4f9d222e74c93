/**
 * The runtime's counters: plain numbers that the gateway exports. Owns their names and meaning.
 * No label names an actor, client or workspace: their number has no bound.
 */
import { Latency } from "./latency.ts";

/** Counts since the start of the process. */
export interface RuntimeMetrics {
	/** Records folded or passed on, by kind. */
	command: number;
	/** Records, as for `command`. */
	query: number;
	/** Records, as for `command`. */
	frame: number;
	/** Records, as for `command`. */
	timer: number;
	/** Records dropped as seen before. */
	duplicates: number;
	/** Queries and frames dropped because their caller had given up. */
	expired: number;
	/** Records parked as dead letters. */
	deadLetters: number;
	/** Frames without a receiver, by the reason the behaviour gave (a fixed vocabulary). */
	drops: Record<string, number>;
	/** Replies that came when nobody waited any more. */
	lateReplies: number;
	/** Messages for a socket of a node that is gone; they wait in the mailbox for the client's return. */
	strandedDeliveries: number;
	/** Written. */
	checkpoints: number;
	/** By checkpoints. */
	snapshotsWritten: number;
	/** Folded from the log because what was stored could not be used. */
	snapshotsRebuilt: number;
	/** From a record's append to its actor having handled it; of partitions that have caught up. */
	readonly processing: Latency;
	/** Times the processes that share the log changed, and partitions got or let go of. */
	rebalances: number;
	/** Times a partition became this node's. */
	partitionsAssigned: number;
	/** Times one was given to another node in order. */
	partitionsHandedOver: number;
	/** Times one was taken away without a hand-over. */
	partitionsLost: number;
	/** Actors brought into memory. */
	activations: number;
	/** Actors that left memory because nothing came. */
	passivations: number;
	/** Outputs appended to other mailboxes. */
	outputs: number;
	/** Times a partition read no further because too many of its outputs waited for the log. */
	outputStalls: number;
	/** Asks refused because too many waited already. */
	asksRefused: number;
	/** Messages from outside refused at once because nothing got into the log. */
	submitsRefused: number;
}

export function newRuntimeMetrics(): RuntimeMetrics {
	return {
		command: 0,
		query: 0,
		frame: 0,
		timer: 0,
		duplicates: 0,
		expired: 0,
		deadLetters: 0,
		drops: {},
		lateReplies: 0,
		strandedDeliveries: 0,
		checkpoints: 0,
		snapshotsWritten: 0,
		snapshotsRebuilt: 0,
		processing: new Latency(),
		rebalances: 0,
		partitionsAssigned: 0,
		partitionsHandedOver: 0,
		partitionsLost: 0,
		activations: 0,
		passivations: 0,
		outputs: 0,
		outputStalls: 0,
		asksRefused: 0,
		submitsRefused: 0,
	};
}
