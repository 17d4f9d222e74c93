/**
 * What a round's report means to a test: silence, or an error that says how to play the round again. Owns the words.
 */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RoundReport } from "./round.ts";

const SHOWN_MAX = 10;

/** Throws with the seed, the first violations and the place of everything that the processes said. */
export function mustBeSound(report: RoundReport): void {
	const { seed, faults, commands, acknowledged, records, lines } = report;
	const outline = `${commands} commands, ${acknowledged} acknowledged, ${records} records, faults ${JSON.stringify(faults)}`;
	console.log(`chaos round ${seed}: ${outline}`);
	if (report.violations.length === 0) return;
	const file = join(mkdtempSync(join(tmpdir(), `mycelog-chaos-${seed}-`)), "lines.txt");
	writeFileSync(file, [...report.violations, ...lines].join("\n"));
	throw new Error(
		[
			`chaos round ${seed}, ${report.violations.length} violations; CHAOS_SEED=${seed} npm run test:chaos plays its schedule again`,
			...report.violations.slice(0, SHOWN_MAX),
			`every line of every process: ${file}`,
		].join("\n  "),
	);
}
