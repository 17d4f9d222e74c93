/**
 * How many messages a second a client may send: a token bucket. Owns the arithmetic; what becomes of a message above
 * the rate is the connection's. A client speaks through one connection of the whole cluster at a time (its actor holds
 * the claim), so the bucket of that connection is the client's.
 */

/** A full bucket, in seconds of the rate. */
export const BURST_SECONDS = 10;
/** Refused messages, in seconds of the rate, that are taken for persistence. */
export const PATIENCE_SECONDS = 1;

export type Verdict = "taken" | "refused" | "persistent";

export class RateLimit {
	readonly #perSecond: number;
	#tokens: number;
	/** When `#tokens` was right, milliseconds. */
	#at: number;
	/** Since the bucket was last full. */
	#refused = 0;

	/** A new connection has one second's worth: coming again and again must not pay. */
	constructor(perSecond: number, now: number) {
		this.#perSecond = perSecond;
		this.#tokens = perSecond;
		this.#at = now;
	}

	take(now: number): Verdict {
		if (this.#tokens < 1 || now - this.#at > 1_000) this.#refill(now);
		if (this.#tokens >= 1) {
			this.#tokens--;
			return "taken";
		}
		this.#refused++;
		return this.#refused > PATIENCE_SECONDS * this.#perSecond ? "persistent" : "refused";
	}

	#refill(now: number): void {
		const full = BURST_SECONDS * this.#perSecond;
		const filled = this.#tokens + (Math.max(now - this.#at, 0) * this.#perSecond) / 1_000;
		if (filled >= full) this.#refused = 0;
		this.#tokens = Math.min(filled, full);
		this.#at = now;
	}
}
