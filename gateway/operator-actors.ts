/**
 * Operators' questions about actors: which there are, what one is now, was then, and how it came there. Owns the pages and
 * their form; one actor is operator-actor-view.ts, folding is the runtime's, and nothing here changes anything.
 */
import { partitionName } from "../persistence/log.ts";
import { actors } from "../runtime/actor-list.ts";
import { type Address, typeOf } from "../runtime/address.ts";
import type { Behaviour } from "../runtime/behaviour.ts";
import { type HistoryEntry, type HistoryFilter, history } from "../runtime/history.ts";
import { newestMessages } from "../runtime/message-list.ts";
import { mailboxOf } from "../runtime/operator.ts";
import { replay } from "../runtime/replay.ts";
import { activeIn, actorView, timerView } from "./operator-actor-view.ts";
import type { OperatorContext, OperatorRoutes } from "./operator-api.ts";
import type { Query } from "./operator-input.ts";

/** Entries of one page, and how many if nobody says. */
export const PAGE_ENTRIES_MAX = 1_000;
const PAGE_ENTRIES_DEFAULT = 100;

const KINDS = ["command", "timer", "query", "frame"] as const;
const OUTCOMES = ["folded", "passed", "repeat", "failed"] as const;

/** Which messages of a history. */
export const HISTORY_FILTER = {
	all: "true: also queries and frames, which change nothing",
	kind: `only ${KINDS.join(", ")}`,
	type: "only messages of this type",
	sender: "only from this actor; -: from outside",
	since: "only appended then or later, milliseconds since 1970",
	until: "only appended until then",
	outcome: `only ${OUTCOMES.join(", ")}`,
} as const;

const OF_ADDRESS = { address: "the actor: type/id" } as const;

export function addActorQuestions(routes: OperatorRoutes, context: OperatorContext): void {
	const { reading } = context;
	routes.question(
		"actors",
		"Actors by address, with their states",
		{
			type: "only of this type",
			under: "only addresses that begin so",
			search: "only addresses with this in them",
			after: "only addresses behind this one: the last of the page before",
			limit: `at most so many, up to ${PAGE_ENTRIES_MAX}`,
		},
		(query) => actorPage(context, query),
	);
	routes.question("actor", "One actor as it is now, with its statechart", OF_ADDRESS, (query) =>
		actorView(context, query.needed("address")),
	);
	routes.question(
		"state",
		"One actor as it was behind an offset",
		{
			...OF_ADDRESS,
			offset: "the last offset folded; default: the newest",
			at: "as of this time, milliseconds since 1970",
		},
		async (query) => {
			const address = query.needed("address");
			const until = { to: query.whole("offset"), at: query.whole("at") };
			const { behaviour } = mailboxOf(reading, address);
			const { timers, value, ...found } = await replay(reading, address, until);
			return { ...found, value, timers: timers.map(timerView), active: activeIn(behaviour, value) };
		},
	);
	routes.question(
		"history",
		"An actor's messages in order, with what each did",
		{
			...OF_ADDRESS,
			from: "first offset shown",
			to: "last offset shown",
			before: "the newest entries before this offset, instead of the first ones",
			limit: `at most so many, up to ${PAGE_ENTRIES_MAX}`,
			...HISTORY_FILTER,
			states: "false: with `before`, the messages alone, which takes no fold of a long history",
		},
		(query) => historyPage(context, query),
	);
}

async function actorPage({ reading }: OperatorContext, query: Query): Promise<unknown> {
	const limit = query.whole("limit", PAGE_ENTRIES_MAX) ?? PAGE_ENTRIES_DEFAULT;
	const { type, under, search, after } = Object.fromEntries(
		["type", "under", "search", "after"].map((name) => [name, query.text(name)]),
	);
	const filter = {
		...(type ? { type } : undefined),
		...(under ? { prefix: under } : undefined),
		...(search ? { search } : undefined),
		...(after ? { after } : undefined),
	};
	const found: unknown[] = [];
	let last: Address | undefined;
	for await (const actor of actors(reading, filter)) {
		if (found.length === limit) return { actors: found, next: last };
		last = actor.address;
		found.push({ ...actor, type: typeOf(actor.address) });
	}
	return { actors: found };
}

async function historyPage({ reading }: OperatorContext, query: Query): Promise<unknown> {
	const address = query.needed("address");
	const limit = query.whole("limit", PAGE_ENTRIES_MAX) ?? PAGE_ENTRIES_DEFAULT;
	const [from, to, before] = ["from", "to", "before"].map((name) => query.whole(name));
	const { behaviour, partition } = mailboxOf(reading, address);
	const { start, end } = await reading.log.bounds(partition);
	const last = before === undefined ? to : Math.min(before - 1, to ?? Number.POSITIVE_INFINITY);
	const filter = filterOf(query);
	const place = { address, partition: partitionName(partition), start, end };
	// Nothing lies before what is kept: that is where a reader comes to the end.
	if (before !== undefined && before <= start) return { ...place, entries: [] };
	if (before !== undefined && query.text("states") === "false") {
		const entries = await newestMessages(reading, address, {
			before,
			limit: limit + 1,
			everything: query.flag("all"),
		});
		const shown = entries.slice(-limit);
		return {
			...place,
			entries: shown,
			...(shown.length < entries.length ? { next: shown[0]?.offset } : undefined),
		};
	}
	const found: HistoryEntry[] = [];
	const newestFirst = before !== undefined;
	for await (const entry of history(reading, address, {
		...filter,
		from,
		to: last,
		newestFirst,
		limit: limit + 1,
	})) {
		found.push(entry);
	}
	const more = found.length > limit;
	if (more) found.pop();
	if (newestFirst) found.reverse();
	const edge = before === undefined ? (found.at(-1)?.offset ?? 0) + 1 : found[0]?.offset;
	return {
		...place,
		entries: found.map((entry) => shownEntry(behaviour, entry)),
		...(more ? { next: edge } : undefined),
	};
}

/** With the states of its chart that are active after it. */
export function shownEntry(behaviour: Behaviour, entry: HistoryEntry): unknown {
	const { value } = entry;
	return { ...entry, value, active: activeIn(behaviour, value) };
}

export function filterOf(query: Query): HistoryFilter {
	const kind = query.choice("kind", KINDS);
	const outcome = query.choice("outcome", OUTCOMES);
	const sender = query.text("sender");
	return {
		everything: query.flag("all") || kind === "query" || kind === "frame" || outcome === "passed",
		kind,
		type: query.text("type"),
		sender: sender === "-" ? "" : sender,
		since: query.whole("since"),
		until: query.whole("until"),
		outcome,
	};
}
