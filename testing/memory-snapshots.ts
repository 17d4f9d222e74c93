/**
 * A snapshot store in memory that keeps the port's promises and can lose, age and damage what it holds.
 * Owns the rows; one object is one node's disk, `open` gives one process's access to it.
 */
import { MycelogError } from "../persistence/errors.ts";
import { type PartitionId, partitionName } from "../persistence/log.ts";
import type { Checkpoint, SharedSnapshot, SnapshotStore, StoredSnapshot } from "../persistence/snapshots.ts";

/** States of the disk that can be gone back to. */
const HISTORY_MAX = 10;

interface Contents {
	readonly rows: ReadonlyMap<string, Row>;
	readonly checkpoints: ReadonlyMap<string, Checkpoint>;
	readonly followed: ReadonlyMap<number, number>;
}

interface Row {
	readonly partition: string;
	readonly snapshot: StoredSnapshot;
}

const NOTHING: Contents = { rows: new Map(), checkpoints: new Map(), followed: new Map() };

/** A disk in memory: what is stored on it outlives the processes that open it. */
export class MemorySnapshots {
	#now: Contents = NOTHING;
	readonly #before: Contents[] = [];
	readonly #corrupt = new Set<string>();
	/** Called before a save is stored: throw to fail it. */
	fault: (checkpoint: Checkpoint) => void = () => {};

	/** One process's access; `alive` false: the process is gone and writes nothing any more. */
	open(alive: () => boolean = () => true): SnapshotStore {
		return {
			load: (address) => {
				const found = this.#load(address);
				if (found instanceof MycelogError) throw found;
				return found;
			},
			loadAll: (addresses) => {
				const all = addresses.map((address) => [address, this.#load(address)] as const);
				return new Map(all.flatMap(([address, found]) => (found ? [[address, found] as const] : [])));
			},
			checkpoint: (partition) => this.#now.checkpoints.get(partitionName(partition)),
			save: (checkpoint, changed, followedTo) => {
				if (!alive()) throw new MycelogError("snapshot.not-written", "the process is gone");
				this.fault(checkpoint);
				this.#save(checkpoint, changed, followedTo);
			},
			followedTo: (partition) => this.#now.followed.get(partition) ?? 0,
			merge: (partition, followedTo, checkpoints, snapshots) => {
				if (!alive()) throw new MycelogError("snapshot.not-written", "the process is gone");
				this.#merge(partition, followedTo, checkpoints, snapshots);
			},
			stored: (address) => {
				const snapshot = this.#now.rows.get(address)?.snapshot;
				return snapshot && { offset: snapshot.offset, bytes: snapshot.state.length };
			},
			timers: (partition) =>
				this.#of(partition).flatMap(({ address, timers }) =>
					timers.length === 0 ? [] : [{ address, at: Math.min(...timers.map(({ at }) => at)) }],
				),
			claims: (partition) =>
				this.#of(partition).flatMap(({ address, claim }) => (claim ? [{ address, claim }] : [])),
			addresses: ({ prefix = "", after = "", limit }) =>
				[...this.#now.rows.keys()]
					.sort()
					.filter((address) => address > after && address.startsWith(prefix))
					.slice(0, limit),
			forget: (partition, from) => {
				if (alive()) this.#forget(partitionName(partition), from);
			},
			close: () => {},
		};
	}

	/** The disk was replaced. */
	lose(): void {
		this.#now = NOTHING;
	}

	/** The disk is as it was some saves ago. */
	goBack(saves: number): void {
		this.#now = this.#before.at(-saves) ?? NOTHING;
	}

	/** A row or checkpoint no longer matches its checksum. */
	damageRow(address: string): void {
		if (this.#now.rows.has(address)) this.#corrupt.add(address);
	}

	/** It is gone, as after a torn write. */
	damageCheckpoint(partition: PartitionId): void {
		const checkpoints = new Map(this.#now.checkpoints);
		checkpoints.delete(partitionName(partition));
		this.#now = { ...this.#now, checkpoints };
	}

	/** Addresses with a snapshot. */
	get stored(): readonly string[] {
		return [...this.#now.rows.keys()];
	}

	#load(address: string): StoredSnapshot | MycelogError | undefined {
		if (this.#corrupt.has(address)) {
			return new MycelogError("snapshot.corrupt", `the snapshot of ${address} is damaged`, { address });
		}
		return this.#now.rows.get(address)?.snapshot;
	}

	#of(partition: PartitionId): StoredSnapshot[] {
		const name = partitionName(partition);
		return [...this.#now.rows.values()].flatMap((row) => (row.partition === name ? [row.snapshot] : []));
	}

	#forget(partition: string, from: number): void {
		const rows = [...this.#now.rows].filter(
			([, row]) => row.partition !== partition || row.snapshot.offset < from,
		);
		const checkpoints = new Map(this.#now.checkpoints);
		checkpoints.delete(partition);
		this.#now = { ...this.#now, rows: new Map(rows), checkpoints };
	}

	#merge(
		partition: number,
		followedTo: number,
		checkpoints: readonly Checkpoint[],
		snapshots: readonly SharedSnapshot[],
	): void {
		const rows = new Map(this.#now.rows);
		for (const { topic, ...snapshot } of snapshots) {
			const { address, offset } = snapshot;
			const stored = rows.get(address);
			if (stored && offset <= stored.snapshot.offset) continue;
			rows.set(address, { partition: partitionName({ topic, partition }), snapshot });
		}
		const kept = new Map(this.#now.checkpoints);
		for (const checkpoint of checkpoints) {
			const name = partitionName(checkpoint.partition);
			const stored = kept.get(name);
			const { epoch, next } = checkpoint;
			if (!stored || epoch > stored.epoch || (epoch === stored.epoch && next > stored.next)) {
				kept.set(name, checkpoint);
			}
		}
		this.#now = { rows, checkpoints: kept, followed: new Map(this.#now.followed).set(partition, followedTo) };
	}

	#save(checkpoint: Checkpoint, changed: readonly StoredSnapshot[], followedTo?: number): void {
		this.#before.push(this.#now);
		if (this.#before.length > HISTORY_MAX) this.#before.shift();
		const partition = partitionName(checkpoint.partition);
		const rows = new Map(this.#now.rows);
		for (const snapshot of changed) {
			rows.set(snapshot.address, { partition, snapshot });
			this.#corrupt.delete(snapshot.address);
		}
		const followed = new Map(this.#now.followed);
		if (followedTo !== undefined) followed.set(checkpoint.partition.partition, followedTo);
		this.#now = { rows, checkpoints: new Map(this.#now.checkpoints).set(partition, checkpoint), followed };
	}
}
