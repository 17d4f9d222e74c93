/**
 * One actor as other code reaches it, from any node: tell, ask, state, history. Owns the calls and their checks; all of
 * them are messages to its mailbox or reads of the log, so it makes no difference where the actor is.
 */
import type { AnyStateMachine } from "xstate";
import { MycelogError } from "../persistence/errors.ts";
import { unlessAborted } from "./abort.ts";
import type { Address } from "./address.ts";
import { ID_FACT } from "./answers.ts";
import type { ActorState, EventOf } from "./define-actor.ts";
import { STATE_QUERY } from "./durable-behaviour.ts";
import { INTERVENTIONS, type Intervention } from "./failures.ts";
import { type HistoryEntry, history } from "./history.ts";
import { type Event, encodeBody } from "./message.ts";
import { type Node, SUBMIT_DEADLINE_MS } from "./node.ts";
import type { OperatorParts } from "./operator.ts";
import { OWN_PREFIX } from "./recovery-records.ts";

/** How long `ask` and `state` wait for an answer if they are not told, milliseconds. */
export const ASK_TIMEOUT_MS_DEFAULT = 30_000;
/** Characters of an id by which repeats are known. */
export const ID_CHARACTERS_MAX = 200;

/** Of one message to an actor. */
export interface TellOptions {
	/** The same again has no effect. Remembered by the actor: see IDS_REMEMBERED_MAX. */
	readonly id?: string;
	/** Milliseconds since 1970 by which the message must be in the log; one that is, counts. */
	readonly expiry?: number;
	readonly signal?: AbortSignal;
}

/** Of one question to an actor. */
export interface AskOptions {
	/** Milliseconds. Default: ASK_TIMEOUT_MS_DEFAULT. */
	readonly timeout?: number;
	/** The same again has no further effect and gets the first answer. */
	readonly id?: string;
	readonly signal?: AbortSignal;
}

/** Which part of a history, by offset. */
export interface RangeOptions {
	/** First offset shown. Default: the first kept. */
	readonly from?: number;
	/** Last offset shown. Default: the newest at the time of the call. */
	readonly to?: number;
	readonly signal?: AbortSignal;
}

/** What a machine has emitted. */
export interface EmittedEvent {
	/** Of the message that led to it: to go on after it, follow from the next one. */
	readonly offset: number;
	/** Milliseconds since 1970 at which that message was appended. */
	readonly timestamp: number;
	readonly event: Event;
}

/** One actor by its address, from any node. Given by `ref` of a node. */
export class ActorRef<Machine extends AnyStateMachine = AnyStateMachine> {
	readonly address: Address;
	readonly #node: Node;
	readonly #parts: OperatorParts;

	constructor(address: Address, node: Node, parts: OperatorParts) {
		this.address = address;
		this.#node = node;
		this.#parts = parts;
	}

	/** Resolves to the message's offset once it is durable; rejects as the log does (docs/concepts/log.md). */
	async tell(event: EventOf<Machine>, { id, expiry, signal }: TellOptions = {}): Promise<number> {
		const sent = checked(event);
		const { type } = sent;
		const deadlineMs = expiry === undefined ? SUBMIT_DEADLINE_MS : expiry - this.#node.now();
		if (deadlineMs <= 0)
			throw new MycelogError("actor.expired", `${type} to ${this.address} expired before it was sent`);
		const draft = {
			to: this.address,
			kind: "command",
			type,
			body: encodeBody(sent),
			...(expiry === undefined ? undefined : { expiresAt: expiry }),
			...(id === undefined ? undefined : { facts: idFact(id) }),
		} as const;
		return unlessAborted(this.#node.send(draft, Math.min(deadlineMs, SUBMIT_DEADLINE_MS)), signal);
	}

	/** The actor's answer. Rejects with RefusedError (its words), `actor.ask-timeout` or the signal's reason. */
	async ask<Answer = unknown>(event: EventOf<Machine>, options: AskOptions = {}): Promise<Answer> {
		const { timeout: timeoutMs = ASK_TIMEOUT_MS_DEFAULT, id, signal } = options;
		const facts = id === undefined ? undefined : idFact(id);
		const asked = checked(event);
		return (await this.#node.ask(this.address, asked, {
			kind: "command",
			timeoutMs,
			facts,
			signal,
		})) as Answer;
	}

	/** As of every message that was in the mailbox before this call. */
	state(options: Omit<AskOptions, "id"> = {}): Promise<ActorState<Machine>> {
		const { timeout: timeoutMs = ASK_TIMEOUT_MS_DEFAULT, signal } = options;
		const query = { type: STATE_QUERY };
		const asked = this.#node.ask(this.address, query, { kind: "query", timeoutMs, signal });
		return asked as Promise<ActorState<Machine>>;
	}

	/** Messages and what they did, in order. Rejects with `actor.not-found` where there never was one. */
	async *history({ from, to, signal }: RangeOptions = {}): AsyncGenerator<HistoryEntry> {
		const range = {
			...(from === undefined ? undefined : { from }),
			...(to === undefined ? undefined : { to }),
		};
		for await (const entry of history(this.#parts, this.address, range)) {
			signal?.throwIfAborted();
			yield entry;
		}
	}

	/** As `history`, and on with each message as it is folded, until the loop is left or the signal says so. */
	async *follow({ from, signal }: Omit<RangeOptions, "to"> = {}): AsyncGenerator<HistoryEntry> {
		const left = new AbortController();
		const follow = signal ? AbortSignal.any([signal, left.signal]) : left.signal;
		try {
			yield* history(this.#parts, this.address, { ...(from === undefined ? undefined : { from }), follow });
		} finally {
			left.abort();
		}
	}

	/** What the actor has emitted and emits, by offset: a subscriber goes on where it was, on any node. */
	async *emitted(options: Omit<RangeOptions, "to"> = {}): AsyncGenerator<EmittedEvent> {
		for await (const { offset, timestamp, effects } of this.follow(options)) {
			for (const effect of effects) {
				if (effect.type === "emit") yield { offset, timestamp, event: effect.event };
			}
		}
	}

	/** Take no messages from here on; they are kept in order. */
	pause(options?: Omit<AskOptions, "id">): Promise<void> {
		return this.#intervene("pause", options);
	}

	/** Take what was kept, and go on. */
	resume(options?: Omit<AskOptions, "id">): Promise<void> {
		return this.#intervene("resume", options);
	}

	/** Leave the message that failed out, take what was kept behind it, and go on. */
	skip(options?: Omit<AskOptions, "id">): Promise<void> {
		return this.#intervene("skip", options);
	}

	/** Try the message that failed once more; if it is taken, go on. */
	retry(options?: Omit<AskOptions, "id">): Promise<void> {
		return this.#intervene("retry", options);
	}

	async #intervene(what: Intervention, options: Omit<AskOptions, "id"> = {}): Promise<void> {
		const { timeout: timeoutMs = ASK_TIMEOUT_MS_DEFAULT, signal } = options;
		await this.#node.ask(this.address, { type: INTERVENTIONS[what] }, { kind: "command", timeoutMs, signal });
	}
}

function checked(sent: unknown): Event {
	const event = sent as Event;
	if (!event.type.startsWith(OWN_PREFIX) && !event.type.startsWith("xstate.")) return event;
	throw new TypeError(`${event.type} is no event for actors`);
}

function idFact(id: string): Readonly<Record<string, string>> {
	if (id.length > 0 && id.length <= ID_CHARACTERS_MAX) return { [ID_FACT]: id };
	throw new TypeError(`an id has 1 to ${ID_CHARACTERS_MAX} characters, this one ${id.length}`);
}
