/**
 * What becomes of messages that fail, and of those behind them: parked, kept, taken later. Owns an actor's pause and what
 * ends it; taking one message is durable-behaviour.ts.
 */
import { REPEATED_ID, repeated } from "./answers.ts";
import type { Step } from "./behaviour.ts";
import { rung, SEEN_TIMER, seen, ticked } from "./calendar.ts";
import type { DurableState } from "./durable-state.ts";
import type { Effect, ReplyResult } from "./effect.ts";
import { type Hold, hasRoom, heldOf, messageFrom, withRepeat } from "./hold.ts";
import type { Place } from "./machine-behaviour.ts";
import { WORK_PREFIX } from "./machine-tree.ts";
import { eventOf, type Message } from "./message.ts";
import { WORK_FAILED } from "./work.ts";

/** What an operator may do to an actor, as types of commands. */
export const INTERVENTIONS = {
	/** Take no messages from here on: they are kept. */
	pause: "mycelog.pause",
	/** Take the kept ones, and go on. */
	resume: "mycelog.resume",
	/** Leave the failed message out, take the others, and go on. */
	skip: "mycelog.skip",
	/** Try the failed message once more, and go on if it is taken. */
	retry: "mycelog.retry",
} as const;

export type Intervention = keyof typeof INTERVENTIONS;

/** `skip`: a message that fails is parked and left out. `pause`: it is parked too, and the actor waits for help with it. */
export type OnFailure = "skip" | "pause";

/** A failure that its actor could not deal with, with how often it was tried. */
export class WorkError extends Error {
	readonly attempts: number;

	constructor({ name, message, stack }: Pick<Error, "name" | "message" | "stack">, attempts: number) {
		super(message);
		this.name = name;
		if (stack) this.stack = stack;
		this.attempts = attempts;
	}
}

export type Taken = Step<DurableState> | { readonly failure: Error };

export interface Failures {
	/** A message for an actor that is paused. */
	hold(state: DurableState, before: Hold, message: Message): Step<DurableState>;
	/** What an operator asks for. */
	intervene(state: DurableState, message: Message, what: Intervention): Step<DurableState>;
	/** A message that failed and those behind it wait. */
	paused(state: DurableState, message: Message, failure: Error, behind: Hold["held"]): Step<DurableState>;
	/** The actor goes on without the message; work that failed is over. */
	leftOut(state: DurableState, message: Message, failure: Error | undefined): Step<DurableState>;
}

