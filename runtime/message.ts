/**
 * The envelope: how a message to an actor is written as a log record and read back.
 * Owns header names and the envelope version; bodies are opaque bytes, decoded by who needs them.
 */
import { Decoder, Encoder } from "@msgpack/msgpack";
import type { LogRecord, NewRecord } from "../persistence/log.ts";
import type { Address } from "./address.ts";

/** Raised when a reader of the old form could misread the new one; unknown versions are parked. */
export const ENVELOPE_VERSION = "1";

/** Version of the actor type whose form an event has; without it, it is the first. */
const VERSION_HEADER = "~e";

export function eventVersionOf({ facts }: Pick<Draft, "facts">): number {
	return Number(facts?.[VERSION_HEADER] ?? 1);
}

/**
 * - `command`: may change state; part of the actor's history.
 * - `query`: answered from current state in mailbox order; skipped by a re-fold.
 * - `frame`: passes through the actor to its socket and changes nothing; rejected or dropped if it cannot.
 * - `timer`: a command that the actor's own deadline appended.
 */
export type MessageKind = "command" | "query" | "frame" | "timer";

const KIND_OF: Readonly<Record<string, MessageKind>> = {
	c: "command",
	q: "query",
	f: "frame",
	t: "timer",
};
const LETTER_OF: Readonly<Record<MessageKind, string>> = { command: "c", query: "q", frame: "f", timer: "t" };

/** Where a reply goes: a node and the number of the ask that waits there. */
export interface ReplyTo {
	readonly node: string;
	readonly ask: string;
}

/**
 * Makes a repeat recognisable: `source` counts up with (`major`, `minor`) and receivers drop what is not above
 * the newest seen. For an actor's output the source is its partition, major the offset that caused it and minor
 * the index among that record's outputs, so that a re-fold makes the same numbers again.
 */
export interface Origin {
	readonly source: string;
	/** Of an output: the offset that caused it. */
	readonly major: number;
	/** Of an output: its index among those of that record. */
	readonly minor: number;
}

/** A message that is not in the log yet. */
export interface Draft {
	readonly to: Address;
	readonly kind: MessageKind;
	readonly type: string;
	/** msgpack of the event's fields, or raw bytes for frames. */
	readonly body: Uint8Array;
	readonly from?: Address;
	readonly replyTo?: ReplyTo;
	/** Milliseconds since 1970 after which the message is dropped unhandled. */
	readonly expiresAt?: number;
	/** Small facts that must be readable without decoding the body. Keys must not start with `~`. */
	readonly facts?: Readonly<Record<string, string>>;
	/** The trace that it is part of (tracing.ts). */
	readonly trace?: string | undefined;
	/** Of its actor type, whose form the event has. Default: that of the type as the sender knows it. */
	readonly eventVersion?: number | undefined;
}

/** A message as it lies in a mailbox. */
export interface Message extends Draft {
	/** In its partition. */
	readonly offset: number;
	/** Milliseconds since 1970 at which it was appended. */
	readonly timestamp: number;
	readonly origin: Origin | undefined;
	readonly record: LogRecord;
}

export function recordOf(draft: Draft, origin: Origin, timestamp: number): NewRecord {
	const headers: Record<string, string> = draft.facts ? { ...draft.facts } : {};
	headers["~v"] = ENVELOPE_VERSION;
	headers["~k"] = LETTER_OF[draft.kind];
	headers["~t"] = draft.type;
	headers["~s"] = `${origin.source}@${origin.major}.${origin.minor}`;
	if (draft.from) headers["~f"] = draft.from;
	if (draft.replyTo) headers["~r"] = `${draft.replyTo.node}#${draft.replyTo.ask}`;
	if (draft.expiresAt !== undefined) headers["~x"] = String(draft.expiresAt);
	if (draft.trace !== undefined) headers["~p"] = draft.trace;
	if (draft.eventVersion !== undefined) headers[VERSION_HEADER] = String(draft.eventVersion);
	return { key: draft.to, value: draft.body, headers, timestamp };
}

