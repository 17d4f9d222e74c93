/**
 * Messages that a paused actor keeps for later, in order. Owns their stored form and the bound on them; when an actor
 * pauses and what ends it is durable-behaviour.ts.
 */
import type { LogRecord } from "../persistence/log.ts";
import { ID_FACT, REPEATS_WAITING_MAX } from "./answers.ts";
import { type Message, messageOf, type ReplyTo } from "./message.ts";

/** Messages a paused actor keeps; past it each further one is parked as a dead letter. */
export const HELD_MESSAGES_MAX = 1_000;
/** Bytes of their bodies together; the same past it. */
export const HELD_BYTES_MAX = 4 * 1024 * 1024;

/** A message that a paused actor keeps. */
export interface HeldMessage {
	/** In its partition. */
	readonly offset: number;
	/** Milliseconds since 1970 at which it was appended. */
	readonly timestamp: number;
	readonly headers: Readonly<Record<string, string>>;
	/** Base64. */
	readonly body: string;
	/** Of repeats under the same id, which are not kept themselves. */
	readonly repeats?: readonly ReplyTo[];
}

/** Why and since when an actor is paused, and what it keeps. */
export interface Hold {
	/** Since when, milliseconds since 1970. */
	readonly since: number;
	/** Why: what the first held message threw, or "paused" where an operator did it. */
	readonly cause: string;
	/** The first one is the one that failed, if one did. */
	readonly failed: boolean;
	readonly held: readonly HeldMessage[];
}

/** False: there is no room. */
export function hasRoom({ held }: Hold, message: Message): boolean {
	// Base64 has four characters for three bytes.
	const bytes = held.reduce((sum, { body }) => sum + body.length * 0.75, message.body.length);
	return held.length < HELD_MESSAGES_MAX && bytes <= HELD_BYTES_MAX;
}

/** With a repeat of a kept message noted; undefined: it is none. */
export function withRepeat(hold: Hold, { facts, replyTo }: Message): Hold | undefined {
	const id = facts?.[ID_FACT];
	const first = id === undefined ? -1 : hold.held.findIndex(({ headers }) => headers[ID_FACT] === id);
	if (first < 0) return undefined;
	if (!replyTo) return hold;
	const held = hold.held.map((one, i) =>
		i === first ? { ...one, repeats: [...(one.repeats ?? []), replyTo].slice(-REPEATS_WAITING_MAX) } : one,
	);
	return { ...hold, held };
}

export function heldOf({ offset, timestamp, record, body }: Message): HeldMessage {
	return { offset, timestamp, headers: record.headers, body: Buffer.from(body).toString("base64") };
}

export function messageFrom({ offset, timestamp, headers, body }: HeldMessage, address: string): Message {
	const value = new Uint8Array(Buffer.from(body, "base64"));
	const record: LogRecord = { key: address, value, headers, timestamp, offset };
	// It was readable when it was held.
	return messageOf(record) as Message;
}
