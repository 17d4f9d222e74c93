/**
 * What very many actors cost that are not in memory, and how soon one of them answers. Owns the sizes; the work is
 * sleepers-job.ts.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Benchmark } from "./benchmark.ts";
import { runJob } from "./processes.ts";
import type { SleepersParameters, SleepersResult } from "./sleepers-job.ts";

const ACTORS = 1_000_000;
const ACTORS_QUICK = 20_000;
const ASKS = 2_000;

export const sleepers: Benchmark = {
	name: "sleepers",
	title: "A million passivated actors",
	about:
		`One node (embedded log, power) makes ${ACTORS.toLocaleString("en-US")} actors of one small machine, each by its first message, ` +
		"and they leave memory at the next checkpoint. Resident memory (VmRSS) of that same process: the highest on the way, and what is left when " +
		`none is in memory and garbage is collected. Then \`ref.ask\` to ${ASKS.toLocaleString("en-US")} of them, chosen by chance, one at a ` +
		"time: append, snapshot, transition and reply.",
	async open({ directory, quick }) {
		return {
			variants: [
				{
					name: "embedded (power)",
					async measure() {
						const own = mkdtempSync(join(directory, "sleepers-"));
						const parameters = { directory: own, actors: quick ? ACTORS_QUICK : ACTORS, asks: ASKS };
						const result = await runJob<SleepersResult>(
							"sleepers-job.ts",
							parameters satisfies SleepersParameters,
						);
						rmSync(own, { recursive: true, force: true });
						return [
							{ metric: "made", unit: "/s", value: result.madePerSecond },
							{
								metric: "resident memory, all asleep, garbage collected",
								unit: "KB",
								value: result.resident,
							},
							{ metric: "resident memory, highest", unit: "KB", value: result.residentMost },
							{ metric: "first message: p50", unit: "ms", value: result.p50 },
							{ metric: "first message: p99", unit: "ms", value: result.p99 },
						];
					},
				},
			],
			close: async () => {},
		};
	},
};
