/**
 * The figures as Markdown, the same on the terminal and in RESULTS.md. Owns the tables' form.
 */
import type { Measured } from "./benchmark.ts";
import { type Summary, written } from "./figures.ts";
import { isMet, targetOf } from "./targets.ts";

const INTRODUCTION = `# Benchmark results

Written by \`npm run bench -- --write\`, with \`--only\` a part of it. The variants of a benchmark take turns, in another
order each round. Median of the rounds with the lowest and the highest; a load is preceded by a warm-up of half its
time. Node, broker and load generator share the machine. What the figures say, and why a target is missed:
[NOTES.md](NOTES.md).`;

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

/**
 * The page with this measurement in it; its other sections stay as they are, each with when and on what it was
 * measured. `titles`: of all sections, in their order.
 */
export function reportOf(
	measured: Measured,
	notes: RunNotes,
	page: string,
	titles: readonly string[],
): string {
	const sections = new Map(
		page
			.split(/^(?=## )/m)
			.slice(1)
			.map((text) => [text.slice(3, text.indexOf("\n")), text.trimEnd()] as const),
	);
	sections.set(measured.benchmark.title, sectionOf(measured, notes));
	return `${[INTRODUCTION, ...titles.flatMap((title) => sections.get(title) ?? [])].join("\n\n")}\n`;
}

function sectionOf(one: Measured, { machine, date, rounds, seconds, quick }: RunNotes): string {
	const { title, about } = one.benchmark;
	const how = `Measured ${date} on: ${machine}. ${rounds} rounds; loads run ${seconds} s.`;
	const warning = "**A quick run: it shows that everything works and is not to be quoted.**";
	return [`## ${title}`, about, quick ? `${how} ${warning}` : how, tableOf(one)].join("\n\n");
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
