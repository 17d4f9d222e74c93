/**
 * Arguments of a service call as HTTP carries them, and its result on the way back (http.md §2). Owns the two formats,
 * JSON and msgpack; which one a request speaks is told by its content type.
 */
import { decode, encode } from "@msgpack/msgpack";
import { HttpError } from "./http-exchange.ts";

export type Format = "json" | "msgpack";

/** Names that are the address's own and never an argument. */
const RESERVED = new Set(["workspace", "service_id", "function_key", "_mode"]);

/** Throws HttpError 415. Upstream answers JSON to whoever does not say. */
export function formatOf(contentType: string | undefined): Format {
	const type = (contentType ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";
	if (type === "" || type === "application/json") return "json";
	if (type === "application/msgpack" || type === "application/x-msgpack") return "msgpack";
	throw new HttpError(
		415,
		`content type ${type} is not supported; send application/json or application/msgpack`,
	);
}

/** Digits are integers, numbers are numbers, `{…}` is JSON, everything else is text. */
export function queryArguments(query: string): {
	keywords: Record<string, unknown>;
	mode: string | undefined;
} {
	const keywords: Record<string, unknown> = {};
	let mode: string | undefined;
	for (const [name, value] of new URLSearchParams(query)) {
		if (name === "_mode") mode = value;
		else if (!RESERVED.has(name)) keywords[name] = queryValue(value);
	}
	return { keywords, mode };
}

/** Throws HttpError 400. */
export function bodyArguments(body: Uint8Array, format: Format): Record<string, unknown> {
	if (body.length === 0) return {};
	let value: unknown;
	try {
		value = format === "json" ? JSON.parse(Buffer.from(body).toString("utf8")) : decode(body);
	} catch (error) {
		throw new HttpError(400, `Invalid request body: ${(error as Error).message}`);
	}
	if (typeof value !== "object" || value === null || Array.isArray(value)) {
		throw new HttpError(400, "Invalid request body: a map of arguments by name is needed");
	}
	return value as Record<string, unknown>;
}

/** Throws HttpError 500 for what JSON cannot carry. */
export function encodeResult(
	value: unknown,
	format: Format,
): { contentType: string; body: string | Uint8Array } {
	if (format === "msgpack") {
		return { contentType: "application/msgpack", body: encode(value ?? null, { ignoreUndefined: true }) };
	}
	return { contentType: "application/json", body: jsonOf(value) };
}

export function jsonOf(value: unknown): string {
	return JSON.stringify(value ?? null, (_, inner) => {
		if (inner instanceof Uint8Array || inner?.type === "Buffer") {
			throw new HttpError(500, "TypeError: Object of type bytes is not JSON serializable; ask with msgpack");
		}
		return typeof inner === "bigint" ? Number(inner) : inner;
	});
}

function queryValue(text: string): unknown {
	if (/^\d+$/.test(text)) return Number(text);
	if (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return Number(text);
	if (text.startsWith("{")) {
		try {
			return JSON.parse(text);
		} catch {
			return text;
		}
	}
	return text;
}
