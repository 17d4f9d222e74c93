/**
 * The actors of one partition that are in memory. Owns activation (from snapshot, rebuilt if damaged) and
 * passivation; knows nothing of records.
 */
import { MycelogError } from "../persistence/errors.ts";
import type { Log, PartitionId } from "../persistence/log.ts";
import type { SnapshotStore, StoredSnapshot } from "../persistence/snapshots.ts";
import { Actor } from "./actor.ts";
import { type Address, typeOf } from "./address.ts";
import type { Behaviour, Behaviours } from "./behaviour.ts";
import { rebuildActor } from "./fold.ts";
import type { Logger } from "./logger.ts";
import type { RuntimeMetrics } from "./metrics.ts";

/** Actors of one partition in memory; past it the longest unused clean ones leave at the next checkpoint. */
export const ACTORS_IN_MEMORY_MAX = 10_000;
/** An actor that had no message this long leaves memory after its snapshot, milliseconds. */
export const PASSIVATE_AFTER_MS = 30_000;

export interface ActorCacheParts {
	readonly log: Log;
	readonly snapshots: SnapshotStore;
	readonly behaviours: Behaviours;
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
	/** Insertion order is order of use: a used actor is re-inserted at a sweep, not on every message. */
	readonly #entries = new Map<Address, Entry>();

	constructor(partition: PartitionId, parts: ActorCacheParts) {
		this.#partition = partition;
		this.#parts = parts;
	}

	get size(): number {
		return this.#entries.size;
	}

	/** In memory, from its snapshot or new; a promise only where a damaged snapshot is rebuilt from the log. */
	get(address: Address, now: number, before: number): Actor | Promise<Actor> {
		const entry = this.#entries.get(address);
		if (entry) {
			entry.usedAt = now;
			return entry.actor;
		}
		const behaviour = this.#behaviour(address);
		const snapshot = this.#load(address, behaviour);
		if (snapshot === "damaged") return this.#rebuild(address, behaviour, now, before);
		const actor = snapshot ? Actor.restore(snapshot, behaviour) : Actor.fresh(address, behaviour);
		this.#parts.metrics.activations++;
		this.#entries.set(address, { actor, usedAt: now });
		return actor;
	}

	/** Without activating it. */
	peek(address: Address): Actor | undefined {
		return this.#entries.get(address)?.actor;
	}

	*dirty(): Iterable<Actor> {
		for (const { actor } of this.#entries.values()) if (actor.dirty) yield actor;
	}

	*all(): Iterable<Actor> {
		for (const { actor } of this.#entries.values()) yield actor;
	}

	/** Let idle, clean actors go. Call after a checkpoint. */
	passivate(now: number): void {
		let excess = this.#entries.size - ACTORS_IN_MEMORY_MAX;
		for (const [address, entry] of this.#entries) {
			const idle = now - entry.usedAt >= PASSIVATE_AFTER_MS;
			if (entry.actor.dirty || !(idle || excess > 0)) continue;
			this.#entries.delete(address);
			this.#parts.metrics.passivations++;
			excess--;
		}
	}

	#behaviour(address: Address): Behaviour {
		const { behaviours } = this.#parts;
		const behaviour = behaviours.get(typeOf(address));
		if (behaviour) return behaviour;
		throw new MycelogError(
			"actor.unknown-type",
			`no actor type "${typeOf(address)}" here; known: ${[...behaviours.keys()].join(", ")}`,
		);
	}

	#load(address: Address, behaviour: Behaviour): StoredSnapshot | undefined | "damaged" {
		try {
			const snapshot = this.#parts.snapshots.load(address);
			if (snapshot && snapshot.version !== behaviour.version) {
				this.#parts.logger.warn(
					{ address, found: snapshot.version, required: behaviour.version },
					"snapshot of another version: rebuilding the actor from its history",
				);
				return "damaged";
			}
			return snapshot;
		} catch (error) {
			if (!MycelogError.is(error, "snapshot.corrupt")) throw error;
			this.#parts.logger.error(
				{ address, err: error },
				"snapshot damaged: rebuilding the actor from the log",
			);
			return "damaged";
		}
	}

	async #rebuild(address: Address, behaviour: Behaviour, now: number, before: number): Promise<Actor> {
		const actor = await rebuildActor(this.#parts.log, this.#partition, address, behaviour, before);
		this.#parts.metrics.snapshotsRebuilt++;
		this.#entries.set(address, { actor, usedAt: now });
		return actor;
	}
}
