/**
 * What members wrote into the workspace's history: kept for questions, newest last, within bounds.
 * Owns these entries and who sees which; the log itself keeps every command, for operators.
 */
import { deniedText, may } from "./permission.ts";
import { Refusal } from "./refusal.ts";
import { plain } from "./workspace-record.ts";
import {
	answer,
	type Caller,
	type LogEvent,
	type Outcome,
	type WorkspaceContext,
} from "./workspace-state.ts";

/** Entries that can be asked for; past it the oldest are forgotten, here but not in the log. */
export const LOGGED_EVENTS_MAX = 1_000;
/** Characters of all of them together as JSON: they are part of every snapshot of their workspace. */
export const LOGGED_CHARACTERS_MAX = 256 * 1024;
/** Characters of one entry's data as JSON. */
export const LOGGED_DATA_CHARACTERS_MAX = 64 * 1024;
/** Characters of an event's name. */
export const EVENT_NAME_CHARACTERS_MAX = 512;

export interface LoggedEvent {
	/** Rises with every entry of the workspace. */
	readonly id: number;
	readonly event: string;
	readonly user: string;
	/** Milliseconds since 1970. */
	readonly at: number;
	readonly data: unknown;
	readonly characters: number;
}

export function logEvent(context: WorkspaceContext, { event, data, caller, meta }: LogEvent): Outcome {
	const { name, record } = context;
	if (!record || !may("events.log", caller.user, record)) throw new Refusal(deniedText(name));
	if (typeof event !== "string" || !/^\S+$/.test(event) || event.length > EVENT_NAME_CHARACTERS_MAX) {
		throw new Refusal("ValueError: event_type must be a word without spaces");
	}
	const kept = plain(data ?? null, `data of event ${event.slice(0, 80)}`, LOGGED_DATA_CHARACTERS_MAX);
	const entry = {
		id: (context.logged.at(-1)?.id ?? 0) + 1,
		event,
		user: caller.user.id,
		at: meta.timestamp,
		data: kept,
		characters: JSON.stringify(kept).length + event.length,
	};
	return { change: { logged: bounded([...context.logged, entry]) }, effects: answer(meta, null) };
}

interface LoggedQuery {
	readonly caller: Caller;
	/** Absent or null: all. */
	readonly event?: unknown;
	/** ISO 8601; without a zone it is UTC. */
	readonly from?: unknown;
	readonly to?: unknown;
}

/** The asker's own entries, in order. Throws Refusal. */
export function listLogged(context: WorkspaceContext, query: LoggedQuery) {
	return asked(context, query).map(({ id, event, user, at, data }) => ({
		id,
		event_type: event,
		workspace: context.name,
		user_id: user,
		// As upstream writes it: UTC, without saying so. Older Pythons read no zone letter.
		timestamp: new Date(at).toISOString().slice(0, -1),
		data,
	}));
}

/** How many there are of each type. Throws Refusal. */
export function countLogged(context: WorkspaceContext, query: LoggedQuery) {
	const byType = Map.groupBy(asked(context, query), ({ event }) => event);
	return [...byType].map(([event_type, { length: count }]) => ({ event_type, count }));
}

function asked({ name, record, logged }: WorkspaceContext, query: LoggedQuery): readonly LoggedEvent[] {
	const { user } = query.caller;
	if (!record || !may("events.read", user, record)) throw new Refusal(deniedText(name));
	const from = timeOf(query.from, "start_time") ?? Number.NEGATIVE_INFINITY;
	const to = timeOf(query.to, "end_time") ?? Number.POSITIVE_INFINITY;
	const event = query.event ?? undefined;
	return logged.filter(
		(entry) =>
			entry.user === user.id &&
			(event === undefined || entry.event === event) &&
			entry.at >= from &&
			entry.at <= to,
	);
}

function timeOf(value: unknown, name: string): number | undefined {
	if (value === undefined || value === null) return undefined;
	const zoned = typeof value === "string" && /(Z|[+-]\d\d:?\d\d)$/.test(value);
	const at =
		typeof value === "string" ? Date.parse(zoned || !value.includes("T") ? value : `${value}Z`) : Number.NaN;
	if (Number.isNaN(at)) throw new Refusal(`ValueError: ${name} must be a time in ISO 8601`);
	return at;
}

function bounded(entries: readonly LoggedEvent[]): readonly LoggedEvent[] {
	let first = Math.max(entries.length - LOGGED_EVENTS_MAX, 0);
	let characters = entries.slice(first).reduce((sum, entry) => sum + entry.characters, 0);
	while (characters > LOGGED_CHARACTERS_MAX) characters -= entries[first++]?.characters ?? 0;
	return entries.slice(first);
}
