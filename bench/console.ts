/** How soon the console draws an actor with a long history. Owns the sizes; the work is console-job.ts, in a fresh process. */
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Benchmark } from "./benchmark.ts";
import type { ConsoleResult } from "./console-job.ts";
import { type Figure, quantile } from "./figures.ts";
import { runJob } from "./processes.ts";
import { fillWithTallies } from "./tally.ts";

const RECORDS = 100_000;
/** How much smaller a quick run is. */
const QUICK_DIVISOR = 20;

export const consolePage: Benchmark = {
	name: "console",
	title: "The console (embedded log)",
	about:
		`An actor with ${RECORDS.toLocaleString("en-US")} records, opened in a headless Chromium beside its node: until its ` +
		"statechart, its newest 100 messages, its timers and its state are drawn. At first its history was never asked for: " +
		"what the messages did is folded once, behind that.",
	async open({ directory, quick, progress }) {
		const filled = mkdtempSync(join(directory, "console-"));
		progress("console · filling a log");
		const records = quick ? RECORDS / QUICK_DIVISOR : RECORDS;
		await fillWithTallies(filled, { actors: 1, records, partitions: 1 });
		const measured = async (): Promise<Figure[]> => {
			const own = mkdtempSync(join(directory, "console-"));
			cpSync(filled, own, { recursive: true });
			const { firstMs, foldedMs, againMs } = await runJob<ConsoleResult>("console-job.ts", {
				directory: own,
			});
			rmSync(own, { recursive: true, force: true });
			const sorted = [...againMs].sort((left, right) => left - right);
			return [
				{ metric: "drawn at first", unit: "ms", value: firstMs },
				{ metric: "folded at first", unit: "ms", value: foldedMs },
				{ metric: "drawn again: p50", unit: "ms", value: quantile(sorted, 0.5) },
			];
		};
		const variants = [{ name: "embedded (power)", measure: measured }];
		return { variants, close: async () => rmSync(filled, { recursive: true, force: true }) };
	},
};
