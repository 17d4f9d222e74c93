/**
 * Messages that an actor was sent under an id, and what it answered: a repeat has no effect and gets the first answer.
 * Owns the memory of ids and its bound; it is part of the actor's state, so that every fold remembers the same.
 */
import type { Effect, ReplyResult } from "./effect.ts";
import type { Message, ReplyTo } from "./message.ts";

/** Ids an actor remembers; past it the one that came first is forgotten, and a repeat of it counts anew. */
export const IDS_REMEMBERED_MAX = 256;
/** Repeats of one id that wait for its first answer; past it the one that came first waits in vain. */
export const REPEATS_WAITING_MAX = 16;

/** The fact of a message that holds its id. */
export const ID_FACT = "id";
/** Why such a message is dropped. */
export const REPEATED_ID = "repeated-id";

interface Entry {
	readonly id: string;
	/** Undefined: not answered yet. */
	readonly result?: ReplyResult;
	/** Who asked under this id and has no answer yet. */
	readonly waiting: readonly ReplyTo[];
}

/** In the order in which the ids came. */
export type Answers = readonly Entry[];

/** What a repeat leads to; undefined: its id was not heard before. */
export function repeated(
	answers: Answers,
	{ facts, replyTo }: Message,
): { readonly answers: Answers; readonly effects: readonly Effect[] } | undefined {
	const id = facts?.[ID_FACT];
	const known = id === undefined ? undefined : answers.find((entry) => entry.id === id);
	if (!known) return undefined;
	const drop: Effect = { type: "drop", reason: REPEATED_ID };
	if (!replyTo) return { answers, effects: [drop] };
	if (known.result) {
		return { answers, effects: [drop, { type: "reply", to: replyTo, result: known.result }] };
	}
	const waiting = [...known.waiting, replyTo].slice(-REPEATS_WAITING_MAX);
	return { answers: replaced(answers, { ...known, waiting }), effects: [drop] };
}

/** After a message was folded: its id, and what its effects answer to whom. */
export function answered(
	answers: Answers,
	{ facts, replyTo }: Pick<Message, "facts" | "replyTo">,
	effects: readonly Effect[],
): { readonly answers: Answers; readonly effects: readonly Effect[] } {
	const id = facts?.[ID_FACT];
	let next = answers;
	if (id !== undefined) {
		const entry: Entry = { id, waiting: replyTo ? [replyTo] : [] };
		next = [...answers.slice(Math.max(answers.length + 1 - IDS_REMEMBERED_MAX, 0)), entry];
	}
	if (next.length === 0 || !effects.some(({ type }) => type === "reply")) return { answers: next, effects };
	const all: Effect[] = [];
	for (const effect of effects) {
		all.push(effect);
		if (effect.type !== "reply") continue;
		const entry = next.find(({ waiting }) => waiting.some((one) => isSame(one, effect.to)));
		if (!entry) continue;
		const { result } = effect;
		for (const to of entry.waiting) if (!isSame(to, effect.to)) all.push({ type: "reply", to, result });
		next = replaced(next, { id: entry.id, result, waiting: [] });
	}
	return { answers: next, effects: all };
}

function replaced(answers: Answers, entry: Entry): Answers {
	return answers.map((one) => (one.id === entry.id ? entry : one));
}

function isSame(one: ReplyTo, other: ReplyTo): boolean {
	return one.node === other.node && one.ask === other.ask;
}
