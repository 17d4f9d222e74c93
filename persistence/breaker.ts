/**
 * When a log that does not answer is left alone, and when it is tried again. Pure: time and chance come in.
 * Owns the states and the back-off; what a probe is and when one is due is kafka-progress.ts.
 */

/** Failed probes in a row after which the log is left alone. */
export const FAILED_PROBES_MAX = 3;
/** Until the next trial, milliseconds: doubles from the first to the last with each that fails. */
export const BACK_OFF_MS_FIRST = 1_000;
export const BACK_OFF_MS_MAX = 30_000;
/** Part of a back-off by which it may be shorter or longer, so that the nodes of a cluster do not all come at once. */
export const BACK_OFF_JITTER = 0.2;

/**
 * - `closed`: requests go out.
 * - `open`: none do until the back-off is over.
 * - `half-open`: one trial is under way, and nothing else.
 */
export type BreakerState = "closed" | "open" | "half-open";

export interface BreakerTime {
	/** Milliseconds. */
	now(): number;
	/** At least 0, below 1. */
	random(): number;
}

export class Breaker {
	readonly #time: BreakerTime;
	#state: BreakerState = "closed";
	#failures = 0;
	/** After the next failure, milliseconds. */
	#backOffMs = BACK_OFF_MS_FIRST;
	#tryAt = 0;

	constructor(time: BreakerTime) {
		this.#time = time;
	}

	get state(): BreakerState {
		return this.#state;
	}

	/** Probes that failed since the last that did not. */
	get failures(): number {
		return this.#failures;
	}

	/** Milliseconds until the next trial; 0: it is under way or not needed. */
	get nextTryMs(): number {
		return this.#state === "open" ? Math.max(0, this.#tryAt - this.#time.now()) : 0;
	}

	/** Whether a probe may go out now. Where that ends a back-off, the caller makes the one trial. */
	admitsProbe(): boolean {
		if (this.#state === "open" && this.nextTryMs === 0) {
			this.#state = "half-open";
			return true;
		}
		return this.#state === "closed";
	}

	/** A sign of life: the trial need not wait, and the back-off begins anew. */
	hurry(): void {
		if (this.#state !== "open") return;
		this.#tryAt = this.#time.now();
		this.#backOffMs = BACK_OFF_MS_FIRST;
	}

	/** While open it says nothing: the answer to something that was sent before. */
	succeeded(): void {
		if (this.#state === "open") return;
		this.#state = "closed";
		this.#failures = 0;
		this.#backOffMs = BACK_OFF_MS_FIRST;
	}

	failed(): void {
		if (this.#state === "open") return;
		this.#failures++;
		if (this.#state === "half-open" || this.#failures >= FAILED_PROBES_MAX) this.#open();
	}

	#open(): void {
		this.#state = "open";
		const jitter = 1 + BACK_OFF_JITTER * (2 * this.#time.random() - 1);
		this.#tryAt = this.#time.now() + this.#backOffMs * jitter;
		this.#backOffMs = Math.min(this.#backOffMs * 2, BACK_OFF_MS_MAX);
	}
}
