/**
 * How many messages a second a client may send. Owns its patience; what becomes of a message above the rate is the
 * connection's. A client speaks through one connection of the whole cluster at a time (its actor holds the claim), so
 * the bucket of that connection is the client's.
 */
import { TokenBucket } from "./token-bucket.ts";

/** A full bucket, in seconds of the rate. */
export const BURST_SECONDS = 10;
/** Refused messages, in seconds of the rate, that are taken for persistence. */
export const PATIENCE_SECONDS = 1;

export type Verdict = "taken" | "refused" | "persistent";

export class RateLimit {
	readonly #refusedMax: number;
	readonly #bucket: TokenBucket;
	/** Since the bucket was last full. */
	#refused = 0;

	/** A new connection has one second's worth: coming again and again must not pay. */
	constructor(perSecond: number, now: number) {
		this.#refusedMax = PATIENCE_SECONDS * perSecond;
		this.#bucket = new TokenBucket(perSecond, BURST_SECONDS * perSecond, now, perSecond);
	}

	take(now: number): Verdict {
		if (this.#refused > 0 && this.#bucket.isFull(now)) this.#refused = 0;
		if (this.#bucket.take(now)) return "taken";
		this.#refused++;
		return this.#refused > this.#refusedMax ? "persistent" : "refused";
	}
}
