/**
 * Hypha frames: msgpack(main) followed by an optional msgpack(extra). Owns splitting them and writing them with the
 * gateway's word on who speaks; of extra only the top-level keys are looked at (messages.md §1–2).
 */
import { decode, encode } from "@msgpack/msgpack";
import { mapHead, shortText, skipValue } from "./msgpack-skip.ts";
import { isForgeable } from "./reserved.ts";

/** Routing data of a frame; values as the sender said them until the gateway overwrites them. */
export type Main = Readonly<Record<string, unknown>>;

export interface Frame {
	readonly main: Main;
	readonly rest: Uint8Array;
	/** The first key of extra that would override routing data; a key that is not plain text counts. */
	readonly forged: string | undefined;
	/** Milliseconds the caller waits, from `t` in extra (seconds, half of the caller's timeout); undefined without. */
	readonly timeoutMs: number | undefined;
	/** Runs of main's bytes that pass as they are, as start and end in turn, and how many pairs they hold. */
	readonly said: readonly number[];
	readonly saidPairs: number;
	readonly bytes: Uint8Array;
}

export type FrameRead =
	| { readonly ok: true; readonly frame: Frame }
	| { readonly ok: false; readonly reason: string };

/** What only the gateway says of a sender: `from`, `ws` and `user` as msgpack pairs, the same for all its frames. */
export interface Stamp {
	readonly bytes: Uint8Array;
	readonly pairs: number;
}

/** Bytes; no key of the protocol is longer. */
const KEY_BYTES_MAX = 256;
/** Pairs of a map with a head of one byte, and of one with three. */
const SHORT_MAP_PAIRS_MAX = 15;
const MAP_PAIRS_MAX = 0xffff;
/** Said by the gateway, or, as `ctx`, by nobody: receivers would believe it. */
const NOT_PASSED = new Set(["from", "to", "ws", "user", "ctx"]);
const TO_KEY = encode("to").slice();

/** Whatever the bytes are: an outcome, never an exception. */
export function readFrame(bytes: Uint8Array): FrameRead {
	const head = mapHead(bytes, 0);
	if (!head) return refused("the frame does not start with a map");
	if (head.size > MAP_PAIRS_MAX) return refused("the first map has too many keys");
	const main: Record<string, unknown> = {};
	const said: number[] = [];
	let saidPairs = 0;
	let at = head.first;
	for (let i = 0; i < head.size; i++) {
		const key = shortText(bytes, at, KEY_BYTES_MAX);
		if (!key) return refused("the first map has a key that is not a short text, or is cut");
		const end = skipValue(bytes, key.end);
		if (end < 0) return refused("the frame ends inside its first map");
		// Two values for one key: the gateway would judge by the one, a receiver act on the other.
		if (Object.hasOwn(main, key.text) || key.text === "__proto__") {
			return refused(`the first map must not hold "${key.text.slice(0, 80)}" twice or at all`);
		}
		try {
			main[key.text] = shortText(bytes, key.end, KEY_BYTES_MAX)?.text ?? decode(bytes.subarray(key.end, end));
		} catch (error) {
			return refused((error as Error).message);
		}
		if (!NOT_PASSED.has(key.text)) {
			saidPairs++;
			if (said.at(-1) === at) said[said.length - 1] = end;
			else said.push(at, end);
		}
		at = end;
	}
	return withRest({ main, said, saidPairs, bytes }, bytes.subarray(at));
}

export function stampOf(from: string, workspace: string, user: unknown): Stamp {
	const pairs = { from, ws: workspace, user };
	const encoded = encode(pairs, { ignoreUndefined: true });
	const head = mapHead(encoded, 0) as { size: number; first: number };
	// A copy of its own size: the encoder's buffer has two kilobytes, and this one lives as long as the connection.
	return { bytes: encoded.slice(head.first), pairs: head.size };
}

/** The frame as its receiver gets it: what the sender may say, what the gateway says, extra byte for byte. */
export function stampedFrame(frame: Frame, to: string, stamp: Stamp): Uint8Array {
	const { bytes, said, saidPairs, rest } = frame;
	const pairs = saidPairs + stamp.pairs + 1;
	const headBytes = pairs <= SHORT_MAP_PAIRS_MAX ? 1 : 3;
	const toBytes = Buffer.byteLength(to);
	let size = headBytes + TO_KEY.length + 3 + toBytes + stamp.bytes.length + rest.length;
	for (let i = 0; i < said.length; i += 2) size += (said[i + 1] as number) - (said[i] as number);
	const out = Buffer.allocUnsafe(size);
	if (headBytes === 1) out[0] = 0x80 | pairs;
	else {
		out[0] = 0xde;
		out.writeUInt16BE(pairs, 1);
	}
	let at = headBytes;
	const put = (part: Uint8Array) => {
		out.set(part, at);
		at += part.length;
	};
	for (let i = 0; i < said.length; i += 2) put(bytes.subarray(said[i], said[i + 1]));
	put(TO_KEY);
	out[at] = 0xda;
	out.writeUInt16BE(toBytes, at + 1);
	at += 3 + out.write(to, at + 3);
	put(stamp.bytes);
	put(rest);
	return out;
}

export function writeFrame(main: Uint8Array, rest: Uint8Array): Uint8Array {
	const frame = Buffer.allocUnsafe(main.length + rest.length);
	frame.set(main, 0);
	frame.set(rest, main.length);
	return frame;
}

function withRest(first: Omit<Frame, "rest" | "forged" | "timeoutMs">, rest: Uint8Array): FrameRead {
	let forged: string | undefined;
	let timeoutMs: number | undefined;
	let at = 0;
	if (rest.length > 0) {
		const head = mapHead(rest, 0);
		if (!head) return refused("the second segment is not a map");
		at = head.first;
		for (let i = 0; i < head.size; i++) {
			const key = shortText(rest, at, KEY_BYTES_MAX);
			const keyEnd = key?.end ?? skipValue(rest, at);
			const end = keyEnd < 0 ? -1 : skipValue(rest, keyEnd);
			if (end < 0) return refused("the second segment is cut");
			if (!key) forged ??= "a key that is not text";
			else if (isForgeable(key.text)) forged ??= key.text;
			else if (key.text === "t") timeoutMs = timeoutOf(rest.subarray(keyEnd, end));
			at = end;
		}
	}
	if (at !== rest.length) return refused("the second segment is trailed by other bytes");
	return { ok: true, frame: { ...first, rest, forged, timeoutMs } };
}

function timeoutOf(value: Uint8Array): number | undefined {
	// A number only: what is inside of lists and maps may be undecodable, and the sender chose it.
	const head = value[0] ?? 0xc0;
	const isNumber = head <= 0x7f || (head >= 0xca && head <= 0xd3) || head >= 0xe0;
	const seconds = isNumber ? decode(value) : undefined;
	return typeof seconds === "number" && seconds > 0 && seconds < 1e9 ? seconds * 2000 : undefined;
}

function refused(reason: string): FrameRead {
	return { ok: false, reason };
}
