/**
 * Who waits for an answer of a client: told that it is gone, at once or when a suspended session ends without its return.
 * Owns what is remembered of such a call and the words of the answer; when that is, client.ts says.
 */
import type { Address } from "../runtime/address.ts";
import type { ReplyResult } from "../runtime/effect.ts";
import type { Event, Message, ReplyTo } from "../runtime/message.ts";

/** Calls of a suspended client that are answered for it when it does not come back; callers of more run into their time. */
export const WAITING_CALLS_MAX = 1_000;

/** A call by the server (`replyTo`), or by another client that waits with a session. */
export interface WaitingCall {
	readonly replyTo?: ReplyTo;
	readonly caller?: { readonly address: Address; readonly session: string; readonly target: string };
	/** Milliseconds since 1970 at which the caller has given up. */
	readonly expiresAt?: number;
}

export type Answer =
	| { readonly type: "reply"; readonly to: ReplyTo; readonly result: ReplyResult }
	| { readonly type: "post"; readonly to: Address; readonly event: Event };

/** Undefined: nobody waits. Answering notices too would make two gone peers reject each other's rejects for ever. */
export function waitingCall(message: Message, peer: string): WaitingCall | undefined {
	const { replyTo, from, facts, expiresAt } = message;
	const until = expiresAt === undefined ? {} : { expiresAt };
	if (replyTo) return { replyTo, ...until };
	const session = facts?.["session"];
	if (!session || !from?.startsWith("client/")) return undefined;
	return { caller: { address: from, session, target: facts["target"] ?? peer }, ...until };
}

/** With one call more, without those whose callers have given up. */
export function withCall(
	waiting: readonly WaitingCall[],
	call: WaitingCall,
	now: number,
): readonly WaitingCall[] {
	const still = waiting.filter((other) => isWaiting(other, now));
	return still.length < WAITING_CALLS_MAX ? [...still, call] : still;
}

export function answersTo(waiting: readonly WaitingCall[], peer: string, now: number): readonly Answer[] {
	return waiting.filter((call) => isWaiting(call, now)).map((call) => goneAnswer(call, peer));
}

export function goneAnswer({ replyTo, caller }: WaitingCall, peer: string): Answer {
	if (replyTo) {
		const error = `Target peer ${peer} is not connected`;
		return { type: "reply", to: replyTo, result: { ok: false, error } };
	}
	const { address, session, target } = caller as NonNullable<WaitingCall["caller"]>;
	return { type: "post", to: address, event: { type: "undeliverable", peer, target, session } };
}

function isWaiting({ expiresAt }: WaitingCall, now: number): boolean {
	return expiresAt === undefined || expiresAt > now;
}
