/**
 * Time as an injected dependency. Owns the system clock; simulated ones live with the tests.
 */

export interface Clock {
	/** Milliseconds since 1970. */
	now(): number;
	/** Run `callback` once after `delayMs`; returns a function that cancels it. */
	after(delayMs: number, callback: () => void): () => void;
}

/** Node's timers take at most 2^31-1 ms; longer delays are cut, and whoever waits looks at the clock again. */
export const DELAY_MS_MAX = 2 ** 31 - 1;

/** The time of this process. Delays above DELAY_MS_MAX are cut to it. */
export const systemClock: Clock = {
	now: () => Date.now(),
	after(delayMs, callback) {
		const timer = setTimeout(callback, Math.min(Math.max(delayMs, 0), DELAY_MS_MAX));
		return () => clearTimeout(timer);
	},
};
