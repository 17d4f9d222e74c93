/**
 * Passes over partitions that bring a history index up to date, each one's for all who wait for it. Owns who joins which, and
 * that who does not wait for the end is told how far it is; what a pass does is history-index.ts.
 */
import { endsWithin } from "../persistence/deadline.ts";
import { MycelogError } from "../persistence/errors.ts";
import { type PartitionId, partitionName } from "../persistence/log.ts";
import type { ScanProgress } from "./operator.ts";

type Listener = (progress: ScanProgress) => void;

interface Pass {
	/** Offset that it goes up to. */
	readonly end: number;
	readonly done: Promise<unknown>;
	readonly listeners: Set<Listener>;
	progress: ScanProgress;
}

export class IndexPasses {
	readonly #passes = new Map<string, Pass>();

	/**
	 * Resolves when everything before `end` was read. Rejects with `operator.indexing` after `waitMs`: the pass goes on.
	 */
	async upTo(
		id: PartitionId,
		end: number,
		begin: (told: Listener) => Promise<unknown>,
		{
			waitMs,
			onProgress,
		}: { readonly waitMs?: number | undefined; readonly onProgress?: Listener | undefined },
	): Promise<void> {
		const name = partitionName(id);
		for (let isEnough = false; !isEnough; ) {
			const pass = this.#passes.get(name) ?? this.#begun(name, end, begin);
			isEnough = pass.end >= end;
			if (onProgress) pass.listeners.add(onProgress);
			try {
				if (waitMs === undefined) await pass.done;
				else if (!(await endsWithin(waitMs, pass.done))) throw indexing(name, pass.progress);
			} finally {
				if (onProgress) pass.listeners.delete(onProgress);
			}
		}
	}

	#begun(name: string, end: number, begin: (told: Listener) => Promise<unknown>): Pass {
		const listeners = new Set<Listener>();
		const told: Listener = (progress) => {
			pass.progress = progress;
			for (const listener of listeners) listener(progress);
		};
		const done = begin(told).finally(() => this.#passes.delete(name));
		// Where nobody waits any more, nobody hears of it: who asks next begins anew.
		done.catch(() => {});
		const pass: Pass = { end, done, listeners, progress: { scanned: 0, total: 0 } };
		this.#passes.set(name, pass);
		return pass;
	}
}

/** `what`: the index does. */
export function indexing(
	partition: string,
	{ scanned, total }: ScanProgress,
	what = `takes up ${partition}`,
): MycelogError {
	const [read, all] = [scanned, total].map((count) => count.toLocaleString("en-US"));
	const text = `the history index ${what}: ${read} of ${all} records so far`;
	return new MycelogError("operator.indexing", text, { partition, scanned, total });
}
