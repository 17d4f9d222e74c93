/**
 * The snapshot store port: caches of folds, written only by checkpoints, always rebuildable from the log.
 * Owns the shape of snapshots and checkpoints; knows no behaviours (state is opaque text).
 */
import type { MycelogError } from "./errors.ts";
import type { PartitionId } from "./log.ts";

/** A deadline of an actor, as its snapshot keeps it. */
export interface StoredTimer {
	readonly id: string;
	/** Absolute deadline, milliseconds since 1970. */
	readonly at: number;
	/** JSON of the event to append when the deadline is reached. */
	readonly event: string;
	/** No deadline but work under way, which whoever owns the actor runs. */
	readonly work?: true;
}

/** What is stored of an actor. */
export interface StoredSnapshot {
	readonly address: string;
	/** Offset of the last record that changed this actor. */
	readonly offset: number;
	/** Behaviour version that wrote it. */
	readonly version: number;
	/** JSON, as the behaviour encodes its state. */
	readonly state: string;
	readonly timers: readonly StoredTimer[];
	/** The node process (`node~boot`) whose death this actor must hear of, if any. */
	readonly claim?: string;
}

/** What is true of a partition after folding everything before `next`. */
export interface Checkpoint {
	readonly partition: PartitionId;
	/** First offset not contained in the snapshots. */
	readonly next: number;
	/** Offset of the record by which its writer took the partition over; 0 where only one process ever owns it. */
	readonly epoch: number;
	/** JSON: newest output seen of each source, so that repeats are dropped. */
	readonly watermarks: string;
}

/** That an actor has a deadline. */
export interface PendingTimer {
	readonly address: string;
	/** Earliest deadline of this actor, milliseconds since 1970. */
	readonly at: number;
}

/** A snapshot as another process shared it. */
export interface SharedSnapshot extends StoredSnapshot {
	/** Of the mailbox. */
	readonly topic: string;
}

/** The port of a store of snapshots and checkpoints. */
export interface SnapshotStore {
	/** Undefined: none stored. Throws `snapshot.corrupt` (details: address, expected, found checksum). */
	load(address: string): StoredSnapshot | undefined;
	/** Those of the addresses that are stored, by address; of a damaged one what `load` throws. */
	loadAll(addresses: readonly string[]): ReadonlyMap<string, StoredSnapshot | MycelogError>;
	/** Undefined: none stored. */
	checkpoint(partition: PartitionId): Checkpoint | undefined;
	/**
	 * Everything in one transaction: after a crash all of it is there or none. `followedTo`: up to where others'
	 * snapshots of this partition number are known here, if that has changed.
	 */
	save(checkpoint: Checkpoint, changed: readonly StoredSnapshot[], followedTo?: number): void;
	/** What `save` or `merge` were last told of a partition number; at first 0. */
	followedTo(partition: number): number;
	/** What others shared, where it is newer: snapshots by offset, checkpoints by epoch. In one transaction. */
	merge(
		partition: number,
		followedTo: number,
		checkpoints: readonly Checkpoint[],
		snapshots: readonly SharedSnapshot[],
	): void;
	/** Offset and about how many bytes the stored snapshot of an actor has, without loading it. */
	stored(address: string): { readonly offset: number; readonly bytes: number } | undefined;
	/** Actors of a partition that have timers, without loading the others. */
	timers(partition: PartitionId): PendingTimer[];
	/** Actors of a partition that claim a node process, without loading the others. */
	claims(partition: PartitionId): { readonly address: string; readonly claim: string }[];
	/** Addresses with a snapshot, ascending, after `after`, at most `limit`; optionally only with a prefix. */
	addresses(options: { prefix?: string; after?: string; limit: number }): string[];
	/** Drop the checkpoint of a partition, and its snapshots that contain records at or after `from`. */
	forget(partition: PartitionId, from: number): void;
	/** Nothing may be asked afterwards. */
	close(): void;
}
