/**
 * Asks of this node process that wait for a reply. Owns matching, expiry and the bound on waiting asks.
 */
import { MycelogError } from "../persistence/errors.ts";
import type { Clock } from "./clock.ts";
import type { ReplyResult } from "./effect.ts";
import type { RuntimeMetrics } from "./metrics.ts";

/** Asks waiting at once; past it new ones are refused with `log.overloaded`. */
export const ASKS_WAITING_MAX = 100_000;

interface Waiting {
	readonly resolve: (result: ReplyResult) => void;
	readonly reject: (error: unknown) => void;
	readonly cancelTimer: () => void;
}

export class Asks {
	readonly #waiting = new Map<string, Waiting>();
	readonly #clock: Clock;
	readonly #metrics: Pick<RuntimeMetrics, "asksRefused">;
	#next = 0;
	#closed = false;

	constructor(clock: Clock, metrics: Pick<RuntimeMetrics, "asksRefused">) {
		this.#clock = clock;
		this.#metrics = metrics;
	}

	get waiting(): number {
		return this.#waiting.size;
	}

	/** A fresh ask: its number, and the promise of its result (rejects with `actor.ask-timeout`), for who awaits it at once. */
	open(what: string, timeoutMs: number): { ask: string; result: Promise<ReplyResult> } {
		if (this.#closed) throw closedError();
		if (this.#waiting.size >= ASKS_WAITING_MAX) {
			this.#metrics.asksRefused++;
			throw new MycelogError("log.overloaded", `${ASKS_WAITING_MAX} asks wait already; ${what} was not sent`);
		}
		const ask = String(++this.#next);
		const result = new Promise<ReplyResult>((resolve, reject) => {
			const cancelTimer = this.#clock.after(timeoutMs, () => {
				this.#waiting.delete(ask);
				reject(new MycelogError("actor.ask-timeout", `no reply to ${what} within ${timeoutMs} ms`));
			});
			this.#waiting.set(ask, { resolve, reject, cancelTimer });
		});
		return { ask, result };
	}

	/** False: nobody waits (late, repeated or of an earlier process). */
	settle(ask: string, result: ReplyResult): boolean {
		const waiting = this.#waiting.get(ask);
		if (!waiting) return false;
		this.#waiting.delete(ask);
		waiting.cancelTimer();
		waiting.resolve(result);
		return true;
	}

	/** Its message was not sent, or nobody knows whether it was. */
	fail(ask: string, error: unknown): void {
		const waiting = this.#waiting.get(ask);
		this.forget(ask);
		waiting?.reject(error);
	}

	/** Nobody waits for it any more. */
	forget(ask: string): void {
		this.#waiting.get(ask)?.cancelTimer();
		this.#waiting.delete(ask);
	}

	/** The node stops: tell everybody who waits. */
	close(): void {
		this.#closed = true;
		for (const { reject, cancelTimer } of this.#waiting.values()) {
			cancelTimer();
			reject(closedError());
		}
		this.#waiting.clear();
	}
}

function closedError(): MycelogError {
	return new MycelogError("log.closed", "the node stops; the message may still be handled");
}
