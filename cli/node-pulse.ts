/**
 * Whether a node that takes its time over an answer lives. Owns asking it beside the question: one that is frozen takes
 * connections and answers nothing, which would be waited for as long as for a slow answer.
 */

/** Between two looks, and for an answer to one, milliseconds. */
const LOOK_EVERY_MS = 5_000;
const ALIVE_MS_MAX = 5_000;

export class NodePulse {
	readonly #url: string;
	readonly #silent = new AbortController();
	#timer: NodeJS.Timeout | undefined;
	#stopped = false;

	/** `url`: of its HTTP, base path included. */
	constructor(url: URL) {
		this.#url = `${url.href.replace(/\/$/, "")}/health/liveness`;
		this.#lookLater();
	}

	/** Aborts when the node is silent. */
	get silent(): AbortSignal {
		return this.#silent.signal;
	}

	stop(): void {
		this.#stopped = true;
		clearTimeout(this.#timer);
	}

	#lookLater(): void {
		if (!this.#stopped) this.#timer = setTimeout(() => void this.#look(), LOOK_EVERY_MS);
	}

	/** Whatever the answer is: somebody gave it. */
	async #look(): Promise<void> {
		const since = performance.now();
		const signal = AbortSignal.timeout(ALIVE_MS_MAX);
		try {
			await (await fetch(this.#url, { redirect: "manual", signal })).text();
		} catch {
			const ms = Math.round(performance.now() - since);
			const text = `it does not answer, nor whether it lives, within ${ms} ms`;
			if (!this.#stopped) this.#silent.abort(new Error(text));
			return;
		}
		this.#lookLater();
	}
}
