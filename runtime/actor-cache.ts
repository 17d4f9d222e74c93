/**
 * The actors of one partition that are in memory. Owns activation (from snapshot, rebuilt if damaged) and
 * passivation; knows nothing of records.
 */
import { MycelogError } from "../persistence/errors.ts";
import { type Log, type LogRecord, type PartitionId, partitionName } from "../persistence/log.ts";
import type { SnapshotStore, StoredSnapshot } from "../persistence/snapshots.ts";
import { Actor } from "./actor.ts";
import { type Address, typeOf } from "./address.ts";
import type { Behaviour, Behaviours } from "./behaviour.ts";
import type { Clock } from "./clock.ts";
import { rebuildActor } from "./fold.ts";
import type { Logger } from "./logger.ts";
import type { RuntimeMetrics } from "./metrics.ts";
import { unknownType } from "./operator.ts";
import { SnapshotReader } from "./snapshot-reader.ts";
import { CLIENTS_TOPIC } from "./topics.ts";

/** Actors of one partition in memory; past it the longest unused clean ones leave at the next checkpoint. */
export const ACTORS_IN_MEMORY_MAX = 10_000;
/** An actor that had no message this long leaves memory after its snapshot, milliseconds. */
export const PASSIVATE_AFTER_MS = 30_000;
/** Pause before an actor whose history could not be read is rebuilt again, milliseconds. */
export const REBUILD_RETRY_MS = 1_000;

export interface ActorCacheParts {
	readonly log: Log;
	readonly snapshots: SnapshotStore;
	readonly behaviours: Behaviours;
	readonly clock: Clock;
	readonly metrics: RuntimeMetrics;
	readonly logger: Logger;
}

interface Entry {
	readonly actor: Actor;
	usedAt: number;
}

export class ActorCache {
	readonly #partition: PartitionId;
	readonly #parts: ActorCacheParts;
	readonly #stored: SnapshotReader;
	/** Insertion order is order of use: a used actor is re-inserted at a sweep, not on every message. */
	readonly #entries = new Map<Address, Entry>();
	/**
	 * One rebuild an actor: a second one, begun by a timer that is due, would end after the loop had folded more into
	 * the first one's actor, and put an older state in its place.
	 */
	readonly #rebuilding = new Map<Address, Promise<Actor>>();
	/** Of those that are rebuilt: how often reading the history was tried. */
	readonly #tries = new Map<Address, number>();
	#closed = false;

	constructor(partition: PartitionId, parts: ActorCacheParts) {
		this.#partition = partition;
		this.#parts = parts;
		this.#stored = new SnapshotReader(parts.snapshots, (address) => this.#entries.has(address));
	}

	get size(): number {
		return this.#entries.size;
	}

