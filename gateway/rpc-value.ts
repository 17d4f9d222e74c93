/**
 * Hypha's encoding of values that the server itself sends or reads: replies, errors, methods, events, arguments.
 * Owns `_rtype` maps as far as a manager needs them (messages.md §4–9); everything else passes opaque.
 */
import { encode } from "@msgpack/msgpack";
import { writeFrame } from "./frame.ts";

export type Value = unknown;
export type Fields = Readonly<Record<string, unknown>>;

const NOTHING = new Uint8Array();

/** One or two msgpack maps as a frame. */
export function frameOf(main: Fields, extra?: Fields): Uint8Array {
	const head = encode(main, { ignoreUndefined: true });
	return writeFrame(head, extra ? encode(extra, { ignoreUndefined: true }) : NOTHING);
}

/** Users and Hypha's own HTTP layer look for the error's class at the start of the text. */
export function errorValue(message: string): Fields {
	return { _rtype: "error", _rvalue: message, _rtrace: "" };
}

export function methodValue(target: string, service: string, name: string, doc: string): Fields {
	return {
		_rtype: "method",
		_rtarget: target,
		_rmethod: `services.${service}.${name}`,
		_rpromise: "*",
		_rname: name,
		_rasync: true,
		_rdoc: doc,
	};
}

export interface RejectedCall {
	readonly session: string;
	/** As the caller wrote its target: it compares them. */
	readonly from: string;
	readonly to: string;
	readonly message: string;
}

export function rejectFrame({ session, from, to, message }: RejectedCall): Uint8Array {
	const main = { type: "method", from, to, method: `${session}.reject`, parent: session };
	return frameOf(main, { args: [errorValue(message)] });
}

/** A system event: one object, without sender. */
export function eventFrame(type: string, data: unknown): Uint8Array {
	return frameOf({ type, to: "*", data });
}

/** Where a caller wants its answer: one of its methods a outcome. */
export interface PromiseTarget {
	readonly resolve: string;
	readonly reject: string;
	readonly heartbeat: string | undefined;
	/** Seconds between heartbeats the caller counts on. */
	readonly intervalSeconds: number;
	/** The caller's session, which replies belong to. */
	readonly session: string;
}

/** Both forms of messages.md §4; undefined: fire and forget. */
export function promiseOf(session: unknown, extra: Fields): PromiseTarget | undefined {
	const { promise } = extra;
	if (typeof session !== "string" || !promise) return undefined;
	const short = (name: string) => `${session}.${name}`;
	if (promise === "*") {
		const intervalSeconds = typeof extra["t"] === "number" ? extra["t"] : 15;
		return {
			session,
			resolve: short("resolve"),
			reject: short("reject"),
			heartbeat: short("heartbeat"),
			intervalSeconds,
		};
	}
	const methods = promise as Record<string, { _rmethod?: unknown } | undefined>;
	const method = (name: string) => {
		const value = methods[name]?._rmethod;
		return typeof value === "string" ? value : undefined;
	};
	return {
		session,
		resolve: method("resolve") ?? short("resolve"),
		reject: method("reject") ?? short("reject"),
		heartbeat: method("heartbeat"),
		intervalSeconds: typeof methods["interval"] === "number" ? methods["interval"] : 15,
	};
}

export interface CallArguments {
	readonly positional: readonly unknown[];
	readonly keywords: Fields;
}

/** Python marks keywords with `with_kwargs`, JavaScript with `_rkwargs` or simply passes a map. */
export function callArguments(extra: Fields): CallArguments {
	const args = Array.isArray(extra["args"]) ? extra["args"] : [];
	const last = args.at(-1);
	const isMap = typeof last === "object" && last !== null && !Array.isArray(last);
	if (isMap && (extra["with_kwargs"] === true || (last as Fields)["_rkwargs"] === true)) {
		const { _rkwargs: _, ...keywords } = last as Record<string, unknown>;
		return { positional: args.slice(0, -1), keywords };
	}
	return { positional: args, keywords: {} };
}

/** Arguments by parameter name. Throws Python's words for what does not fit. */
export function bindArguments(
	method: string,
	parameters: readonly string[],
	required: number,
	{ positional, keywords }: CallArguments,
): Record<string, unknown> {
	if (positional.length > parameters.length) {
		const text = `${method}() takes at most ${parameters.length} arguments (${positional.length} given)`;
		throw new Error(`TypeError: ${text}`);
	}
	const bound: Record<string, unknown> = {};
	for (const [index, value] of positional.entries()) bound[parameters[index] as string] = value;
	for (const [name, value] of Object.entries(keywords)) {
		// Both clients may add the caller's context; the gateway knows it better.
		if (name === "context") continue;
		if (!parameters.includes(name)) {
			throw new Error(`TypeError: ${method}() got an unexpected keyword argument '${name}'`);
		}
		bound[name] = value;
	}
	const missing = parameters.slice(0, required).filter((name) => bound[name] === undefined);
	if (missing.length > 0) {
		throw new Error(`TypeError: ${method}() missing required argument: '${missing.join("', '")}'`);
	}
	return bound;
}

/** A value of client A on its way to client B: `_rtarget`s without a workspace mean A's, so they are spelled out. */
export function absoluteTargets(value: Value, workspace: string): Value {
	if (Array.isArray(value)) return value.map((item) => absoluteTargets(item, workspace));
	if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
	const result: Record<string, unknown> = {};
	for (const [name, inner] of Object.entries(value)) {
		const relative = name === "_rtarget" && typeof inner === "string" && !inner.includes("/");
		result[name] = relative ? `${workspace}/${inner}` : absoluteTargets(inner, workspace);
	}
	return result;
}
