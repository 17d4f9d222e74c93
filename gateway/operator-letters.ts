/**
 * Dead letters over the operator's routes: list, one with its message, retry, drop. Owns pages and bounds of a request;
 * what may be done with a letter is runtime/letter-work.ts.
 */
import { setTimeout } from "node:timers/promises";
import { LETTER_STATUSES, RETRIES_A_SECOND_MAX } from "../runtime/letter-status.ts";
import { type LetterResult, type LetterSink, workOnLetters } from "../runtime/letter-work.ts";
import { type Letter, type LetterFilter, letters } from "../runtime/letters.ts";
import { SUBMIT_DEADLINE_MS } from "../runtime/node.ts";
import { letterRecord } from "../runtime/parked.ts";
import { HttpError } from "./http-exchange.ts";
import type { OperatorContext, OperatorRoutes } from "./operator-api.ts";
import { Fields, type Query } from "./operator-input.ts";

/** Letters of one page, and how many if nobody says. */
export const PAGE_LETTERS_MAX = 1_000;
const PAGE_LETTERS_DEFAULT = 100;
/** Letters of one retry or drop: the caller goes on with the next ones. */
export const LETTERS_AT_ONCE_MAX = 1_000;
/** How long a retry that keeps a rate may take, seconds. */
export const RETRY_SECONDS_MAX = 30;

const FILTER_TEXTS = ["address", "type", "cause"] as const;

export function addLetterRoutes(routes: OperatorRoutes, context: OperatorContext): void {
	const source = { ...context.reading, outcomes: context.outcomes };
	routes.question(
		"dead-letters",
		"Messages that failed, with what became of each",
		{
			address: "of this actor, or of all below it if it ends with /",
			type: "of this type of message",
			cause: "with this in the cause",
			since: "parked then or later, milliseconds since 1970",
			status: LETTER_STATUSES.join(", "),
			after: "behind this one: `next` of the page before",
			limit: `at most so many, up to ${PAGE_LETTERS_MAX}`,
		},
		async (query) => {
			const limit = query.whole("limit", PAGE_LETTERS_MAX) ?? PAGE_LETTERS_DEFAULT;
			const found: Letter[] = [];
			for await (const letter of letters(
				source,
				filterOf(query),
				afterOf(query.text("after"), source.partitions),
			)) {
				if (found.length === limit)
					return { letters: found.map(row), next: found.at(-1)?.position.join(".") };
				found.push(letter);
			}
			return { letters: found.map(row) };
		},
	);
	routes.question(
		"dead-letter",
		"One of them with the message it is about",
		{ id: "its id" },
		async (query) => {
			const id = query.needed("id");
			for await (const letter of letters(source, { ids: new Set([id]) })) {
				return {
					...row(letter),
					stack: letter.stack,
					record: await letterRecord(context.reading.log, letter),
				};
			}
			throw new HttpError(404, `no dead letter ${id}`);
		},
	);
	for (const what of ["retry", "drop"] as const) {
		const summary = what === "retry" ? "Send their messages once more" : "Be done with them, for a reason";
		routes.command(
			`dead-letters/${what}`,
			summary,
			["ids", "filter", "after", "limit", "why", ...(what === "retry" ? ["rate"] : []), "dryRun"],
			async (fields, { by }) => {
				const rate = what === "retry" ? fields.whole("rate", RETRIES_A_SECOND_MAX) : undefined;
				if (rate === 0) throw new HttpError(400, "rate must be above 0");
				const dryRun = fields.flag("dryRun");
				const after = afterOf(fields.text("after"), source.partitions);
				const most =
					rate === undefined || dryRun
						? LETTERS_AT_ONCE_MAX
						: Math.min(rate * RETRY_SECONDS_MAX, LETTERS_AT_ONCE_MAX);
				const limit = Math.min(fields.whole("limit", LETTERS_AT_ONCE_MAX) ?? most, most);
				const work = workOnLetters(source, sinkOf(context), {
					what,
					by: by.user.id,
					why: fields.why(),
					filter: selectionOf(fields),
					limit,
					dryRun,
					...(after ? { after } : undefined),
					...(rate === undefined ? undefined : { rate }),
				});
				const done: LetterResult[] = [];
				for await (const result of work) done.push(result);
				const count = (result: LetterResult["result"]) => done.filter((one) => one.result === result).length;
				return {
					dryRun,
					[what === "retry" ? "retried" : "dropped"]: count(what === "retry" ? "retried" : "dropped"),
					left: count("left"),
					letters: done.map(({ position: _, ...told }) => told),
					/** Behind the last one: there may be more. */
					...(done.length >= limit ? { next: done.at(-1)?.position?.join(".") } : undefined),
				};
			},
		);
	}
}

function filterOf(query: Query): LetterFilter {
	const since = query.whole("since");
	const status = query.choice("status", LETTER_STATUSES);
	const texts = FILTER_TEXTS.map((name) => [name, query.text(name)] as const);
	return given({ ...Object.fromEntries(texts), since, status });
}

/** What is not given leaves no trace. */
function given(filter: Readonly<Record<string, unknown>>): LetterFilter {
	return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined));
}

/** Ids or a filter: everything at once must be said. */
function selectionOf(fields: Fields): LetterFilter {
	const ids = fields.texts("ids", LETTERS_AT_ONCE_MAX);
	const filter = fields.value("filter");
	if ((ids === undefined) === (filter === undefined))
		throw new HttpError(400, "either ids or a filter is needed");
	if (ids) return { ids: new Set(ids) };
	const wanted = new Fields(filter, [...FILTER_TEXTS, "since"], "the filter");
	const texts = FILTER_TEXTS.map((name) => [name, wanted.text(name)] as const);
	return given({ ...Object.fromEntries(texts), since: wanted.whole("since") });
}

function afterOf(text: string | undefined, partitions: number): readonly number[] | undefined {
	if (text === undefined) return undefined;
	const position = text.split(".").map(Number);
	if (position.length === partitions && position.every((next) => Number.isSafeInteger(next) && next >= 0))
		return position;
	throw new HttpError(400, "after must be `next` of an earlier page");
}

/** Without its stack, which `dead-letter` gives. */
function row({ position: _, stack: __, outcome, ...letter }: Letter) {
	return { ...letter, ...(outcome ? { outcome } : undefined) };
}

function sinkOf({ node }: OperatorContext): LetterSink {
	return {
		submit: (draft) => node.submit(draft),
		append: (to, record) => node.appender.append(to, record, { deadlineAt: node.now() + SUBMIT_DEADLINE_MS }),
		now: () => node.now(),
		after: (ms) => setTimeout(ms),
	};
}
