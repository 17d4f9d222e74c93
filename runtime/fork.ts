/**
 * An actor's history as it might have been: kept up to an offset, messages dropped, replaced, put in; folded beside what it
 * was, and compared. Owns edits and their outcome; writes nothing, carries out no effect. Making it true is promote.ts.
 */
import { MycelogError } from "../persistence/errors.ts";
import { partitionName } from "../persistence/log.ts";
import type { StoredTimer } from "../persistence/snapshots.ts";
import { Actor } from "./actor.ts";
import type { Address } from "./address.ts";
import type { Behaviours } from "./behaviour.ts";
import { type Difference, differences } from "./difference.ts";
import type { Effect } from "./effect.ts";
import { type EffectAt, EffectDifferences } from "./effect-differences.ts";
import { foldActor } from "./fold.ts";
import { type Event, encodeBody, type Message } from "./message.ts";
import { mailboxOf, notFound, type OperatorParts, type ScanProgress } from "./operator.ts";
import { OWN_PREFIX } from "./recovery-records.ts";

/** Edits of one fork: they are kept in the log with the restore. */
export const EDITS_MAX = 1_000;
/** Places at which states differ that are told; the states themselves are told whole. */
export const DIFFERENCES_MAX = 1_000;

/** One change to a history. Offsets are those of the actor's own messages. */
export type Edit =
	| { readonly drop: number }
	/** Another event in the place of the one at this offset: its sender, time and place in the order stay. */
	| { readonly replace: number; readonly event: Event }
	/** From outside, behind the message at this offset and at its time; -1: before the first. */
	| { readonly insert: number; readonly event: Event };

/** A history as it might have been. */
export interface Fork {
	/** Last offset kept. Default: all. */
	readonly to?: number;
	readonly edits: readonly Edit[];
}

/** How a fork is compared. */
export interface DryRunOptions {
	/** The machines that the history was made by: what it did is folded with them. Default: the present ones. */
	readonly against?: Behaviours;
	readonly onProgress?: (progress: ScanProgress) => void;
}

/** An actor at the end of a fold. */
export interface FoldedState {
	/** Name of the state. */
	readonly state: string;
	/** The whole state as plain data. */
	readonly value: unknown;
	readonly timers: readonly StoredTimer[];
	/** Messages at which the machine threw. */
	readonly failed: number;
}

/** What a fork would make, beside what is. */
export interface DryRun {
	readonly address: Address;
	/** `topic/partition` of its mailbox. */
	readonly partition: string;
	/** Offset of the actor's last message: what a restore is made from. */
	readonly base: number;
	readonly fork: Fork;
	/** Messages of the history, repeats left out. */
	readonly records: number;
	/** Messages of the fork. */
	readonly kept: number;
	readonly before: FoldedState;
	readonly after: FoldedState;
	/** State and timers, path by path: `left` as it was, `right` as it would be. The first DIFFERENCES_MAX. */
	readonly differences: readonly Difference[];
	/** What went out and would not have: it is not taken back. The first EFFECTS_TOLD_MAX, and how many there are. */
	readonly onlyBefore: { readonly told: readonly EffectAt[]; readonly count: number };
	/** What did not go out and would have: it is not sent. */
	readonly onlyAfter: { readonly told: readonly EffectAt[]; readonly count: number };
	/** For a restore: the state as it is stored. */
	readonly restored: {
		readonly version: number;
		readonly state: string;
		readonly timers: readonly StoredTimer[];
	};
}

/**
 * Rejects with `recovery.invalid-edit` where an edit names no message of the actor, `log.offset-trimmed` where the history's
 * beginning is gone, `actor.not-found`.
 */
export async function dryRun(
	parts: OperatorParts,
	address: Address,
	fork: Fork,
	{ against, onProgress }: DryRunOptions = {},
): Promise<DryRun> {
	const { partition, behaviour } = mailboxOf(parts, address);
	const edits = new Edits(address, fork);
	const { start, end } = await parts.log.bounds(partition);
	if (start > 0) {
		const text = `${partitionName(partition)} starts at offset ${start}: the history of ${address} before it is gone, so it cannot be folded another way`;
		throw new MycelogError("log.offset-trimmed", text, { address, start });
	}
	const before = new Side(Actor.fresh(address, against?.get(behaviour.type) ?? behaviour));
	const after = new Side(Actor.fresh(address, behaviour));
	const effects = new EffectDifferences();
	for (const message of edits.first()) effects.compare(message, [], after.take(message));
	let base = -1;
	let records = 0;
	const fold = foldActor(parts.log, partition, address, before.actor.behaviour, {
		end,
		index: parts.index,
		onScanned: (scanned) => onProgress?.({ scanned, total: end }),
	});
	for await (const { message, outcome, effects: sent, actor } of fold) {
		if (outcome === "repeat") continue;
		before.follow(actor, outcome === "failed");
		base = message.offset;
		records++;
		const made: Effect[] = [];
		for (const edited of edits.of(message)) made.push(...after.take(edited));
		effects.compare(message, sent, made);
	}
	if (records === 0) throw notFound(address, partition, start, end);
	edits.mustAllBeUsed(base);
	const [left, right] = [before.folded(), after.folded()];
	const contents = ({ value, timers }: FoldedState) => ({ state: value, timers: byId(timers) });
	const { version, state, timers } = after.actor.snapshot();
	return {
		address,
		partition: partitionName(partition),
		base,
		fork,
		records,
		kept: after.taken,
		before: left,
		after: right,
		differences: differences(contents(left), contents(right), DIFFERENCES_MAX),
		onlyBefore: effects.onlyBefore,
		onlyAfter: effects.onlyAfter,
		restored: { version, state, timers },
	};
}

