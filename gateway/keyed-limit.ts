/**
 * How often each of many may do something: a token bucket by key, an address or a user. Owns the bound on keys; what
 * becomes of a request above the rate is told where it came in.
 */
import { TokenBucket } from "./token-bucket.ts";

/** Keys that are remembered. Past it the one that was quiet longest is forgotten, which gives it a full bucket. */
export const KEYS_MAX = 10_000;

export class KeyedLimit {
	readonly #perSecond: number;
	readonly #burst: number;
	/** The one that was used last comes last. */
	readonly #buckets = new Map<string, TokenBucket>();

	/** `burst`: how many at once, after a quiet time. */
	constructor(perSecond: number, burst: number) {
		this.#perSecond = perSecond;
		this.#burst = burst;
	}

	/** Count one more. Milliseconds until there is room for it; 0: there is, and only then it is counted. */
	take(key: string, now: number): number {
		const bucket = this.#buckets.get(key) ?? new TokenBucket(this.#perSecond, this.#burst, now);
		if (!bucket.take(now)) return bucket.untilOneMs;
		this.#buckets.delete(key);
		this.#buckets.set(key, bucket);
		if (this.#buckets.size > KEYS_MAX) {
			const [oldest] = this.#buckets.keys();
			this.#buckets.delete(oldest as string);
		}
		return 0;
	}

	/** What was counted last did not matter after all. */
	giveBack(key: string): void {
		this.#buckets.get(key)?.giveBack();
	}
}
