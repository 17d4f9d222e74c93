/**
 * Things that arrive, in order, and tests that wait for them. Owns the waiting: nothing polls and nothing sleeps.
 */

/** Milliseconds until a test gives up waiting. */
const PATIENCE_MS = 30_000;

interface Waiter<T> {
	readonly check: (all: readonly T[]) => boolean;
	readonly done: (error?: Error) => void;
}

export class Inbox<T> {
	readonly all: T[] = [];
	readonly #waiters = new Set<Waiter<T>>();
	#ended: Error | undefined;

	push(item: T): void {
		this.all.push(item);
		for (const waiter of this.#waiters) if (waiter.check(this.all)) waiter.done();
	}

	/** Nothing will come any more. */
	end(error: Error): void {
		this.#ended = error;
		for (const waiter of this.#waiters) waiter.done(error);
	}

	/** The first item, past or future, that fits. */
	async first(fits: (item: T) => boolean, what: string, patienceMs = PATIENCE_MS): Promise<T> {
		await this.#until((all) => all.some(fits), what, patienceMs);
		return this.all.find(fits) as T;
	}

	/** Everything that fits, as soon as it is `count`. */
	async atLeast(count: number, fits: (item: T) => boolean, what: string, patienceMs?: number): Promise<T[]> {
		let seen = 0;
		let fitting = 0;
		await this.#until(
			(all) => {
				for (; seen < all.length; seen++) if (fits(all[seen] as T)) fitting++;
				return fitting >= count;
			},
			() => `${count} ${what} (${fitting} came)`,
			patienceMs,
		);
		return this.all.filter(fits);
	}

	#until(
		check: (all: readonly T[]) => boolean,
		what: string | (() => string),
		patienceMs = PATIENCE_MS,
	): Promise<void> {
		if (check(this.all)) return Promise.resolve();
		if (this.#ended) return Promise.reject(this.#ended);
		return new Promise((resolve, reject) => {
			const text = () => (typeof what === "string" ? what : what());
			const late = () => waiter.done(new Error(`waited ${patienceMs} ms in vain for ${text()}`));
			const timer = setTimeout(late, patienceMs);
			const waiter: Waiter<T> = {
				check,
				done: (error) => {
					clearTimeout(timer);
					this.#waiters.delete(waiter);
					if (error) reject(error);
					else resolve();
				},
			};
			this.#waiters.add(waiter);
		});
	}
}
