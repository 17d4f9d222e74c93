/**
 * What an actor type is to the runtime: pure functions from state and message to state and effects.
 * Owns the interface; machine-behaviour.ts makes one from an XState machine.
 */
import type { AnyStateMachine, StateValue } from "xstate";
import { MycelogError } from "../persistence/errors.ts";
import type { Address } from "./address.ts";
import type { Effect, ReplyResult } from "./effect.ts";
import type { Hold } from "./hold.ts";
import type { Message } from "./message.ts";
import type { WorkToRun } from "./work.ts";

/** What a message leads to: the next state, and what is to be done once it is in force. */
export interface Step<State> {
	readonly state: State;
	readonly effects: readonly Effect[];
}

/** How actors of a type behave, without effects of its own; `defineActor` makes one of a machine. */
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
	/** As text, JSON: what snapshots hold. */
	encode(state: State): string;
	/** What `encode` made. Throws where it is none. */
	decode(text: string): State;
	/**
	 * Judges a stored state by itself instead of by its version; undefined: rebuild it from history. Throws
	 * `actor.version-mismatch`, with which messages for the actor are parked.
	 */
	restore?(text: string): State | undefined;
	/** Work that a state asks for, by the id of its timer: what to run. */
	work?(state: State, id: string): WorkToRun | undefined;
	/** The event that tells an actor with timers that somebody has it again, after a start or a move. */
	readonly wokenType?: string;
	/** Written to each command for such actors, where it is not 1: the form its event has. */
	readonly eventVersion?: number;
	/** Messages of one actor after which a checkpoint is written, if none was before. */
	readonly snapshotEvery?: number;
	/** Without a message this long, milliseconds, an actor leaves memory. Default: PASSIVATE_AFTER_MS. */
	readonly passivateAfterMs?: number;
	/** What its states are of, for those who look. */
	readonly machine?: AnyStateMachine;
	/** Where in its machine it is, read from a state's plain form (`encode`); undefined: before its first message. */
	place?(plain: unknown): StateValue | undefined;
	/** Why it takes no messages at present; types without it cannot be paused. */
	hold?(state: State): Hold | undefined;
}

/** By actor type. */
export type Behaviours = ReadonlyMap<string, Behaviour>;

/** Throws `config.invalid-value` where two have one type: one of them would never be heard. */
export function behavioursByType(behaviours: readonly Behaviour[]): Behaviours {
	const byType = new Map<string, Behaviour>();
	for (const behaviour of behaviours) {
		const { type } = behaviour;
		if (byType.has(type))
			throw new MycelogError("config.invalid-value", `two actor types are named "${type}"`);
		byType.set(type, behaviour);
	}
	return byType;
}
