/**
 * What operators' questions about a long history cost, and a rebuild of many actors. Owns the sizes; the work is
 * history-job.ts, in a fresh process.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Benchmark, Variant } from "./benchmark.ts";
import { type Figure, quantile } from "./figures.ts";
import type { HistoryResult } from "./history-job.ts";
import { runJob } from "./processes.ts";
import { fillWithTallies } from "./tally.ts";

const RECORDS = 1_000_000;
const NEIGHBOURS = 100;
/** How much smaller a quick run is. */
const QUICK_DIVISOR = 20;

export const history: Benchmark = {
	name: "history",
	title: "Histories and rebuilds (embedded log)",
	about:
		`One partition with ${RECORDS.toLocaleString("en-US")} records: of one small XState machine, and of ${NEIGHBOURS} in turn. ` +
		"A page is 100 messages of one actor with their states and effects, by the history index: the newest ones, and some " +
		"at a random offset; a state is `replay --to` such an offset. The first question is the one that folds the whole " +
		"history and keeps states on the way. Nothing of the index is written when messages are appended. Rebuilt: all " +
		"actors folded anew in one pass, by second of the processor.",
	async open({ directory, quick, progress }) {
		const records = quick ? RECORDS / QUICK_DIVISOR : RECORDS;
		const variants: Variant[] = [];
		for (const [name, actors] of [
			["an actor's own partition", 1],
			[`${NEIGHBOURS} actors in the partition`, NEIGHBOURS],
		] as const) {
			const filled = mkdtempSync(join(directory, "history-"));
			progress(`history · filling a log · ${name}`);
			await fillWithTallies(filled, { actors, records, partitions: 1 });
			variants.push({ name, measure: () => measured(filled) });
		}
		return { variants, close: async () => {} };
	},
};

async function measured(directory: string): Promise<Figure[]> {
	for (const end of ["", "-wal", "-shm"]) rmSync(join(directory, `history.db${end}`), { force: true });
	const found = await runJob<HistoryResult>("history-job.ts", { directory });
	const p50 = (metric: string, values: readonly number[]): Figure => {
		const sorted = [...values].sort((left, right) => left - right);
		return { metric, unit: "ms", value: quantile(sorted, 0.5) };
	};
	return [
		p50("newest page: p50", found.newestMs),
		p50("page at an offset: p50", found.pageMs),
		p50("state at an offset: p50", found.stateMs),
		{ metric: "first question", unit: "ms", value: found.firstMs },
		{ metric: "newest page without index", unit: "ms", value: found.wholeMs },
		{ metric: "indexed", unit: "/s", value: found.indexed },
		{ metric: "index of a million records", unit: "KB", value: (found.bytes * 1_000_000) / 1_024 },
		{ metric: "rebuilt", unit: "/s", value: found.rebuilt },
	];
}
