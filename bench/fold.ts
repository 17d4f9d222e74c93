/**
 * How fast an actor's state comes back from its log: one actor alone, and a node with a long tail. Owns the sizes;
 * the work is fold-job.ts and recover-job.ts, each in a fresh process.
 */
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import type { Benchmark } from "./benchmark.ts";
import type { FoldResult } from "./fold-job.ts";
import { runJob } from "./processes.ts";
import type { RecoverResult } from "./recover-job.ts";
import { fillWithTallies } from "./tally.ts";

const FOLD_RECORDS = 400_000;
const TAIL_RECORDS = 200_000;
const TAIL_ACTORS = 1_000;
const TAIL_PARTITIONS = 64;
/** How much smaller a quick run is. */
const QUICK_DIVISOR = 10;

export const fold: Benchmark = {
	name: "fold",
	title: "Re-fold and recovery (embedded log)",
	about:
		`Re-fold: the whole history of one small XState machine, ${FOLD_RECORDS.toLocaleString("en-US")} records, runtime/fold.ts. ` +
		`Recovery: from opening the log to ready, no snapshots, ${TAIL_RECORDS.toLocaleString("en-US")} records of ` +
		`${TAIL_ACTORS.toLocaleString("en-US")} actors in ${TAIL_PARTITIONS} partitions, checkpoints included.`,
	async open({ directory, quick, progress }) {
		const divisor = quick ? QUICK_DIVISOR : 1;
		const foldDirectory = mkdtempSync(join(directory, "fold-"));
		const tailDirectory = mkdtempSync(join(directory, "tail-"));
		progress("fold · filling two logs");
		await fillWithTallies(foldDirectory, { actors: 1, records: FOLD_RECORDS / divisor, partitions: 1 });
		const tail = { actors: TAIL_ACTORS, records: TAIL_RECORDS / divisor, partitions: TAIL_PARTITIONS };
		await fillWithTallies(tailDirectory, tail);
		return {
			variants: [
				{
					name: "re-fold of one actor",
					async measure() {
						const result = await runJob<FoldResult>("fold-job.ts", { directory: foldDirectory });
						return [{ metric: "records", unit: "/s", value: result.records / result.seconds }];
					},
				},
				{
					name: "recovery of a node",
					async measure() {
						const parameters = { directory: tailDirectory, partitions: TAIL_PARTITIONS };
						const { records, seconds } = await runJob<RecoverResult>("recover-job.ts", parameters);
						if (records !== tail.records) {
							throw new Error(`${records} of ${tail.records} records were recovered`);
						}
						return [
							{ metric: "records", unit: "/s", value: records / seconds },
							{ metric: "ready after", unit: "ms", value: seconds * 1000 },
						];
					},
				},
			],
			close: async () => {},
		};
	},
};