	/** How often reading the history of an actor was tried whose rebuild the partition may wait for; 0: none is. */
	get rebuildTries(): number {
		return Math.max(0, ...this.#tries.values());
	}

	/**
	 * In memory, from its snapshot or new; a promise only where a damaged snapshot is rebuilt from the log, as of
	 * `before`: nothing may be folded into this actor until it settles. Throws `actor.unknown-type`.
	 */
	get(address: Address, now: number, before: number): Actor | Promise<Actor> {
		const entry = this.#entries.get(address);
		if (entry) {
			entry.usedAt = now;
			return entry.actor;
		}
		const behaviour = this.#behaviour(address);
		const rebuilding = this.#rebuilding.get(address);
		if (rebuilding) return rebuilding;
		const actor = this.#restore(address, behaviour, before);
		if (!actor) return this.#rebuild(address, behaviour, now, before);
		this.#parts.metrics.activations++;
		this.#entries.set(address, { actor, usedAt: now });
		return actor;
	}

	/** While `work` runs, actors are got in the order of these records. */
	during<T>(records: readonly LogRecord[], work: () => T): T {
		return this.#stored.during(records, work);
	}

	/** In the place of the one that is in memory. */
	put(actor: Actor, now: number): void {
		this.#entries.set(actor.address, { actor, usedAt: now });
	}

	*dirty(): Iterable<Actor> {
		for (const { actor } of this.#entries.values()) if (actor.dirty) yield actor;
	}

	*all(): Iterable<Actor> {
		for (const { actor } of this.#entries.values()) yield actor;
	}

	/** Let idle, clean actors go. Call after a checkpoint. Milliseconds until the next may go; undefined: none is left. */
	passivate(now: number): number | undefined {
		let excess = this.#entries.size - ACTORS_IN_MEMORY_MAX;
		let nextMs: number | undefined;
		for (const [address, entry] of this.#entries) {
			if (entry.actor.dirty) continue;
			const idleMs = entry.actor.behaviour.passivateAfterMs ?? PASSIVATE_AFTER_MS;
			const leftMs = entry.usedAt + idleMs - now;
			if (leftMs > 0 && excess <= 0) {
				if (nextMs === undefined || leftMs < nextMs) nextMs = leftMs;
				continue;
			}
			this.#entries.delete(address);
			this.#parts.metrics.passivations++;
			excess--;
		}
		return nextMs;
	}

	/** No rebuild is tried again. */
	close(): void {
		this.#closed = true;
	}

	#behaviour(address: Address): Behaviour {
		const { behaviours } = this.#parts;
		const behaviour = behaviours.get(typeOf(address));
		if (behaviour) return behaviour;
		throw unknownType(typeOf(address), behaviours.keys());
	}

	/** From its snapshot, or new where there is none; undefined: what is stored cannot be used. */
	#restore(address: Address, behaviour: Behaviour, before: number): Actor | undefined {
		const { logger } = this.#parts;
		let snapshot: StoredSnapshot | undefined;
		try {
			snapshot = this.#stored.load(address, before);
			if (!snapshot) return Actor.fresh(address, behaviour);
			const actor = Actor.adopt(snapshot, behaviour);
			if (actor) return actor;
		} catch (err) {
			if (MycelogError.is(err, "actor.version-mismatch")) throw err;
			// Whatever the reason, the log has it all: a record must not be parked because a cache cannot be read.
			const partition = partitionName(this.#partition);
			logger.error({ address, partition, err }, "snapshot damaged: rebuilding the actor from the log");
			return undefined;
		}
		const partition = partitionName(this.#partition);
		const versions = { address, partition, found: snapshot.version, required: behaviour.version };
		logger.warn(versions, "snapshot of another version: rebuilding the actor from its history");
		return undefined;
	}

	#rebuild(address: Address, behaviour: Behaviour, now: number, before: number): Promise<Actor> {
		const rebuilding = this.#fromLog(address, behaviour, before)
			.then((actor) => {
				this.#parts.metrics.snapshotsRebuilt++;
				this.#entries.set(address, { actor, usedAt: now });
				return actor;
			})
			.finally(() => {
				this.#rebuilding.delete(address);
				this.#tries.delete(address);
			});
		this.#rebuilding.set(address, rebuilding);
		return rebuilding;
	}

	/** Tried until the log answers or is closed: a partition must not stop because its broker is away for a while. */
	async #fromLog(address: Address, behaviour: Behaviour, before: number): Promise<Actor> {
		const { log, clock, logger } = this.#parts;
		for (let tries = 1; ; tries++) {
			this.#tries.set(address, tries);
			try {
				const { start } = await log.bounds(this.#partition);
				const actor = await rebuildActor(log, this.#partition, address, behaviour, before);
				if (start > 0) {
					const partition = partitionName(this.#partition);
					// Of clients' mailboxes old records go by design.
					logger[this.#partition.topic === CLIENTS_TOPIC ? "warn" : "error"](
						{ address, partition, start },
						"rebuilt from what the log still keeps: history before it is lost to this actor",
					);
				}
				return actor;
			} catch (err) {
				if (this.#closed || MycelogError.is(err, "log.closed")) throw err;
				const partition = partitionName(this.#partition);
				logger.warn({ address, partition, err }, "history not readable; trying again");
				await new Promise<void>((resolve) => clock.after(REBUILD_RETRY_MS, resolve));
			}
		}
	}
}
