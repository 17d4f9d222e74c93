/**
 * How much one address or user may ask over HTTP, and how often it may be wrong about who it is, over HTTP and WebSocket
 * together. Owns those limits of this node and the 429 that says them; a good token is never refused for the wrong ones
 * of its neighbours.
 */
import { type Exchange, HttpError } from "./http-exchange.ts";
import { KeyedLimit } from "./keyed-limit.ts";
import type { GatewayMetrics } from "./metrics.ts";
import { BURST_SECONDS } from "./rate-limit.ts";
import { remoteAddress } from "./remote-address.ts";

/** Bad tokens and passwords of one address, or about one account: at once, and one more every so many seconds. */
export const FAILURES_AT_ONCE_MAX = 20;
export const FAILURE_EVERY_SECONDS = 3;

/** What whoever asks or fails too often is told. */
export const TOO_OFTEN = "Rate limit exceeded. Please slow down.";

export interface CallerLimitsOptions {
	/** Requests a second of one user, or of one address without a token. */
	readonly requestsPerSecondMax: number;
	/** Reverse proxies before this node. */
	readonly proxyHops: number;
}

export class CallerLimits {
	readonly #options: CallerLimitsOptions;
	readonly #metrics: Pick<GatewayMetrics, "refusedRequests">;
	readonly #now: () => number;
	readonly #requests: KeyedLimit;
	readonly #failures = new KeyedLimit(1 / FAILURE_EVERY_SECONDS, FAILURES_AT_ONCE_MAX);

	constructor(
		options: CallerLimitsOptions,
		metrics: Pick<GatewayMetrics, "refusedRequests">,
		now: () => number,
	) {
		this.#options = options;
		this.#metrics = metrics;
		this.#now = now;
		const { requestsPerSecondMax: perSecond } = options;
		this.#requests = new KeyedLimit(perSecond, BURST_SECONDS * perSecond);
	}

	addressOf(exchange: Pick<Exchange, "peer" | "header">): string {
		const { proxyHops } = this.#options;
		return remoteAddress(exchange.peer, exchange.header("x-forwarded-for"), proxyHops);
	}

	/** Throws HttpError 429. `user`: undefined for whoever shows no token. */
	request(exchange: Exchange, user: string | undefined): void {
		const key = user === undefined ? `address ${this.addressOf(exchange)}` : `user ${user}`;
		const waitMs = this.#requests.take(key, this.#now());
		if (waitMs > 0) throw this.#tooMany(user === undefined ? "rate-address" : "rate-user", waitMs);
	}

	/** Somebody was wrong about who they are. Throws HttpError 429 once that has been too often. */
	failed(exchange: Exchange): void {
		const refusal = this.mistaken(exchange);
		if (refusal) throw refusal;
	}

	/** The same for those who say it otherwise. */
	mistaken(exchange: Exchange): HttpError | undefined {
		const waitMs = this.failedAt(this.addressOf(exchange));
		return waitMs > 0 ? this.#tooMany("failures-address", waitMs) : undefined;
	}

	/** The same where there is no request to answer. Milliseconds to wait: 0 until it has been too often. */
	failedAt(address: string): number {
		return this.#failures.take(`address ${address}`, this.#now());
	}

	/**
	 * Before a password is looked at: counted as wrong until what this returns is called, so that many at once are no
	 * way around. Throws HttpError 429.
	 */
	attempt(exchange: Exchange, account: string): () => void {
		const keys = { address: `address ${this.addressOf(exchange)}`, account: `account ${account}` };
		const now = this.#now();
		for (const [of, key] of Object.entries(keys)) {
			const waitMs = this.#failures.take(key, now);
			if (waitMs > 0) throw this.#tooMany(`failures-${of}`, waitMs);
		}
		return () => {
			for (const key of Object.values(keys)) this.#failures.giveBack(key);
		};
	}

	#tooMany(reason: string, waitMs: number): HttpError {
		this.#metrics.refusedRequests.inc({ reason });
		const seconds = Math.max(1, Math.ceil(waitMs / 1_000));
		return new HttpError(429, TOO_OFTEN, { "retry-after": String(seconds) });
	}
}
