/**
 * Time in a test's hands: it moves only when told, from one deadline to the next.
 * Owns the order of deadlines (by time, then by when they were asked for) and the settling of promises between two.
 */
import type { Clock } from "../runtime/clock.ts";

interface Deadline {
	readonly at: number;
	readonly order: number;
	readonly callback: () => void;
	cancelled: boolean;
}

/** A clock that a test moves. */
export class VirtualTime implements Clock {
	#now: number;
	#order = 0;
	/** Ascending by `at`, then `order`; cancelled ones stay until their turn. */
	readonly #deadlines: Deadline[] = [];

	constructor(now = 1_000_000) {
		this.#now = now;
	}

	readonly now = (): number => this.#now;

	readonly after = (delayMs: number, callback: () => void): (() => void) => {
		const at = this.#now + Math.max(delayMs, 0);
		const deadline = { at, order: this.#order++, callback, cancelled: false };
		let low = 0;
		let high = this.#deadlines.length;
		while (low < high) {
			const middle = (low + high) >> 1;
			if ((this.#deadlines[middle] as Deadline).at <= at) low = middle + 1;
			else high = middle;
		}
		this.#deadlines.splice(low, 0, deadline);
		return () => {
			deadline.cancelled = true;
		};
	};

	/** Resolves after `ms`. */
	readonly pause = (ms: number): Promise<void> => new Promise((resolve) => this.after(ms, resolve));

	/** Run the next deadline, if it is not after `end`, and let promises settle. False: there is none. */
	async step(end = Number.POSITIVE_INFINITY): Promise<boolean> {
		let next = this.#deadlines[0];
		while (next?.cancelled) {
			this.#deadlines.shift();
			next = this.#deadlines[0];
		}
		if (!next || next.at > end) return false;
		this.#deadlines.shift();
		this.#now = next.at;
		next.callback();
		await settled();
		return true;
	}

	/** Run everything that is due within `ms`. */
	async advance(ms: number): Promise<void> {
		const end = this.#now + ms;
		await settled();
		while (await this.step(end)) {
			// Each step may add deadlines before `end`.
		}
		this.#now = end;
	}
}

/** Turns in which what can go on without time does: a message, what it causes, and what that causes in turn. */
const TURNS = 3;

/** Every promise that can settle without time or the outside world has settled. */
export async function settled(): Promise<void> {
	for (let i = 0; i < TURNS; i++) await new Promise((resolve) => setImmediate(resolve));
}
