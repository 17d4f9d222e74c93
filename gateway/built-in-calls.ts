/**
 * Calls of a client's built-in service by other clients (messages.md §5, §8), read as the receiver will.
 * Owns what an honest call looks like; chunks are followed by chunk-guard.ts.
 */
import { decode, encode } from "@msgpack/msgpack";
import { readFrame, writeFrame } from "./frame.ts";

export const BUILT_IN_PREFIX = "services.built-in.";
/** Methods that take a large message in chunks. */
export const CHUNK_METHOD_PREFIX = `${BUILT_IN_PREFIX}message_cache.`;
/** Fact of a frame that calls a built-in service, so that all others are delivered unread. */
export const BUILT_IN_FACT = "built-in";

/** Characters of a chunked message's key: a session id or a random one. */
const KEY_CHARACTERS_MAX = 512;

/**
 * Most arguments of each method. The JavaScript client puts the caller's context after them: with one more, the
 * caller's own word would stand in the context's place.
 */
const ARGUMENTS_MAX: Readonly<Record<string, number>> = {
	ping: 1,
	get_service: 1,
	"message_cache.create": 3,
	"message_cache.set": 4,
	"message_cache.process": 2,
	"message_cache.remove": 1,
};

export type BuiltInCall =
	| { readonly kind: "create"; readonly key: string; readonly bytes: Uint8Array }
	| { readonly kind: "set"; readonly key: string; readonly index: number; readonly chunk: Uint8Array }
	| { readonly kind: "process" | "remove"; readonly key: string }
	| { readonly kind: "other" }
	| { readonly kind: "refused"; readonly reason: string };

export function readBuiltInCall(body: Uint8Array): BuiltInCall {
	const read = readFrame(body);
	if (!read.ok) return refused(`ValueError: ${read.reason}`);
	const { main, rest } = read.frame;
	const { method } = main;
	const name = typeof method === "string" ? method.slice(BUILT_IN_PREFIX.length) : "";
	const extra = rest.length > 0 ? (decode(rest) as Record<string, unknown>) : {};
	const args = Array.isArray(extra["args"]) ? extra["args"] : [];
	if (name === "message_cache.append") {
		return refused("NotImplementedError: chunks are sent by message_cache.set (api_version 3)");
	}
	const argumentsMax = Object.hasOwn(ARGUMENTS_MAX, name) ? (ARGUMENTS_MAX[name] as number) : undefined;
	if (argumentsMax === undefined) return { kind: "other" };
	if (args.length > argumentsMax) {
		return refused(`TypeError: ${name}() takes at most ${argumentsMax} arguments (${args.length} given)`);
	}
	if (!name.startsWith("message_cache.")) return { kind: "other" };
	if (extra["with_kwargs"]) return refused(`TypeError: ${name}() takes no keyword arguments`);
	return chunkCall(name.slice("message_cache.".length), main, extra, args);
}

function chunkCall(
	name: string,
	main: Readonly<Record<string, unknown>>,
	extra: Readonly<Record<string, unknown>>,
	[key, second, chunk]: readonly unknown[],
): BuiltInCall {
	if (typeof key !== "string" || key === "" || key.length > KEY_CHARACTERS_MAX) {
		return refused(`ValueError: the key must be a text of 1 to ${KEY_CHARACTERS_MAX} characters`);
	}
	if (name === "set") {
		if (typeof second !== "number" || !Number.isSafeInteger(second) || second < 0) {
			return refused("ValueError: the index of a chunk must be a whole number");
		}
		if (!(chunk instanceof Uint8Array)) return refused("TypeError: a chunk must be bytes");
		return { kind: "set", key, index: second, chunk };
	}
	if (name !== "create") return { kind: name as "process" | "remove", key };
	// What an earlier connection left at the receiver must not become a part of this message: it overwrites.
	const args = [key, second === true, true];
	return { kind: "create", key, bytes: writeFrame(encode(main), encode({ ...extra, args })) };
}

function refused(reason: string): BuiltInCall {
	return { kind: "refused", reason };
}
