/**
 * The actor of the history check: books entries, passes them on, rings durable bells, and says in every receipt what
 * its state was at that offset. Owns the arithmetic, which the checker repeats over the mailboxes.
 */
import type { Address } from "../../runtime/address.ts";
import type { Behaviour, Step } from "../../runtime/behaviour.ts";
import type { Effect } from "../../runtime/effect.ts";
import { type Event, eventOf, type Message } from "../../runtime/message.ts";
import { ACTORS_TOPIC, CLIENTS_TOPIC } from "../../runtime/topics.ts";

export interface LedgerState {
	/** Entries booked, and the sum of their amounts. */
	readonly entries: number;
	readonly balance: number;
	/** Follows from the ids of all entries in their order: two states with one digest booked the same. */
	readonly digest: number;
	/** Newest number heard from each sender. */
	readonly heard: Readonly<Record<string, number>>;
	/** Newest number given to each receiver. */
	readonly sent: Readonly<Record<string, number>>;
	/** Receipts of entries that careful callers send again until they have an answer, by id. */
	readonly once: Readonly<Record<string, Receipt>>;
	/** Bells that were armed and have not rung. */
	readonly armed: readonly string[];
	readonly rung: number;
	/** What must never happen, as the actor itself finds it. */
	readonly wrong: readonly string[];
}

/** The state right behind the entry that it is given for. */
export interface Receipt {
	readonly offset: number;
	readonly entries: number;
	readonly balance: number;
	readonly digest: number;
}

/** One command of a client. `n` counts up for each pair of sender and ledger; what the log refused leaves gaps. */
export interface Entry extends Event {
	readonly type: "entry";
	readonly id: string;
	readonly sender: string;
	readonly n: number;
	readonly amount: number;
	/** Ledgers it is passed on to, one after the other. */
	readonly onward: readonly Address[];
	/** Rings this much later. */
	readonly bellMs?: number;
}

/** May be sent any number of times and is booked once. */
export interface OnceEntry extends Event {
	readonly type: "once";
	readonly id: string;
	readonly amount: number;
}

/** From ledger to ledger. `n` counts up without a gap for each pair. */
export interface Passed extends Event {
	readonly type: "passed";
	readonly id: string;
	readonly n: number;
	readonly amount: number;
	readonly onward: readonly Address[];
}

export const EMPTY_LEDGER: LedgerState = {
	entries: 0,
	balance: 0,
	digest: 0,
	heard: {},
	sent: {},
	once: {},
	armed: [],
	rung: 0,
	wrong: [],
};

function ledger(type: string, topic: string): Behaviour<LedgerState> {
	return {
		type,
		version: 1,
		topic,
		initial: () => ({ state: EMPTY_LEDGER, effects: [] }),
		command: (state, message) => ledgerStep(state, message),
		query: (state, { type }) =>
			type === "state"
				? { ok: true, value: state }
				: { ok: false, error: `TypeError: no query named ${type}` },
		describe: ({ entries }) => `${entries} entries`,
		encode: (state) => JSON.stringify(state),
		decode: (text) => JSON.parse(text) as LedgerState,
	};
}

/** Mailboxes of both topics, because a node owns the same partitions of each. */
export const ledgerBehaviours: readonly Behaviour[] = [
	ledger("ledger", ACTORS_TOPIC),
	ledger("slip", CLIENTS_TOPIC),
];

/** Throws on an event it does not know. */
export function ledgerStep(state: LedgerState, message: Message): Step<LedgerState> {
	const event = eventOf(message);
	switch (event.type) {
		case "entry":
			return entry(state, message, event as Entry);
		case "once":
			return once(state, message, event as OnceEntry);
		case "passed":
			return passed(state, message, event as Passed);
		case "ring":
			return { state: rung(state, String(event["id"])), effects: [] };
		default:
			throw new TypeError(`a ledger has no event ${event.type}`);
	}
}

function entry(before: LedgerState, message: Message, event: Entry): Step<LedgerState> {
	const { id, sender, n, amount, bellMs } = event;
	const last = before.heard[sender] ?? 0;
	const state = booked(before, id, amount, n > last ? [] : [`${sender}: ${n} after ${last}`]);
	const heard = { ...state.heard, [sender]: n };
	const { onward, sent } = passOn(state, event);
	const armed = bellMs === undefined ? state.armed : [...state.armed, id];
	const bells: Effect[] =
		bellMs === undefined
			? []
			: [{ type: "schedule", id, at: message.timestamp + bellMs, event: { type: "ring", id } }];
	return {
		state: { ...state, heard, sent, armed },
		effects: [...onward, ...bells, ...answer(message, receiptOf(state, message))],
	};
}

function once(before: LedgerState, message: Message, { id, amount }: OnceEntry): Step<LedgerState> {
	const given = before.once[id];
	if (given) return { state: before, effects: answer(message, given) };
	const state = booked(before, id, amount, []);
	const receipt = receiptOf(state, message);
	return {
		state: { ...state, once: { ...state.once, [id]: receipt } },
		effects: answer(message, receipt),
	};
}

function passed(before: LedgerState, message: Message, event: Passed): Step<LedgerState> {
	const { id, n, amount } = event;
	const from = message.from ?? "";
	const last = before.heard[from] ?? 0;
	const state = booked(before, id, amount, n === last + 1 ? [] : [`${from}: ${n} after ${last}`]);
	const { onward, sent } = passOn(state, event);
	return { state: { ...state, heard: { ...state.heard, [from]: n }, sent }, effects: onward };
}

function rung(state: LedgerState, id: string): LedgerState {
	const wrong = state.armed.includes(id) ? state.wrong : [...state.wrong, `bell ${id} rang unarmed`];
	return { ...state, armed: state.armed.filter((armed) => armed !== id), rung: state.rung + 1, wrong };
}

function booked(state: LedgerState, id: string, amount: number, wrong: readonly string[]): LedgerState {
	return {
		...state,
		entries: state.entries + 1,
		balance: state.balance + amount,
		digest: digestOf(state.digest, id),
		wrong: wrong.length > 0 ? [...state.wrong, ...wrong] : state.wrong,
	};
}

function passOn(state: LedgerState, { id, amount, onward }: Entry | Passed) {
	const [to, ...rest] = onward;
	if (!to) return { onward: [], sent: state.sent };
	const n = (state.sent[to] ?? 0) + 1;
	const event: Passed = { type: "passed", id, n, amount, onward: rest };
	const tell: Effect = { type: "tell", to, event };
	return { onward: [tell], sent: { ...state.sent, [to]: n } };
}

function answer({ replyTo }: Message, value: Receipt): Effect[] {
	return replyTo ? [{ type: "reply", to: replyTo, result: { ok: true, value } }] : [];
}

export function receiptOf({ entries, balance, digest }: LedgerState, { offset }: Message): Receipt {
	return { offset, entries, balance, digest };
}

export function digestOf(digest: number, id: string): number {
	let hash = digest ^ 0x811c9dc5;
	for (let i = 0; i < id.length; i++) hash = Math.imul(hash ^ id.charCodeAt(i), 0x01000193);
	return hash >>> 0;
}
