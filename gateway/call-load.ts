/**
 * How busy a client is: calls that were handed to its socket within the last minute. Owns the arithmetic; who wants
 * to know asks the client's mailbox, and the session that serves the client answers, so the number is nobody's copy.
 */

const WINDOW_MS = 60_000;

export class CallLoad {
	/** Number of the window that `#current` counts, since 1970. */
	#window = 0;
	#current = 0;
	#previous = 0;

	count(now: number): void {
		this.#turnTo(now);
		this.#current++;
	}

	/** The last sixty seconds: the window before counts by the part of it that is within them. */
	perMinute(now: number): number {
		this.#turnTo(now);
		const past = (now % WINDOW_MS) / WINDOW_MS;
		return this.#current + this.#previous * (1 - past);
	}

	#turnTo(now: number): void {
		const window = Math.floor(now / WINDOW_MS);
		if (window === this.#window) return;
		this.#previous = window === this.#window + 1 ? this.#current : 0;
		this.#current = 0;
		this.#window = window;
	}
}
