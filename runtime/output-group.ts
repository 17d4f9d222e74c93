/**
 * Outputs of one checkpoint interval that are on their way into the log, so that the checkpoint can wait for them.
 * Owns their number and whether one of them was lost; sending and retrying is the appender's.
 */
export class OutputGroup {
	#pending = 0;
	#lost: unknown;
	#waiting: { readonly limit: number; readonly resolve: () => void }[] = [];

	get pending(): number {
		return this.#pending;
	}

	/** Why an output is not in the log, if one is not: a checkpoint would make its loss final. */
	get lost(): unknown {
		return this.#lost;
	}

	/** `failed` may take the blame away: true, if the output need not or never can be in the log. */
	add(output: Promise<unknown>, failed: (error: unknown) => boolean): void {
		this.#pending++;
		output.then(this.#settle, (error: unknown) => {
			if (!failed(error)) this.#lost ??= error;
			this.#settle();
		});
	}

	settled(): Promise<void> {
		return this.below(1);
	}

	/** Resolves when fewer than `limit` outputs are under way. */
	below(limit: number): Promise<void> {
		if (this.#pending < limit) return Promise.resolve();
		return new Promise((resolve) => this.#waiting.push({ limit, resolve }));
	}

	readonly #settle = (): void => {
		this.#pending--;
		if (this.#waiting.length === 0) return;
		const ready = this.#waiting.filter((w) => this.#pending < w.limit);
		this.#waiting = this.#waiting.filter((w) => this.#pending >= w.limit);
		for (const { resolve } of ready) resolve();
	};
}
