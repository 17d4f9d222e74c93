/**
 * Whether the requests of a Kafka log get anywhere. Owns the judgement behind its health: what counts as progress,
 * when a probe must show it, and the gate before requests while nothing does. The states are breaker.ts.
 *
 * A probe writes a record and reads it back. A failed request alone says little (one of several brokers may be gone),
 * and a frozen broker fails none for a long time: it just does not answer.
 */
import { Breaker, type BreakerTime } from "./breaker.ts";
import type { LogHealth, ProbeStats } from "./log.ts";

/** Milliseconds without an acknowledged append until a probe makes one: its rate on an idle node. */
export const PROBE_EVERY_MS = 5_000;
/** Milliseconds without an answered fetch: those of a node that owns partitions end within a quarter of a second. */
export const READS_SILENT_MS = 1_500;
/** Longest a probe may take to count, milliseconds. */
export const PROBE_MS_MAX = 2_000;
/** Least time between the starts of two probes, milliseconds. */
export const PROBE_PAUSE_MS = 1_000;
/** How often it is looked whether a probe is due, milliseconds. */
const LOOK_EVERY_MS = 250;
/** A failed request makes the log degraded for this long, milliseconds. */
const FAILURE_SHOWN_MS = 5_000;
/** A member of the group hears from its coordinator several times a second; milliseconds until silence is a fault. */
const GROUP_SILENT_MS = 10_000;
/** When it is heard again after as long, the broker is back: a trial need not wait for its time. */
const GROUP_BACK_MS = 2_000;
const HEALTHY: LogHealth = { status: "healthy" };

export interface ProgressTime extends BreakerTime {
	/** Run once after `delayMs`; returns a function that cancels it. */
	after(delayMs: number, callback: () => void): () => void;
}

const SYSTEM_TIME: ProgressTime = {
	now: () => performance.now(),
	random: () => Math.random(),
	after: (delayMs, callback) => {
		const timer = setTimeout(callback, delayMs);
		return () => clearTimeout(timer);
	},
};

export class KafkaProgress {
	readonly stats: ProbeStats;
	readonly #onChange: (health: LogHealth) => void;
	readonly #time: ProgressTime;
	readonly #breaker: Breaker;
	#probe: (() => Promise<void>) | undefined;
	/** One at a time, also where its time is up: a broker that does not answer is not asked more and more. */
	#underWay: Promise<void> | undefined;
	#judging = false;
	#probedAt = Number.NEGATIVE_INFINITY;
	#wroteAt: number;
	#readAt: number;
	/** Of a member of the group; undefined while there is nobody who would be heard of. */
	#heardAt: number | undefined;
	#failing: { readonly cause: string; readonly since: number; readonly at: number } | undefined;
	#stopped: { readonly cause: string; readonly since: number } | undefined;
	#gate: { readonly shut: Promise<void>; readonly open: () => void } | undefined;
	#told = "healthy";
	#cancelLook: () => void = () => {};

	/** `onChange`: told when the status changes, from `watch` on. */
	constructor(onChange: (health: LogHealth) => void, time: ProgressTime = SYSTEM_TIME) {
		this.#onChange = onChange;
		this.#time = time;
		const breaker = new Breaker(time);
		this.#breaker = breaker;
		this.stats = {
			...{ succeeded: 0, failed: 0, opened: 0, lastMs: 0 },
			get breaker() {
				return breaker.state;
			},
		};
		this.#wroteAt = this.#readAt = time.now();
	}

	/** From now on `probe` shows whether the log answers, where nothing else does. It rejects with what is wrong. */
	watch(probe: () => Promise<void>): void {
		this.#probe = probe;
		// What went wrong until here has its own end: it was tried until it worked.
		this.#failing = undefined;
		this.#wroteAt = this.#readAt = this.#time.now();
		this.#look();
	}

	/** No probes any more; whoever waits at the gate goes on. */
	end(): void {
		this.#probe = undefined;
		this.#cancelLook();
		this.#gate?.open();
		this.#gate = undefined;
	}

	/** Set while no request may go out; resolves when they may again. */
	get shut(): Promise<void> | undefined {
		return this.#gate?.shut;
	}

	/** The log acknowledged an append. */
	wrote(): void {
		this.#wroteAt = this.#time.now();
		this.#progressed();
	}

	/** The log answered a fetch. */
	read(): void {
		this.#readAt = this.#time.now();
		this.#progressed();
	}

