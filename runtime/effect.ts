/**
 * Effects: what a transition asks the runtime to do, as data.
 * Owns their shapes; partition-effects.ts carries them out, a replay only shows them.
 */
import type { Address } from "./address.ts";
import type { Event, Message, ReplyTo } from "./message.ts";

/** The socket an actor speaks to: a node of the cluster and a connection there, unique for all time. */
export interface Outlet {
	readonly node: string;
	readonly connection: string;
}

/** What a transition asks for, as data. Carried out once the message is in force, never in a replay. */
export type Effect =
	/** Append a command to another actor's mailbox. */
	| { readonly type: "tell"; readonly to: Address; readonly event: Event }
	/** Append a frame (passes through the receiver to its socket): structured, encoded when it is delivered. */
	| {
			readonly type: "post";
			readonly to: Address;
			readonly event: Event;
			readonly facts?: Readonly<Record<string, string>>;
	  }
	/** Append this very message, body untouched, as a frame to another mailbox. */
	| { readonly type: "forward"; readonly to: Address; readonly message: Message }
	/** Answer an ask. Dropped where nobody waits any more. */
	| { readonly type: "reply"; readonly to: ReplyTo; readonly result: ReplyResult }
	/** Hand this very message to a socket. */
	| { readonly type: "deliver"; readonly outlet: Outlet; readonly message: Message }
	/** Tell a socket's node something about the connection (close it, for example). */
	| { readonly type: "signal"; readonly outlet: Outlet; readonly signal: Event }
	/** Append `event` to the own mailbox at a deadline (milliseconds since 1970). Same id: replaced. */
	| {
			readonly type: "schedule";
			readonly id: string;
			readonly at: number;
			readonly event: Event;
			/** No deadline: work that the owner of the actor runs until its end is in the mailbox (work.ts). */
			readonly work?: true;
	  }
	| { readonly type: "cancel"; readonly id: string }
	/** Nothing is sent: whoever follows the actor's history sees it there. */
	| { readonly type: "emit"; readonly event: Event }
	/** A message that failed is parked as a dead letter; the actor itself has dealt with it. `paused`: it waits for help. */
	| {
			readonly type: "park";
			readonly message: Message;
			readonly cause: Error;
			readonly attempts: number;
			readonly paused: boolean;
	  }
	/** The dead letter of this actor's message at `offset` is done with: an operator has helped past it. */
	| {
			readonly type: "settle";
			readonly offset: number;
			readonly outcome: "retried" | "dropped";
			readonly by: string;
			readonly why: string;
	  }
	/** Nothing to do but count: the reason is a fixed word, for metrics. */
	| { readonly type: "drop"; readonly reason: string };

/** How an ask ended. */
export type ReplyResult =
	| { readonly ok: true; readonly value: unknown }
	| { readonly ok: false; readonly error: string };
