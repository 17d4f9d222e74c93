/**
 * Hypha frames: msgpack(main) followed by an optional msgpack(extra). Owns splitting and joining them;
 * only main is decoded, extra is at most looked at by its top-level keys (messages.md §1–2).
 */
import { decode, Encoder } from "@msgpack/msgpack";
import { mapHead, shortText, skipValue } from "./msgpack-skip.ts";
import { isForgeable } from "./reserved.ts";

/** Routing data of a frame; values as the sender said them until the gateway overwrites them. */
export type Main = Readonly<Record<string, unknown>>;

export type FrameRead =
	| { readonly ok: true; readonly main: Main; readonly rest: Uint8Array }
	| { readonly ok: false; readonly reason: string };

/** Bytes; no key of the protocol is longer. */
const KEY_BYTES_MAX = 256;

const encoder = new Encoder({ ignoreUndefined: true });
const USER_KEY = encoder.encode("user");

/** Whatever the bytes are: an outcome, never an exception. */
export function readFrame(bytes: Uint8Array): FrameRead {
	if (!mapHead(bytes, 0)) return { ok: false, reason: "the frame does not start with a map" };
	const end = skipValue(bytes, 0);
	if (end < 0) return { ok: false, reason: "the frame ends inside its first map" };
	const rest = bytes.subarray(end);
	if (rest.length > 0) {
		if (!mapHead(rest, 0)) return { ok: false, reason: "the second segment is not a map" };
		if (skipValue(rest, 0) !== rest.length)
			return { ok: false, reason: "the second segment is cut or trailed" };
	}
	try {
		return { ok: true, main: decode(bytes.subarray(0, end)) as Main, rest };
	} catch (error) {
		return { ok: false, reason: (error as Error).message };
	}
}

/** The first key of the second segment that would override routing data; a key that is not plain text counts. */
export function forgedKey(rest: Uint8Array): string | undefined {
	for (const { key } of topLevel(rest)) {
		if (key === undefined) return "a key that is not text";
		if (isForgeable(key)) return key;
	}
	return undefined;
}

/** Milliseconds the caller waits, from `t` in extra (seconds, half of the caller's timeout); undefined without. */
export function callTimeoutMs(rest: Uint8Array): number | undefined {
	for (const { key, value } of topLevel(rest)) {
		if (key !== "t") continue;
		const seconds = decode(value);
		return typeof seconds === "number" && seconds > 0 && seconds < 1e9 ? seconds * 2000 : undefined;
	}
	return undefined;
}

/** Main with the sender's user record spliced in, whose bytes are the same for every frame of a connection. */
export function encodeMain(main: Main, user: Uint8Array): Uint8Array {
	const { user: _, ...fields } = main;
	const body = encoder.encodeSharedRef(fields);
	const head = mapHead(body, 0) as { size: number; first: number };
	const size = head.size + 1;
	const header = size < 16 ? [0x80 | size] : [0xde, size >> 8, size & 0xff];
	const said = body.length - head.first;
	const bytes = Buffer.allocUnsafe(header.length + said + USER_KEY.length + user.length);
	bytes.set(header, 0);
	bytes.set(body.subarray(head.first), header.length);
	bytes.set(USER_KEY, header.length + said);
	bytes.set(user, header.length + said + USER_KEY.length);
	return bytes;
}

export function writeFrame(main: Uint8Array, rest: Uint8Array): Uint8Array {
	const frame = Buffer.allocUnsafe(main.length + rest.length);
	frame.set(main, 0);
	frame.set(rest, main.length);
	return frame;
}

function* topLevel(rest: Uint8Array): Iterable<{ key: string | undefined; value: Uint8Array }> {
	const head = mapHead(rest, 0);
	if (!head) return;
	let at = head.first;
	for (let i = 0; i < head.size; i++) {
		const key = shortText(rest, at, KEY_BYTES_MAX);
		const keyEnd = key?.end ?? skipValue(rest, at);
		const end = keyEnd < 0 ? -1 : skipValue(rest, keyEnd);
		if (end < 0) return;
		yield { key: key?.text, value: rest.subarray(keyEnd, end) };
		at = end;
	}
}
