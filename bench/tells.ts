/**
 * How many messages a second one core tells and processes with the public API, beside XState alone in the same
 * process. Owns the sizes; the work is tells-job.ts.
 */
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import type { Benchmark, Surroundings, Variant } from "./benchmark.ts";
import { runJob } from "./processes.ts";
import type { TellsParameters, TellsResult } from "./tells-job.ts";

const ACTORS = 256;
const PARTITIONS = 16;

type Way = Pick<TellsParameters, "way" | "durability">;

export const tells: Benchmark = {
	name: "tells",
	title: "Told and processed (runtime)",
	about:
		`\`ref.tell\` to ${ACTORS.toLocaleString("en-US")} actors of one machine with three states and a counter, each told again when ` +
		`the last message was accepted, ${PARTITIONS} partitions; counted when folded, checkpoints included. One process, one thread. The limits ` +
		"beside: the same machine and events with XState's `transition()`, and with its actors in the same process " +
		"(`createActor`, `send`), both without a log, without a copy of the event and without anything to wait for. Where the machine is shared, the " +
		"last figure of each is the one to compare.",
	async open(surroundings) {
		return {
			variants: [
				variant("XState `transition()`", { way: "transition" }, surroundings),
				variant("XState actors, in process", { way: "xstate" }, surroundings),
				variant("in-memory log", { way: "memory" }, surroundings),
				variant("embedded (power)", { way: "sqlite", durability: "power" }, surroundings),
				variant("embedded (process)", { way: "sqlite", durability: "process" }, surroundings),
			],
			close: async () => {},
		};
	},
};

function variant(name: string, way: Way, { directory, seconds }: Surroundings): Variant {
	return {
		name,
		async measure() {
			const { perSecond, cores } = await runJob<TellsResult>("tells-job.ts", {
				...way,
				directory: mkdtempSync(join(directory, "tells-")),
				actors: ACTORS,
				partitions: PARTITIONS,
				warmSeconds: seconds / 2,
				seconds,
			} satisfies TellsParameters);
			return [
				{ metric: "messages", unit: "/s", value: perSecond },
				{ metric: "processor", unit: "cores", value: cores },
				{ metric: "messages for each second of processor time", unit: "/s", value: perSecond / cores },
			];
		},
	};
}
