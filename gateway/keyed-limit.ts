/**
 * How often each of many may do something: a token bucket by key, an address or a user. Owns the arithmetic and the
 * bound on keys; what becomes of a request above the rate is told where it came in.
 */

/** Keys that are remembered. Past it the one that was quiet longest is forgotten, which gives it a full bucket. */
export const KEYS_MAX = 10_000;

interface Bucket {
	tokens: number;
	/** When `tokens` was right, milliseconds. */
	at: number;
}

export class KeyedLimit {
	readonly #perSecond: number;
	readonly #burst: number;
	/** The one that was used last comes last. */
	readonly #buckets = new Map<string, Bucket>();

	/** `burst`: how many at once, after a quiet time. */
	constructor(perSecond: number, burst: number) {
		this.#perSecond = perSecond;
		this.#burst = burst;
	}

	/** Count one more. Milliseconds until there is room for it; 0: there is, and only then it is counted. */
	take(key: string, now: number): number {
		const bucket = this.#filled(key, now);
		if (bucket.tokens >= 1) bucket.tokens--;
		else return this.#untilOne(bucket);
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
		const bucket = this.#buckets.get(key);
		if (bucket) bucket.tokens = Math.min(bucket.tokens + 1, this.#burst);
	}

	#filled(key: string, now: number): Bucket {
		const bucket = this.#buckets.get(key);
		if (!bucket) return { tokens: this.#burst, at: now };
		const passedMs = Math.max(now - bucket.at, 0);
		bucket.tokens = Math.min(bucket.tokens + (passedMs * this.#perSecond) / 1_000, this.#burst);
		bucket.at = now;
		return bucket;
	}

	#untilOne({ tokens }: Bucket): number {
		return Math.ceil(((1 - tokens) * 1_000) / this.#perSecond);
	}
}
