/**
 * Deadlines that are more than one moment: recurring schedules, and delays that mean something else than a deadline.
 * Owns when they are due next and what becomes of ticks that were missed. Part of the actor's state; time is that of the
 * records, so that every fold comes to the same.
 */
import { Cron } from "croner";
import type { Effect } from "./effect.ts";
import type { Event } from "./message.ts";

/** What a delay means when its actor was not there for a while (node down, partition moved). */
export type DelayMeaning =
	/** The moment stays; if it has passed, it is now. */
	| "deadline"
	/** What was left of the delay when its actor was last seen is left still. */
	| "remaining"
	/** The whole delay begins again. */
	| "restart";

/** What becomes of ticks whose time passed while nobody was there. */
export type MissedTicks = "once" | "all" | "skip";

/** Missed ticks that `all` makes up for at once; those before them are left out. */
export const MISSED_TICKS_MAX = 1_000;
/** A tick that comes later than this is a missed one, milliseconds. */
export const TICK_LATE_MS = 5_000;
/** Shortest time between two ticks, milliseconds: each is a record for ever. */
export const TICK_EVERY_MS_MIN = 100;
/** With a `remaining` delay under way, an actor notes this often that it is there, milliseconds. */
export const SEEN_EVERY_MS = 60_000;

/** Timer by which an actor notes that it is there. */
export const SEEN_TIMER = "mycelog.seen";

interface Recurrence {
	readonly event: Event;
	readonly everyMs?: number;
	readonly cron?: string;
	/** IANA name. Default: UTC. */
	readonly timezone?: string;
	/** Default: `once`. */
	readonly missed: MissedTicks;
	readonly next: number;
}

interface MeantDelay {
	readonly meaning: "remaining" | "restart";
	readonly delayMs: number;
	readonly at: number;
	readonly event: Event;
}

export interface Calendar {
	readonly recurring: Readonly<Record<string, Recurrence>>;
	readonly delays: Readonly<Record<string, MeantDelay>>;
	/** When the actor was last there, milliseconds since 1970. */
	readonly seenAt: number;
}

export const EMPTY_CALENDAR: Calendar = { recurring: {}, delays: {}, seenAt: 0 };

/** Parameters of `durableActions.schedule`: an event once, or again and again. */
export interface ScheduleParams {
	/** Scheduling the same id again replaces it; `cancel(id)` ends it. */
	readonly id: string;
	readonly event: Event;
	/** Once, at this moment: milliseconds since 1970. */
	readonly at?: number;
	/** Once, after this many milliseconds. */
	readonly delayMs?: number;
	/** Again and again, at least TICK_EVERY_MS_MIN. */
	readonly everyMs?: number;
	/** Again and again: five or six fields, in `timezone`. */
	readonly cron?: string;
	readonly timezone?: string;
	readonly missed?: MissedTicks;
}

/** A schedule that recurs, on its way from the machine into the calendar. */
export interface Recur {
	readonly type: "recur";
	readonly id: string;
	readonly recurrence: Recurrence;
}

export function scheduled(params: ScheduleParams, now: number): Effect | Recur {
	const { id, event, at, delayMs, everyMs, cron, timezone, missed = "once" } = params;
	if (cron === undefined && everyMs === undefined) {
		const due = at ?? now + (delayMs ?? Number.NaN);
		if (!Number.isFinite(due)) throw new TypeError(`the schedule "${id}" has no time`);
		return { type: "schedule", id, at: due, event };
	}
	if (everyMs !== undefined && !(everyMs >= TICK_EVERY_MS_MIN)) {
		throw new TypeError(
			`the schedule "${id}" recurs every ${everyMs} ms, at least ${TICK_EVERY_MS_MIN} are needed`,
		);
	}
	const recurrence = {
		event,
		missed,
		...(everyMs === undefined ? undefined : { everyMs }),
		...(cron === undefined ? undefined : { cron }),
		...(timezone === undefined ? undefined : { timezone }),
	};
	const next = nextTick(recurrence, at ?? now, now);
	if (next === undefined) throw new TypeError(`the schedule "${id}" is never due`);
	return { type: "recur", id, recurrence: { ...recurrence, next } };
}

/** Takes note of what a message's effects schedule and cancel. */
export function noted(
	calendar: Calendar,
	effects: readonly (Effect | Recur)[],
	now: number,
	meanings: Readonly<Record<string, DelayMeaning>>,
): { readonly calendar: Calendar; readonly effects: readonly Effect[] } {
	let { recurring, delays } = calendar;
	const out: Effect[] = [];
	for (const effect of effects) {
		if (effect.type === "recur") {
			const { id, recurrence } = effect;
			recurring = { ...recurring, [id]: recurrence };
			out.push({ type: "schedule", id, at: recurrence.next, event: recurrence.event });
			continue;
		}
		out.push(effect);
		if (effect.type === "cancel" || (effect.type === "schedule" && !effect.work)) {
			const { id } = effect;
			if (id in recurring) recurring = without(recurring, id);
			if (id in delays) delays = without(delays, id);
		}
		if (effect.type !== "schedule" || effect.work) continue;
		const meaning = meaningOf(effect.id, meanings);
		if (meaning === "deadline") continue;
		const { id, at, event } = effect;
		delays = { ...delays, [id]: { meaning, delayMs: at - now, at, event } };
	}
	const wasSeen = Object.values(calendar.delays).some(isRemaining);
	if (!wasSeen && Object.values(delays).some(isRemaining)) out.push(seenAgain(now));
	const isSame = recurring === calendar.recurring && delays === calendar.delays;
	return { calendar: isSame ? calendar : { ...calendar, recurring, delays }, effects: out };
}

