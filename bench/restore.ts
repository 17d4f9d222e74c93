/**
 * How soon a node has many actors back that have snapshots. Owns the sizes; the work is restore-job.ts.
 */
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Benchmark } from "./benchmark.ts";
import { runJob } from "./processes.ts";
import type { RestoreParameters, RestoreResult } from "./restore-job.ts";

const ACTORS = 100_000;
const ACTORS_QUICK = 5_000;

export const restore: Benchmark = {
	name: "restore",
	title: "Restore of many actors (runtime)",
	about:
		`A node stopped with ${ACTORS.toLocaleString("en-US")} actors of one small machine, three messages each, is opened again (embedded log, power). ` +
		"Ready: from opening log and snapshots to the end of `node.start()`. Answered: to the last answer of `ref.state()`, " +
		"asked of every actor; each is a query in the log, a snapshot read and decoded, and an answer.",
	async open({ directory, quick, progress }) {
		const made = mkdtempSync(join(directory, "restore-"));
		const actors = quick ? ACTORS_QUICK : ACTORS;
		const job = (parameters: Omit<RestoreParameters, "actors">) =>
			runJob<RestoreResult>("restore-job.ts", { ...parameters, actors } satisfies RestoreParameters);
		progress(`restore · making ${actors} actors`);
		await job({ directory: made, what: "make" });
		return {
			variants: [
				{
					name: "embedded (power)",
					async measure() {
						const copy = mkdtempSync(join(directory, "restored-"));
						cpSync(made, copy, { recursive: true });
						const { readyMs, answeredMs } = await job({ directory: copy, what: "restore" });
						rmSync(copy, { recursive: true, force: true });
						return [
							{ metric: "ready", unit: "ms", value: readyMs },
							{ metric: "all answered", unit: "ms", value: answeredMs },
							{ metric: "answers", unit: "/s", value: (actors / (answeredMs - readyMs)) * 1000 },
						];
					},
				},
			],
			close: async () => {},
		};
	},
};
