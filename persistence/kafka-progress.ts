/**
 * Whether the requests of a Kafka log get anywhere. Owns the judgement behind its health, and nothing else.
 */
import type { LogHealth } from "./log.ts";

/** A member of the group hears from its coordinator every half second; milliseconds until silence is a fault. */
const SILENCE_MS_MAX = 10_000;

export class KafkaProgress {
	readonly #onChange: (health: LogHealth) => void;
	#failing: { readonly cause: string; readonly since: number } | undefined;
	/** Of a member of the group; undefined while there is nobody who would be heard of. */
	#heardAt: number | undefined;
	#stopped = false;

	/** `onChange`: told when requests begin to fail and when they succeed again. */
	constructor(onChange: (health: LogHealth) => void) {
		this.#onChange = onChange;
	}

	succeeded(): void {
		if (this.#stopped || !this.#failing) return;
		this.#failing = undefined;
		this.#onChange({ status: "healthy" });
	}

	failed(cause: string): void {
		if (!this.#failing) this.#fail(cause);
	}

	/** The group's coordinator answered this member. */
	heard(): void {
		this.#heardAt = Date.now();
		this.succeeded();
	}

	/** Nothing will be delivered any more, whatever else succeeds. */
	stopped(cause: string): void {
		this.#stopped = true;
		this.#fail(cause);
	}

	health(): LogHealth {
		const now = Date.now();
		if (this.#failing) {
			const { cause, since } = this.#failing;
			return { status: "unavailable", cause, sinceMs: now - since };
		}
		const silentMs = now - (this.#heardAt ?? now);
		if (silentMs <= SILENCE_MS_MAX) return { status: "healthy" };
		return { status: "unavailable", cause: "the consumer group does not answer", sinceMs: silentMs };
	}

	#fail(cause: string): void {
		this.#failing = { cause, since: Date.now() };
		this.#onChange({ status: "unavailable", cause, sinceMs: 0 });
	}
}