/** A timer of the calendar has rung: what it means now, and what it schedules. */
export function ticked(
	calendar: Calendar,
	id: string,
	now: number,
): {
	readonly calendar: Calendar;
	/** To be taken by the machine, with the moments they were due. */
	readonly events: readonly { readonly event: Event; readonly dueAt: number }[];
	readonly effects: readonly Effect[];
} {
	const recurrence = calendar.recurring[id] as Recurrence;
	const missed = ticksUntil(recurrence, now, recurrence.missed === "all" ? MISSED_TICKS_MAX : 1);
	const next = nextTick(recurrence, recurrence.next, now);
	const last = missed.at(-1) ?? recurrence.next;
	const isLate = recurrence.missed === "skip" && now - last > TICK_LATE_MS;
	const events = isLate ? [] : missed.map((dueAt) => ({ event: recurrence.event, dueAt }));
	if (next === undefined) {
		return { calendar: { ...calendar, recurring: without(calendar.recurring, id) }, events, effects: [] };
	}
	const recurring = { ...calendar.recurring, [id]: { ...recurrence, next } };
	const effects: Effect[] = [{ type: "schedule", id, at: next, event: recurrence.event }];
	return { calendar: { ...calendar, recurring }, events, effects };
}

/** Somebody has the actor again, who may have been without it since it was last seen. */
export function woken(
	calendar: Calendar,
	now: number,
): { readonly calendar: Calendar; readonly effects: readonly Effect[] } {
	const delays: Record<string, MeantDelay> = {};
	const effects: Effect[] = [];
	for (const [id, delay] of Object.entries(calendar.delays)) {
		const awayMs = Math.max(now - calendar.seenAt, 0);
		const at = isRemaining(delay) ? delay.at + awayMs : now + delay.delayMs;
		delays[id] = { ...delay, at };
		effects.push({ type: "schedule", id, at, event: delay.event });
	}
	return { calendar: { ...calendar, delays, seenAt: now }, effects };
}

/** The actor is there: noted again later, as long as it matters. */
export function seen(
	calendar: Calendar,
	now: number,
): { readonly calendar: Calendar; readonly effects: readonly Effect[] } {
	const effects = Object.values(calendar.delays).some(isRemaining) ? [seenAgain(now)] : [];
	return { calendar: { ...calendar, seenAt: now }, effects };
}

/** A delay has come to its end. */
export function rung(calendar: Calendar, id: string): Calendar {
	return id in calendar.delays ? { ...calendar, delays: without(calendar.delays, id) } : calendar;
}

function seenAgain(now: number): Effect {
	return { type: "schedule", id: SEEN_TIMER, at: now + SEEN_EVERY_MS, event: { type: SEEN_TIMER } };
}

function isRemaining({ meaning }: MeantDelay): boolean {
	return meaning === "remaining";
}

/** Delays go by their name in `after`, or by the `id` of a delayed raise, send or schedule. */
function meaningOf(id: string, meanings: Readonly<Record<string, DelayMeaning>>): DelayMeaning {
	const own = meanings[id];
	if (own) return own;
	if (!id.startsWith("xstate.after.")) return "deadline";
	const name = Object.keys(meanings).find((key) => id.startsWith(`xstate.after.${key}.`));
	return (name === undefined ? undefined : meanings[name]) ?? "deadline";
}

/** The first tick after `now`; `from`: one of its ticks, or where they begin. */
function nextTick(
	{ everyMs, cron, timezone = "UTC" }: Omit<Recurrence, "next">,
	from: number,
	now: number,
): number | undefined {
	if (everyMs !== undefined) {
		if (from > now) return from;
		return from + (Math.floor((now - from) / everyMs) + 1) * everyMs;
	}
	const runs = new Cron(cron as string, { timezone, paused: true });
	return runs.nextRun(new Date(Math.max(from, now)))?.getTime();
}

/** The newest ticks that are due, at most `most`, ascending. */
function ticksUntil(
	{ everyMs, cron, timezone = "UTC", next }: Recurrence,
	now: number,
	most: number,
): number[] {
	if (everyMs !== undefined) {
		const count = Math.floor((now - next) / everyMs) + 1;
		const first = Math.max(count - most, 0);
		return Array.from({ length: count - first }, (_, i) => next + (first + i) * everyMs);
	}
	const runs = new Cron(cron as string, { timezone, paused: true });
	// A tick at this very moment counts; croner leaves the reference out, and thinks in seconds.
	const before = runs.previousRuns(most + 1, new Date(now + 1_000)).map((run) => run.getTime());
	const due = before.filter((at) => at >= next && at <= now).sort((a, b) => a - b);
	return due.slice(-most);
}

function without<T>(record: Readonly<Record<string, T>>, id: string): Readonly<Record<string, T>> {
	const { [id]: _, ...rest } = record;
	return rest;
}