function byId(timers: readonly StoredTimer[]): Record<string, unknown> {
	return Object.fromEntries(timers.map(({ id, at, event }) => [id, { at, event: JSON.parse(event) }]));
}

/** One way through the history. */
class Side {
	actor: Actor;
	taken = 0;
	#failed = 0;

	constructor(actor: Actor) {
		this.actor = actor;
	}

	/** As the live loop does. */
	take(message: Message): readonly Effect[] {
		this.taken++;
		try {
			return this.actor.receive(message);
		} catch {
			this.#failed++;
			this.actor.fail(message);
			return [];
		}
	}

	follow(actor: Actor, failed: boolean): void {
		this.actor = actor;
		if (failed) this.#failed++;
	}

	folded(): FoldedState {
		const { behaviour, state, timers } = this.actor;
		return {
			state: behaviour.describe(state),
			value: JSON.parse(behaviour.encode(state)),
			timers: [...timers],
			failed: this.#failed,
		};
	}
}

/** The edits by the offset they are at, and which of them found their message. */
class Edits {
	readonly #address: Address;
	readonly #to: number;
	readonly #changes = new Map<number, Event | "drop">();
	readonly #inserts = new Map<number, Event[]>();
	readonly #unused = new Set<number>();

	constructor(address: Address, { to, edits }: Fork) {
		this.#address = address;
		this.#to = to ?? Number.POSITIVE_INFINITY;
		if (to !== undefined) this.#unused.add(to);
		if (edits.length > EDITS_MAX) throw invalid(`${edits.length} edits are more than ${EDITS_MAX}`);
		for (const edit of edits) this.#add(edit);
		this.#unused.delete(-1);
	}

	#add(edit: Edit): void {
		const at = "drop" in edit ? edit.drop : "replace" in edit ? edit.replace : edit.insert;
		if (!Number.isSafeInteger(at) || at < ("insert" in edit ? -1 : 0)) throw invalid(`${at} is no offset`);
		if (at > this.#to) throw invalid(`an edit at offset ${at} is behind the last one kept, ${this.#to}`);
		this.#unused.add(at);
		if ("insert" in edit) {
			this.#inserts.set(at, [...(this.#inserts.get(at) ?? []), allowed(edit.event)]);
			return;
		}
		if (this.#changes.has(at)) throw invalid(`there are two edits of the message at offset ${at}`);
		this.#changes.set(at, "drop" in edit ? "drop" : allowed(edit.event));
	}

	/** What comes before the first message. */
	first(): Message[] {
		const record = { key: this.#address, value: new Uint8Array(), headers: {}, timestamp: 0, offset: -1 };
		const origin = { to: this.#address, offset: -1, timestamp: 0, origin: undefined, record };
		return (this.#inserts.get(-1) ?? []).map((event, index) => inserted(origin, event, index));
	}

	/** What takes the place of a message: itself, mostly. */
	of(message: Message): Message[] {
		const { offset } = message;
		this.#unused.delete(offset);
		if (offset > this.#to) return [];
		const change = this.#changes.get(offset);
		const kept = change === undefined ? [message] : change === "drop" ? [] : [replaced(message, change)];
		const inserts = this.#inserts.get(offset) ?? [];
		return [...kept, ...inserts.map((event, index) => inserted(message, event, index))];
	}

	mustAllBeUsed(last: number): void {
		const [unknown] = this.#unused;
		if (unknown === undefined) return;
		const text = `offset ${unknown} is no message of ${this.#address}: its last one is at ${last}; \`mycelog history\` lists them`;
		throw new MycelogError("recovery.invalid-edit", text, { address: this.#address, offset: unknown, last });
	}
}

function replaced(message: Message, event: Event): Message {
	return { ...message, kind: "command", type: event.type, body: encodeBody(event) };
}

type Place = Pick<Message, "to" | "offset" | "timestamp" | "origin" | "record">;

/** Between two offsets, so that what is made of it has ids of its own. */
function inserted({ to, offset, timestamp, record }: Place, event: Event, index: number): Message {
	const place = offset + (index + 1) / (2 * EDITS_MAX);
	const body = encodeBody(event);
	return { to, kind: "command", type: event.type, body, offset: place, timestamp, origin: undefined, record };
}

function allowed(event: Event): Event {
	if (typeof event?.type !== "string" || event.type === "") throw invalid("an event needs a type");
	if (!event.type.startsWith(OWN_PREFIX) && !event.type.startsWith("xstate.")) return event;
	throw invalid(`${event.type} is no event for actors`);
}

function invalid(text: string): MycelogError {
	return new MycelogError("recovery.invalid-edit", text);
}
