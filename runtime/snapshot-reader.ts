/**
 * Reads the snapshots that a batch of records will need, many at once: one at a time they cost more than twice as much.
 * Owns what was read ahead and its bound; who is in memory is actor-cache.ts.
 */
import { MycelogError } from "../persistence/errors.ts";
import type { LogRecord } from "../persistence/log.ts";
import type { SnapshotStore, StoredSnapshot } from "../persistence/snapshots.ts";
import type { Address } from "./address.ts";

/** Snapshots read at once. */
export const SNAPSHOTS_AHEAD_MAX = 64;

export class SnapshotReader {
	readonly #store: SnapshotStore;
	readonly #inMemory: (address: Address) => boolean;
	#coming: readonly LogRecord[] = [];
	readonly #ahead = new Map<Address, StoredSnapshot | MycelogError | undefined>();

	constructor(store: SnapshotStore, inMemory: (address: Address) => boolean) {
		this.#store = store;
		this.#inMemory = inMemory;
	}

	/** While `work` runs, actors are asked for in the order of these records, and nothing is stored. */
	during<T>(records: readonly LogRecord[], work: () => T): T {
		this.#coming = records;
		try {
			return work();
		} finally {
			this.#coming = [];
			this.#ahead.clear();
		}
	}

	/** For the record at `offset`; undefined: none is stored. Throws what the store throws. */
	load(address: Address, offset: number): StoredSnapshot | undefined {
		if (!this.#ahead.has(address)) {
			const wanted = this.#wanted(address, offset);
			if (wanted.size === 1) return this.#store.load(address);
			const stored = this.#store.loadAll([...wanted]);
			for (const one of wanted) this.#ahead.set(one, stored.get(one));
		}
		const found = this.#ahead.get(address);
		// Once it has been in memory, another one may be stored.
		this.#ahead.delete(address);
		if (found instanceof MycelogError) throw found;
		return found;
	}

	/** Also those of the records behind it. */
	#wanted(address: Address, offset: number): Set<Address> {
		const wanted = new Set([address]);
		for (const { offset: at, key } of this.#coming) {
			if (wanted.size === SNAPSHOTS_AHEAD_MAX) break;
			if (at > offset && !this.#inMemory(key)) wanted.add(key);
		}
		return wanted;
	}
}
