/**
 * What an actor type is to the runtime: pure functions from state and message to state and effects.
 * Owns the interface; machine-behaviour.ts makes one from an XState machine.
 */
import type { Address } from "./address.ts";
import type { Effect, ReplyResult } from "./effect.ts";
import type { Message } from "./message.ts";

export interface Step<State> {
	readonly state: State;
	readonly effects: readonly Effect[];
}

// biome-ignore lint/suspicious/noExplicitAny: a registry holds behaviours of unrelated states
export interface Behaviour<State = any> {
	/** First part of the addresses of such actors. */
	readonly type: string;
	/** Raised when stored states of the old form can no longer be used as they are. */
	readonly version: number;
	/** Logical topic of their mailboxes. */
	readonly topic: string;
	/** State before the first message, with the effects of entering it; their deadlines count from 0. */
	initial(address: Address): Step<State>;
	/** Commands and timers. */
	command(state: State, message: Message): Step<State>;
	/** Queries: from current state, changing nothing. */
	query?(state: State, message: Message): ReplyResult;
	/** Frames: where they go, changing nothing. */
	pass?(state: State, message: Message): readonly Effect[];
	/** Name of the node process (`node~boot`) whose death this actor must hear of, if any. */
	claim?(state: State): string | undefined;
	/** The event that tells an actor that the process it claimed is gone. */
	readonly claimLostType?: string;
	/** One word for people: the state's name. */
	describe(state: State): string;
	encode(state: State): string;
	decode(text: string): State;
}

export type Behaviours = ReadonlyMap<string, Behaviour>;
