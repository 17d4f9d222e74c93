/**
 * A token bucket: so many at once after a quiet time, then as many as come in by the rate. Owns the arithmetic; whose
 * bucket it is and what becomes of what is above the rate is told where it is used.
 */
export class TokenBucket {
	readonly #perSecond: number;
	readonly #burst: number;
	#tokens: number;
	/** When `#tokens` was right, milliseconds. */
	#at: number;

	/** `tokens`: what it begins with. */
	constructor(perSecond: number, burst: number, now: number, tokens = burst) {
		this.#perSecond = perSecond;
		this.#burst = burst;
		this.#tokens = tokens;
		this.#at = now;
	}

	/** False: there is none, and none is taken. */
	take(now: number): boolean {
		this.#fill(now);
		if (this.#tokens < 1) return false;
		this.#tokens--;
		return true;
	}

	giveBack(): void {
		this.#tokens = Math.min(this.#tokens + 1, this.#burst);
	}

	/** From the last `take` on, milliseconds. */
	get untilOneMs(): number {
		return Math.ceil(((1 - this.#tokens) * 1_000) / this.#perSecond);
	}

	isFull(now: number): boolean {
		this.#fill(now);
		return this.#tokens === this.#burst;
	}

	#fill(now: number): void {
		const passedMs = Math.max(now - this.#at, 0);
		this.#tokens = Math.min(this.#tokens + (passedMs * this.#perSecond) / 1_000, this.#burst);
		this.#at = now;
	}
}