/** `taken`: what taking one message leads to. */
export function failures(
	onFailure: OnFailure,
	taken: (state: DurableState, message: Message, place: Place) => Taken,
): Failures {
	return { hold, intervene, paused, leftOut };

	function hold(state: DurableState, before: Hold, message: Message): Step<DurableState> {
		const known = withRepeat(before, message);
		if (known) return { state: { ...state, hold: known }, effects: [{ type: "drop", reason: REPEATED_ID }] };
		if (hasRoom(before, message)) {
			// A delay that has come to its end is none any more, whenever its event is taken.
			const calendar = rung(state.calendar, timerOf(message));
			const held = [...before.held, heldOf(message)];
			return { state: { ...state, calendar, hold: { ...before, held } }, effects: [] };
		}
		const cause = new Error(`${message.to} is paused and keeps no more messages`);
		return leftOut(state, message, cause);
	}

	function intervene(state: DurableState, message: Message, what: Intervention): Step<DurableState> {
		const { hold: before } = state;
		const answer = (value: ReplyResult): Effect[] =>
			message.replyTo ? [{ type: "reply", to: message.replyTo, result: value }] : [];
		const refuse = (error: string) => ({ state, effects: answer({ ok: false, error }) });
		if (what === "pause") {
			const since = message.timestamp;
			const next: Hold = before ?? { since, cause: "paused", failed: false, held: [] };
			return { state: { ...state, hold: next }, effects: answer({ ok: true, value: { paused: true } }) };
		}
		if (!before) return refuse(`Error: ${message.to} is not paused`);
		if (what === "resume" && before.failed) return refuse(`Error: a message failed: skip or retry it`);
		if (what !== "resume" && !before.failed) return refuse(`Error: no message failed: resume`);
		const [first] = before.held;
		const rest = what === "resume" ? before.held : before.held.slice(1);
		const effects: Effect[] = [];
		let next: DurableState = { ...state, hold: undefined };
		if (first && what === "skip") {
			const skipped = messageFrom(first, message.to);
			const left = leftOut(next, skipped, undefined);
			next = left.state;
			effects.push(...left.effects);
			if (skipped.replyTo) {
				const error = `Error: skipped after it failed: ${before.cause}`;
				effects.push({ type: "reply", to: skipped.replyTo, result: { ok: false, error } });
			}
		}
		const queue = first && what === "retry" ? [first, ...rest] : rest;
		for (const [i, one] of queue.entries()) {
			const held = messageFrom(one, message.to);
			if (held.expiresAt !== undefined && held.expiresAt < message.timestamp) continue;
			const place = { offset: held.offset, timestamp: message.timestamp };
			if (i === 0 && what === "retry" && held.type === WORK_FAILED) {
				effects.push(...again(next, held, place));
				continue;
			}
			const repeat = repeated(next.answers, held);
			const step = repeat
				? { state: { ...next, answers: repeat.answers }, effects: repeat.effects }
				: taken(next, held, place);
			if (!("failure" in step)) {
				next = step.state;
				effects.push(...step.effects);
				for (const replyTo of one.repeats ?? []) {
					const told = repeated(next.answers, { ...held, replyTo });
					if (told) next = { ...next, answers: told.answers };
					effects.push(...(told?.effects ?? []));
				}
				continue;
			}
			const waiting = onFailure === "pause" || (i === 0 && what === "retry");
			const stopped = waiting
				? paused(next, held, step.failure, queue.slice(i + 1))
				: leftOut(next, held, step.failure);
			next = stopped.state;
			effects.push(...stopped.effects);
			if (waiting) break;
		}
		const stillWaits = next.hold?.failed && next.hold.held[0]?.offset === first?.offset;
		if (first && before.failed && !stillWaits) {
			// A program that embeds the node says neither.
			const { by = "-", why = "-" } = eventOf(message) as { by?: string; why?: string };
			const outcome = what === "skip" ? "dropped" : "retried";
			effects.push({ type: "settle", offset: first.offset, outcome, by, why });
		}
		const value = { paused: next.hold !== undefined };
		return { state: next, effects: [...effects, ...answer({ ok: true, value })] };
	}

	/** A failed message and those behind it wait. */
	function paused(
		state: DurableState,
		message: Message,
		failure: Error,
		behind: Hold["held"],
	): Step<DurableState> {
		const cause = `${failure.name}: ${failure.message}`;
		const held = [heldOf(message), ...behind];
		const calendar = rung(state.calendar, timerOf(message));
		return {
			state: { ...state, calendar, hold: { since: message.timestamp, cause, failed: true, held } },
			effects: [{ type: "park", message, cause: failure, attempts: attemptsOf(failure), paused: true }],
		};
	}

	/** The actor goes on without the message: schedules tick on, delays are over, and so is work that failed. */
	function leftOut(before: DurableState, message: Message, failure: Error | undefined): Step<DurableState> {
		const { state, effects } = passed(before, message);
		const parked: Effect[] = failure
			? [{ type: "park", message, cause: failure, attempts: attemptsOf(failure), paused: false }]
			: [];
		const all = [...effects, ...parked];
		if (message.type !== WORK_FAILED || !state.tree) return { state, effects: all };
		const session = (message.facts?.["timer"] ?? "").slice(WORK_PREFIX.length);
		const children = new Map(state.tree.children);
		children.delete(session);
		return { state: { ...state, tree: { ...state.tree, children } }, effects: all };
	}

	/** Work that failed is asked for once more. */
	function again({ tree }: DurableState, message: Message, place: Place): Effect[] {
		const id = message.facts?.["timer"] ?? "";
		const child = tree?.children.get(id.slice(WORK_PREFIX.length));
		if (!child) return [];
		return [{ type: "schedule", id, at: place.timestamp, event: { type: child.src }, work: true }];
	}
}

/** Whether a message is a tick or the end of a delay, which the calendar must hear of whatever becomes of it. */
export function isOfCalendar({ calendar }: DurableState, message: Message): boolean {
	const timer = timerOf(message);
	return timer in calendar.recurring || timer in calendar.delays;
}

/** A timer has rung, and its event is nobody's. The next tick is the first one after it, which may be over as well. */
function passed(state: DurableState, message: Message): Step<DurableState> {
	const timer = timerOf(message);
	const { calendar, effects } =
		timer in state.calendar.recurring
			? ticked(state.calendar, timer, message.timestamp)
			: timer === SEEN_TIMER
				? seen(state.calendar, message.timestamp)
				: { calendar: rung(state.calendar, timer), effects: [] };
	return { state: { ...state, calendar }, effects };
}

function timerOf({ kind, facts }: Message): string {
	return kind === "timer" ? (facts?.["timer"] ?? "") : "";
}

function attemptsOf(failure: Error): number {
	return failure instanceof WorkError ? failure.attempts : 1;
}
