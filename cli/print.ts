/**
 * Answers on stdout: tables for people, one JSON document a command for programs. Owns form, not content.
 */
import { once } from "node:events";
import { readableJson } from "../runtime/readable-json.ts";

/** Characters of one cell of a table; the whole value is in `--json`. */
const CELL_CHARACTERS_MAX = 72;

/** Rows of a table that are lined up with each other. */
const TABLE_ROWS = 1_000;

/** Resolves when stdout has room again, so that long answers do not pile up in memory. */
export async function print(text: string): Promise<void> {
	if (!process.stdout.write(text)) await once(process.stdout, "drain");
}

export function printJson(value: unknown): Promise<void> {
	return print(`${readableJson(value, 2)}\n`);
}

/** One array, written while its items come. */
export async function printJsonArray(items: AsyncIterable<unknown>): Promise<void> {
	let before = "[\n";
	for await (const item of items) {
		await print(before + readableJson(item));
		before = ",\n";
	}
	await print(before === "[\n" ? "[]\n" : "\n]\n");
}

/** Columns as wide as their widest cell; the last one is not padded. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
	const all = [head, ...rows.map((row) => row.map(shortened))];
	const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? "").length)));
	const line = (row: readonly string[]) =>
		row
			.map((cell, column) => (column < head.length - 1 ? cell.padEnd(widths[column] ?? 0) : cell))
			.join("  ");
	return `${all.map((row) => line(row).trimEnd()).join("\n")}\n`;
}

/** A table a thousand rows, so that the first rows come early and memory stays small. */
export async function printTables<Item>(
	head: readonly string[],
	items: AsyncIterable<Item>,
	row: (item: Item) => string[],
): Promise<void> {
	let rows: string[][] = [];
	let shown = false;
	for await (const item of items) {
		if (rows.push(row(item)) < TABLE_ROWS) continue;
		await print(table(head, rows));
		shown = true;
		rows = [];
	}
	if (rows.length > 0 || !shown) await print(table(head, rows));
}

/** Each as it comes, lined up with nothing. */
export async function printLines<Item>(
	items: AsyncIterable<Item>,
	row: (item: Item) => string[],
): Promise<void> {
	for await (const item of items) await print(`${row(item).map(shortened).join("  ").trimEnd()}\n`);
}

function shortened(cell: string): string {
	const line = cell.replaceAll(/\s+/g, " ");
	return line.length > CELL_CHARACTERS_MAX ? `${line.slice(0, CELL_CHARACTERS_MAX - 1)}…` : line;
}

/** Readable and sortable, UTC. */
export function timeText(timestamp: number): string {
	return new Date(timestamp).toISOString();
}
