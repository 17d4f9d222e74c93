/**
 * The actions by which a machine asks for effects: `setup({ actions: durableActions })` makes them known and typed.
 * Owns their names and parameters; the functions do nothing, because a transition only says what is to be done.
 */
import type { ExecutableActionObject } from "xstate";
import type { Address } from "./address.ts";
import { type Recur, type ScheduleParams, scheduled } from "./calendar.ts";
import type { Effect } from "./effect.ts";
import { mustBePlain } from "./machine-behaviour.ts";
import { isEffectAction, refuseAction } from "./machine-support.ts";
import type { Event, Message, ReplyTo } from "./message.ts";

/** Parameters of the action `tell`. */
export interface TellParams {
	readonly to: Address;
	readonly event: Event;
}

/** Parameters of the action `reply`. */
export interface ReplyParams {
	/** What the asker gets. */
	readonly value?: unknown;
	/** Given: the ask is refused with these words. */
	readonly error?: string;
	/** Whose ask. Default: that of the message in hand; `event.meta.replyTo` kept in the context answers later. */
	readonly to?: ReplyTo | undefined;
}

/** For `setup({ actions: durableActions })`: the effects a machine may ask for, typed. */
export const durableActions = {
	/** Append an event to another actor's mailbox. */
	tell: (_: unknown, _params: TellParams): void => {},
	/** Answer an ask. Nothing happens where nobody asked. */
	reply: (_: unknown, _params: ReplyParams): void => {},
	/** Get an event once or again and again; XState's `cancel(id)` ends it. */
	schedule: (_: unknown, _params: ScheduleParams): void => {},
};

/** Names of these actions that only such actors may use. */
export const DURABLE_ACTIONS: readonly string[] = ["schedule"];

/** The effect of an action that is neither XState's own nor work; undefined: nobody asked for this reply. */
export function durableEffect(
	type: string,
	action: ExecutableActionObject,
	{ replyTo, timestamp }: Pick<Message, "replyTo" | "timestamp">,
): Effect | Recur | undefined {
	const params = (action.params ?? {}) as Record<string, unknown>;
	if (action.type === "schedule") {
		mustBePlain(type, params, undefined, "schedule");
		return scheduled(params as unknown as ScheduleParams, timestamp);
	}
	if (!isEffectAction(action.type)) refuseAction(type, action.type);
	if (action.type !== "reply") return { type: action.type, ...params } as Effect;
	const { value, error, to = replyTo } = params as ReplyParams;
	if (!to) return undefined;
	if (value !== undefined) mustBePlain(type, value, undefined, "reply");
	return { type: "reply", to, result: error === undefined ? { ok: true, value } : { ok: false, error } };
}
