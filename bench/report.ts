/**
 * The figures as Markdown, the same on the terminal and in RESULTS.md. Owns the tables' form.
 */
import type { Measured } from "./benchmark.ts";
import { type Summary, written } from "./figures.ts";
import { isMet, targetOf } from "./targets.ts";

export interface RunNotes {
	readonly machine: string;
	readonly date: string;
	readonly rounds: number;
	readonly seconds: number;
	readonly quick: boolean;
}

export function tableOf({ benchmark, variants }: Measured): string {
	const rows = [["", "figure", "median", "lowest … highest", "target", ""]];
	for (const { name, summaries } of variants) {
		for (const [i, summary] of summaries.entries()) {
			rows.push([i === 0 ? name : "", ...cells(benchmark.name, name, summary)]);
		}
	}
	return markdown(rows);
}

export function reportOf(measured: readonly Measured[], notes: RunNotes): string {
	const { machine, date, rounds, seconds, quick } = notes;
	return [
		"# Benchmark results",
		"",
		"Written by `npm run bench -- --write`. The variants of a benchmark take turns, in another order each round.",
		`Median of ${rounds} rounds with the lowest and the highest; loads run ${seconds} s after a warm-up of half that.`,
		...(quick ? ["", "**A quick run: it shows that everything works and is not to be quoted.**"] : []),
		"",
		`Measured ${date} on: ${machine}. Node, broker and load generator share this machine.`,
		"What the figures say, and why a target is missed: [NOTES.md](NOTES.md).",
		...measured.flatMap((one) => [
			"",
			`## ${one.benchmark.title}`,
			"",
			one.benchmark.about,
			"",
			tableOf(one),
		]),
		"",
	].join("\n");
}

function cells(benchmark: string, variant: string, summary: Summary): string[] {
	const { metric, unit, median, lowest, highest } = summary;
	const target = targetOf(benchmark, variant, metric);
	const spread = `${written(lowest, unit)} … ${written(highest, unit)}`;
	return [
		metric,
		written(median, unit),
		spread,
		target ? `${target.bound} ${written(target.value, target.unit)}` : "",
		target ? (isMet(target, summary) ? "met" : "**missed**") : "",
	];
}

function markdown(rows: readonly (readonly string[])[]): string {
	const widths = (rows[0] as string[]).map((_, column) =>
		Math.max(3, ...rows.map((row) => (row[column] as string).length)),
	);
	const line = (row: readonly string[]) =>
		`| ${row.map((cell, column) => cell.padEnd(widths[column] as number)).join(" | ")} |`;
	const [head, ...body] = rows as [readonly string[], ...(readonly string[])[]];
	return [line(head), line(widths.map((width) => "-".repeat(width))), ...body.map(line)].join("\n");
}
