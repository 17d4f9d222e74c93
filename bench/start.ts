/**
 * How soon `mycelog start` is ready, on an empty data directory and on one with many idle actors. Owns the sizes.
 */
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import type { Benchmark, Variant } from "./benchmark.ts";
import type { IdleActorsResult } from "./idle-actors-job.ts";
import { residentKb, runJob, startMycelog } from "./processes.ts";

const IDLE_ACTORS = 100_000;
const IDLE_ACTORS_QUICK = 10_000;

export const start: Benchmark = {
	name: "start",
	title: "Ready time (embedded log)",
	about: `From spawning \`mycelog start\` to its ready line, after a clean stop. Idle actors: ${IDLE_ACTORS.toLocaleString("en-US")} client actors without a session, each with a record and a snapshot, in 64 partitions.`,
	async open({ directory, quick, progress }) {
		const idle = mkdtempSync(join(directory, "idle-"));
		const actors = quick ? IDLE_ACTORS_QUICK : IDLE_ACTORS;
		progress(`start · making ${actors} idle actors`);
		const made = await runJob<IdleActorsResult>("idle-actors-job.ts", { directory: idle, actors });
		if (made.actors !== actors) throw new Error(`${made.actors} of ${actors} idle actors were stored`);
		return {
			variants: [
				variant("empty directory", () => mkdtempSync(join(directory, "empty-"))),
				variant("idle actors", () => idle),
			],
			close: async () => {},
		};
	},
};

function variant(name: string, directory: () => string): Variant {
	return {
		name,
		async measure() {
			const server = await startMycelog(["--data-dir", directory()]);
			try {
				return [
					{ metric: "ready after", unit: "ms", value: server.readyMs },
					{ metric: "resident memory", unit: "KB", value: residentKb(server.pid) },
				];
			} finally {
				await server.stop();
			}
		},
	};
}
