/**
 * `mycelog dead-letters`: list, show, retry, drop; of a running node, a broker or stopped data. Owns how letters read on a
 * terminal; which may be retried is runtime/letter-work.ts.
 */
import { MycelogError } from "../persistence/errors.ts";
import { LetterOutcomes } from "../runtime/letter-outcomes.ts";
import { type LetterResult, workOnLetters } from "../runtime/letter-work.ts";
import { type Letter, type LetterFilter, letters } from "../runtime/letters.ts";
import type { OperatorParts } from "../runtime/operator.ts";
import { letterRecord } from "../runtime/parked.ts";
import { EXIT } from "./exit-codes.ts";
import { LogWriter, localUser } from "./log-writer.ts";
import { NodeClient, type NodeFlags } from "./node-client.ts";
import { withData } from "./operator-data.ts";
import type { Config } from "./options.ts";
import { print, printJson, printJsonArray, printTables, table, timeText } from "./print.ts";

/** Letters that a node lists, or works on, in one request. */
const LETTERS_A_REQUEST = 1_000;

export interface LetterFilterOptions {
	readonly address?: string;
	readonly type?: string;
	readonly cause?: string;
	readonly since?: number;
	readonly status?: Letter["status"];
}

export interface LettersOptions extends NodeFlags, LetterFilterOptions {
	readonly json?: boolean;
	readonly limit: number;
}

type Row = Omit<Letter, "position">;

export async function listLettersCommand(config: Config, options: LettersOptions): Promise<number> {
	const { json, limit } = options;
	const show = async (found: AsyncIterable<Row>) => {
		if (json) await printJsonArray(found);
		else await printTables(["ID", "PARKED", "STATUS", "ADDRESS", "TYPE", "CAUSE"], found, letterRow);
		return EXIT.ok;
	};
	const filter = filterOf(options);
	const node = NodeClient.of(options, process.env);
	if (node) {
		const page = { items: "letters", on: "after", limit, page: LETTERS_A_REQUEST };
		return show(node.list<Row>("dead-letters", { ...filter }, page));
	}
	return withData(config, false, (parts) => show(rows(parts, filter, limit)));
}

async function* rows(parts: OperatorParts, filter: LetterFilter, limit: number): AsyncGenerator<Row> {
	let left = limit;
	for await (const { position: _, stack: __, ...letter } of letters(sourceOf(parts), filter)) {
		if (left-- <= 0) return;
		yield letter;
	}
}

function letterRow({ id, parkedAt, status, address, type, cause, outcome }: Row): string[] {
	const told = outcome ? `${status} by ${outcome.by}` : status;
	return [id, timeText(parkedAt), told, address, type, cause];
}

export async function showLetterCommand(
	config: Config,
	id: string,
	options: NodeFlags & { readonly json?: boolean },
): Promise<number> {
	const node = NodeClient.of(options, process.env);
	const found = node
		? await node.get<Row & { readonly record?: unknown }>("dead-letter", { id })
		: await withData(config, false, async (parts) => {
				for await (const { position: _, ...letter } of letters(sourceOf(parts), { ids: new Set([id]) })) {
					return { ...letter, record: await letterRecord(parts.log, letter) };
				}
				throw new MycelogError("operator.refused", `no dead letter ${id}`, { id });
			});
	// The same for people and programs: it is one letter, and everything in it counts.
	await printJson(found);
	return EXIT.ok;
}

export interface LetterWorkOptions extends NodeFlags, LetterFilterOptions {
	readonly json?: boolean;
	readonly id?: readonly string[];
	readonly all?: boolean;
	readonly limit: number;
	readonly rate?: number;
	readonly dryRun?: boolean;
	readonly yes?: boolean;
	readonly why: string;
}

interface Done {
	readonly letters: readonly LetterResult[];
	readonly next?: string;
}

export async function workOnLettersCommand(
	config: Config,
	what: "retry" | "drop",
	options: LetterWorkOptions,
): Promise<number> {
	const { id: ids, all, limit, why, rate, dryRun = false, yes, json } = options;
	const filter = filterOf(options);
	if (!ids && !all && Object.keys(filter).length === 0) {
		throw new MycelogError("config.invalid-value", `which letters to ${what}? Name a filter, --id, or --all`);
	}
	if (ids && (all || Object.keys(filter).length > 0)) {
		throw new MycelogError("config.invalid-value", "--id names letters one by one: no filter goes with it");
	}
	if (what === "drop" && !yes && !dryRun) {
		throw new MycelogError(
			"config.invalid-value",
			"a dropped letter is not taken up again: say --yes, or look with --dry-run",
		);
	}
	const selection = ids ? { ids } : { filter };
	const node = NodeClient.of(options, process.env);
	const done = node
		? await workOfNode(
				node,
				what,
				{ ...selection, why, dryRun, ...(rate === undefined ? undefined : { rate }) },
				limit,
			)
		: await withData(config, dryRun ? false : "records", async (parts) => {
				const writer = new LogWriter(parts.log);
				const work = workOnLetters(sourceOf(parts), writer, {
					what,
					by: localUser(),
					why,
					filter: ids ? { ids: new Set(ids) } : filter,
					limit,
					dryRun,
					...(rate === undefined ? undefined : { rate }),
				});
				const results: LetterResult[] = [];
				try {
					for await (const { position: _, ...result } of work) results.push(result);
				} finally {
					await writer.close();
				}
				return results;
			});
	const left = done.filter(({ result }) => result === "left").length;
	if (json) await printJson({ dryRun, done: done.length - left, left, letters: done });
	else {
		await print(table(["ID", "ADDRESS", "TYPE", "RESULT"], done.map(resultRow)));
		const verb = what === "retry" ? "retried" : "dropped";
		await print(`${done.length - left} ${dryRun ? `would be ${verb}` : verb}, ${left} left\n`);
	}
	// Who named a letter meant this one; of those that a filter finds some may need other help.
	return ids && left > 0 ? EXIT.failure : EXIT.ok;
}

/** A node works on so many in one request: on with the rest. */
async function workOfNode(
	node: NodeClient,
	what: string,
	body: Readonly<Record<string, unknown>>,
	limit: number,
): Promise<readonly LetterResult[]> {
	const results: LetterResult[] = [];
	let after: string | undefined;
	do {
		const most = Math.min(limit - results.length, LETTERS_A_REQUEST);
		const asked = { ...body, limit: most, ...(after === undefined ? undefined : { after }) };
		const done = await node.post<Done>(`dead-letters/${what}`, asked);
		results.push(...done.letters);
		after = done.next;
	} while (after !== undefined && results.length < limit);
	return results;
}

function resultRow({ id, address, type, result, reason }: LetterResult): string[] {
	return [id, address || "-", type || "-", reason === undefined ? result : `${result}: ${reason}`];
}

function filterOf({ address, type, cause, since, status }: LetterFilterOptions): Omit<LetterFilter, "ids"> {
	const given = Object.entries({ address, type, cause, since, status });
	return Object.fromEntries(given.filter(([, value]) => value !== undefined));
}

function sourceOf(parts: OperatorParts) {
	return { ...parts, outcomes: new LetterOutcomes(parts) };
}