/** The record by which a node process takes a mailbox partition over; its offset is the epoch of that ownership. */
export function ownerRecord(node: string, timestamp: number): NewRecord {
	const headers = { "~v": ENVELOPE_VERSION, "~o": node };
	return { key: "", value: new Uint8Array(), headers, timestamp };
}

/** The process that took the partition over with this record; undefined: it is a message. */
export function newOwnerIn({ headers, key }: LogRecord): string | undefined {
	return key === "" ? headers["~o"] : undefined;
}

/** The message in a record, or why it cannot be read (such a record is parked, never dropped). */
export function messageOf(record: LogRecord): Message | { readonly unreadable: string } {
	const { headers } = record;
	if (headers["~v"] !== ENVELOPE_VERSION) {
		return {
			unreadable: `envelope version ${headers["~v"] ?? "missing"}, this node reads ${ENVELOPE_VERSION}`,
		};
	}
	const kind = KIND_OF[headers["~k"] ?? ""];
	if (!kind || !record.key) return { unreadable: `no known kind or no address` };
	const message: { -readonly [Field in keyof Message]: Message[Field] } = {
		to: record.key,
		kind,
		type: headers["~t"] ?? "",
		body: record.value,
		facts: headers,
		offset: record.offset,
		timestamp: record.timestamp,
		origin: originOf(headers["~s"]),
		record,
	};
	const from = headers["~f"];
	if (from) message.from = from;
	const replyTo = replyToOf(headers["~r"]);
	if (replyTo) message.replyTo = replyTo;
	const expiresAt = headers["~x"];
	if (expiresAt) message.expiresAt = Number(expiresAt);
	const trace = headers["~p"];
	if (trace) message.trace = trace;
	return message;
}

function replyToOf(text: string | undefined): ReplyTo | undefined {
	const hash = text?.lastIndexOf("#") ?? -1;
	return text && hash > 0 ? { node: text.slice(0, hash), ask: text.slice(hash + 1) } : undefined;
}

function originOf(text: string | undefined): Origin | undefined {
	if (!text) return undefined;
	const at = text.lastIndexOf("@");
	const dot = text.indexOf(".", at);
	if (at < 1 || dot < 0) return undefined;
	return {
		source: text.slice(0, at),
		major: Number(text.slice(at + 1, dot)),
		minor: Number(text.slice(dot + 1)),
	};
}

/** An event as machines see it: a type and fields that msgpack can carry. */
export interface Event {
	readonly type: string;
	readonly [field: string]: unknown;
}

/** Bytes; an encoder that has grown past it is replaced, so that one large event does not keep its memory for ever. */
const ENCODER_BYTES_MAX = 64 * 1024;
const newEncoder = () => new Encoder({ ignoreUndefined: true });
/** Made once: a new one each time costs more than what it encodes. */
let encoder = newEncoder();
const decoder = new Decoder();
/** A map without fields, in msgpack: many events are a type alone. */
const NO_FIELDS = 0x80;
const EMPTY_BODY: Uint8Array = Uint8Array.of(NO_FIELDS);

/** As msgpack, the form of commands, queries and timers. */
export function encodeBody(event: Event): Uint8Array {
	if (isTypeAlone(event)) return EMPTY_BODY;
	const { type: _, ...fields } = event;
	const body = encoder.encode(fields);
	if (body.length > ENCODER_BYTES_MAX) encoder = newEncoder();
	return body;
}

function isTypeAlone(event: Event): boolean {
	for (const field in event) if (field !== "type") return false;
	return true;
}

/** The event in a command, query or timer. Throws where the body is not a msgpack map. */
export function eventOf(message: Message): Event {
	const { body } = message;
	if (body.length === 0 || (body.length === 1 && body[0] === NO_FIELDS)) return { type: message.type };
	const { buffer, byteOffset, length } = body;
	// Some drivers give Node's Buffer, whose slices are Buffers and become other JSON: a fold must not see which it was.
	const fields = decoder.decode(new Uint8Array(buffer, byteOffset, length));
	if (typeof fields !== "object" || fields === null || Array.isArray(fields)) {
		throw new TypeError(`the body of ${message.type} is not a map`);
	}
	return { ...fields, type: message.type };
}
