/**
 * What an event may carry, and how: text, bytes, or any value of JSON, each kept exactly. Owns the encodings and the
 * refusal of everything else; where the type is told (a header, never the key) and parts are event-parts.ts.
 */
import { MycelogError } from "../persistence/errors.ts";
import { firstUnplain } from "./plain-data.ts";

/** What JSON can say. */
export type JsonValue =
	| null
	| boolean
	| number
	| string
	| readonly JsonValue[]
	| { readonly [key: string]: JsonValue };

/** Bytes come back as a Uint8Array. */
export type EventData = JsonValue | Uint8Array;

export type EventDataKind = "text" | "bytes" | "json";

/** Bytes of one event as it is encoded. */
export const EVENT_BYTES_MAX = 16 * 1024 * 1024;

export interface EncodedData {
	readonly kind: EventDataKind;
	readonly bytes: Uint8Array;
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Throws `event.not-sendable` for what would not come back as it is, `event.too-large`. */
export function encodeData(data: unknown): EncodedData {
	const encoded = encode(data);
	const { length } = encoded.bytes;
	if (length <= EVENT_BYTES_MAX) return encoded;
	const text = `an event of ${length} bytes is over the limit of ${EVENT_BYTES_MAX} bytes`;
	throw new MycelogError("event.too-large", text, { bytes: length, limit: EVENT_BYTES_MAX });
}

export function decodeData({ kind, bytes }: EncodedData): EventData {
	switch (kind) {
		case "bytes":
			// Its own: what it was cut from belongs to the log.
			return Uint8Array.from(bytes);
		case "text":
			return decoder.decode(bytes);
		case "json":
			return JSON.parse(decoder.decode(bytes)) as JsonValue;
	}
}

function encode(data: unknown): EncodedData {
	if (data instanceof Uint8Array) return { kind: "bytes", bytes: data };
	const problem = firstUnplain(data, NOTHING, "data") ?? firstUnfit(data, "data");
	if (problem) throw new MycelogError("event.not-sendable", `an event cannot carry this: ${problem}`);
	if (typeof data === "string") return { kind: "text", bytes: Buffer.from(data) };
	return { kind: "json", bytes: Buffer.from(JSON.stringify(data, withNegativeZero)) };
}

/** Equal to no value: everything is looked at. */
const NOTHING = Symbol("nothing");

/** What JSON would change without a word: half characters, and fields that are undefined. */
function firstUnfit(value: unknown, path: string): string | undefined {
	if (typeof value === "string") return value.isWellFormed() ? undefined : `${path} has a lone surrogate`;
	if (typeof value !== "object" || value === null) return undefined;
	for (const [key, inner] of Object.entries(value)) {
		if (!key.isWellFormed()) return `a key of ${path} has a lone surrogate`;
		const place = Array.isArray(value) ? `${path}[${key}]` : `${path}.${key}`;
		const found = inner === undefined ? `${place} is undefined` : firstUnfit(inner, place);
		if (found) return found;
	}
	return undefined;
}

/** JSON can say -0, but its writer does not. */
function withNegativeZero(_: string, value: unknown): unknown {
	return Object.is(value, -0) ? rawJson("-0") : value;
}

const { rawJSON: rawJson } = JSON as unknown as { rawJSON(text: string): unknown };