	/** The group's coordinator answered this member. */
	heard(): void {
		const now = this.#time.now();
		if (now - (this.#heardAt ?? now) >= GROUP_BACK_MS) this.#breaker.hurry();
		this.#heardAt = now;
	}

	/** A request got no answer, or one that says it should be tried again. */
	failed(cause: string): void {
		const now = this.#time.now();
		this.#failing = { cause, since: this.#failing?.since ?? now, at: now };
		this.#tell();
	}

	/** Nothing will be delivered any more, whatever else succeeds. */
	stopped(cause: string): void {
		this.#stopped = { cause, since: this.#time.now() };
		this.#tell();
	}

	health(): LogHealth {
		// The usual case first: every message from outside asks.
		if (!this.#failing && !this.#stopped && !this.#groupIsSilent) return HEALTHY;
		const now = this.#time.now();
		if (this.#stopped) {
			const { cause, since } = this.#stopped;
			return { status: "unavailable", cause, sinceMs: now - since };
		}
		const silent = this.#groupIsSilent;
		if (this.#failing) {
			const { cause, since, at } = this.#failing;
			const { state, failures: attempts, nextTryMs } = this.#breaker;
			const sinceMs = now - since;
			if (state !== "closed") {
				return { status: "unavailable", cause, sinceMs, retry: { attempts, nextTryMs } };
			}
			if (attempts > 0 || now - at < FAILURE_SHOWN_MS) {
				return { status: "degraded", cause, sinceMs, stuck: attempts > 0 || silent };
			}
		}
		if (!silent) return HEALTHY;
		const sinceMs = now - (this.#heardAt as number);
		return { status: "degraded", cause: "the consumer group does not answer", sinceMs, stuck: true };
	}

	get #groupIsSilent(): boolean {
		return this.#heardAt !== undefined && this.#time.now() - this.#heardAt > GROUP_SILENT_MS;
	}

	/** What the driver's own requests achieved since the last probe began counts as much as a probe. */
	#progressed(): void {
		if (this.#breaker.state === "closed" && this.#hasProgressSince(this.#probedAt)) this.#breaker.succeeded();
	}

	#hasProgressSince(time: number): boolean {
		return this.#wroteAt > time && this.#readAt > time;
	}

	#look(): void {
		this.#cancelLook = this.#time.after(LOOK_EVERY_MS, () => this.#look());
		if (!this.#judging && this.#isDue() && this.#breaker.admitsProbe()) void this.#judge();
		const failedAt = this.#failing?.at ?? Number.POSITIVE_INFINITY;
		if (this.#breaker.failures === 0 && this.#time.now() - failedAt >= FAILURE_SHOWN_MS)
			this.#failing = undefined;
		this.#tell();
	}

	#isDue(): boolean {
		if (this.#breaker.state !== "closed") return true;
		const now = this.#time.now();
		if (now - this.#probedAt < PROBE_PAUSE_MS) return false;
		const failed = this.#failing !== undefined && !this.#hasProgressSince(this.#failing.at);
		const silent = now - this.#wroteAt >= PROBE_EVERY_MS || now - this.#readAt >= READS_SILENT_MS;
		return failed || silent || this.#breaker.failures > 0;
	}

	async #judge(): Promise<void> {
		const startedAt = this.#time.now();
		this.#probedAt = startedAt;
		this.#judging = true;
		const cause = await this.#causeOfFailure();
		this.#judging = false;
		if (!this.#probe) return;
		if (cause === undefined) this.#succeeded(startedAt);
		else this.#didNotSucceed(cause, startedAt);
		this.#tell();
	}

	#succeeded(startedAt: number): void {
		const now = this.#time.now();
		this.stats.succeeded++;
		this.stats.lastMs = now - startedAt;
		this.#wroteAt = this.#readAt = now;
		// Requests that fail beside those that do not stay visible for their time.
		if (this.#breaker.failures > 0) this.#failing = undefined;
		this.#breaker.succeeded();
		this.#gate?.open();
		this.#gate = undefined;
	}

	#didNotSucceed(cause: string, startedAt: number): void {
		this.stats.failed++;
		// Where others got on meanwhile, it is the probe's own way that is blocked.
		if (this.#breaker.state === "closed" && this.#hasProgressSince(startedAt)) return;
		const wasClosed = this.#breaker.state === "closed";
		this.#breaker.failed();
		this.#failing = { cause, since: this.#failing?.since ?? startedAt, at: this.#time.now() };
		if (!wasClosed || this.#breaker.state === "closed") return;
		this.stats.opened++;
		const { promise: shut, resolve: open } = Promise.withResolvers<void>();
		this.#gate = { shut, open };
	}

	/** Undefined: the probe succeeded in time. */
	async #causeOfFailure(): Promise<string | undefined> {
		const probe = this.#probe as () => Promise<void>;
		this.#underWay ??= probe().finally(() => {
			this.#underWay = undefined;
		});
		const answered = this.#underWay.then(
			() => undefined,
			(error: Error) => error.message,
		);
		const { promise: late, resolve } = Promise.withResolvers<string>();
		const cancel = this.#time.after(PROBE_MS_MAX, () => resolve(`no answer within ${PROBE_MS_MAX} ms`));
		const cause = await Promise.race([answered, late]);
		cancel();
		return cause;
	}

	#tell(): void {
		const health = this.health();
		if (health.status === this.#told || !(this.#probe || this.#stopped)) return;
		this.#told = health.status;
		this.#onChange(health);
	}
}
