/**
 * Whether owned partitions get anywhere: judged by offsets that move, not by the process being alive.
 * Owns what was seen of each at the last look; it looks when it is asked (readiness, connecting clients, metrics).
 */

/** A partition with records to fold that stands still this long is stalled, milliseconds. */
export const STALLED_AFTER_MS = 10_000;

export interface Position {
	/** `topic/partition`. */
	readonly name: string;
	/** The next offset to fold. */
	readonly next: number;
	/** The log is known to reach up to here. */
	readonly end: number;
}

export interface Stall {
	/** `topic/partition`. */
	readonly name: string;
	/** Of the record it stands on, or of the next one after a gap. */
	readonly offset: number;
	/** Since when it was seen there, milliseconds since 1970. */
	readonly since: number;
	/** What it is known to wait for. */
	readonly waitsFor?: Wait | undefined;
}

/**
 * - `outputs`: the log has not taken what actors sent; so many.
 * - `rebuild`: an actor's history has to be read; tried so often.
 */
export type Wait = { readonly outputs: number } | { readonly rebuild: { readonly attempts: number } };

export class Progress {
	#seen = new Map<string, Stall>();

	/** Those that have had the same record to fold for STALLED_AFTER_MS. */
	stalls(positions: readonly Position[], now: number): Stall[] {
		const before = this.#seen;
		this.#seen = new Map();
		const stalls: Stall[] = [];
		for (const { name, next, end } of positions) {
			if (next >= end) continue;
			const known = before.get(name);
			const seen = known?.offset === next ? known : { name, offset: next, since: now };
			this.#seen.set(name, seen);
			if (now - seen.since >= STALLED_AFTER_MS) stalls.push(seen);
		}
		return stalls;
	}
}
