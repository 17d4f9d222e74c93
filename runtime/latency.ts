/**
 * How long something took, counted in fixed classes: plain numbers that the gateway exports as a histogram.
 * Owns the classes; they are the same for all, so that what it costs and how many series it makes is known.
 */

/** Upper bounds of the classes, milliseconds; what is above the last is counted as well. */
export const LATENCY_CLASSES_MS = [
	1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000,
] as const;

/** A histogram. */
export class Latency {
	/** One more than there are bounds. */
	readonly counts = new Array<number>(LATENCY_CLASSES_MS.length + 1).fill(0);
	/** Times observed. */
	count = 0;
	sumMs = 0;

	/** Below 0, because the clock that stamped the record is ahead of this one's, counts as 0. */
	observe(ms: number): void {
		let index = 0;
		while (index < LATENCY_CLASSES_MS.length && ms > (LATENCY_CLASSES_MS[index] as number)) index++;
		this.counts[index] = (this.counts[index] as number) + 1;
		this.count++;
		this.sumMs += Math.max(0, ms);
	}

	/** All of a batch at its end: the time is asked for once. */
	observeSince(batch: readonly { readonly timestamp: number }[], now: number): void {
		for (let i = 0; i < batch.length; i++) this.observe(now - (batch[i] as { timestamp: number }).timestamp);
	}
}
