/**
 * Services over HTTP: calls, records, lists, a workspace's info (http.md §2–3). Owns paths, statuses and streams; finding
 * a service, permissions and the call itself are those of every transport.
 */
import type { TemplatedApp } from "uWebSockets.js";
import { encode } from "@msgpack/msgpack";
import { MycelogError } from "../persistence/errors.ts";
import { addressOf } from "../runtime/address.ts";
import type { Node } from "../runtime/node.ts";
import { ClientError } from "./client-calls.ts";
import { hashOf } from "./handshake.ts";
import {
	bodyArguments,
	encodeResult,
	type Format,
	formatOf,
	jsonOf,
	queryArguments,
} from "./http-arguments.ts";
import { callerOf } from "./http-caller.ts";
import { Exchange, HttpError } from "./http-exchange.ts";
import type { Identity } from "./identity.ts";
import type { Manager } from "./manager-service.ts";
import type { Tokens } from "./tokens.ts";

/** A call that takes longer is answered 504, milliseconds. */
const CALL_MS_MAX = 60_000;
/** An item of a generator, milliseconds. */
const ITEM_MS_MAX = 60_000;
/** An actor's answer about a token, milliseconds. */
const TOKEN_MS_MAX = 10_000;

export interface HttpServicesParts {
	readonly basePath: string;
	readonly node: Node;
	readonly tokens: Tokens;
	readonly manager: Manager;
}

/** A method as services hand it out (messages.md §5). */
interface Method {
	readonly _rtype: "method" | "generator";
	readonly _rtarget: string;
	readonly _rmethod: string;
}

export function addServiceRoutes(app: TemplatedApp, parts: HttpServicesParts): void {
	const { basePath } = parts;
	const route = (
		methods: readonly ("get" | "post")[],
		path: string,
		answer: (exchange: Exchange, names: readonly string[], body: Promise<Buffer>) => Promise<void>,
	) => {
		const names = [...path.matchAll(/:\w+/g)].length;
		for (const method of methods) {
			app[method](`${basePath}${path}`, (res, req) => {
				const exchange = new Exchange(res, req);
				const raw = Array.from({ length: names }, (_, i) => req.getParameter(i) ?? "");
				// Asked for in the route's own turn: the library does not wait for anybody.
				const body = method === "post" ? exchange.body() : Promise.resolve(Buffer.alloc(0));
				// Where the answer does not depend on it any more, nobody hears of its failure.
				body.catch(() => {});
				const answered = (async () => answer(exchange, raw.map(decoded), body))();
				answered.catch((error) => exchange.fail(httpError(error)));
			});
		}
		app.options(`${basePath}${path}`, (res, req) => new Exchange(res, req).allow());
	};
	route(["get"], "/:workspace/services", async (exchange) => {
		exchange.send(307, "text/plain", "", { location: `${exchange.path}/` });
	});
	route(["get"], "/:workspace/services/", async (exchange, [workspace = ""]) => {
		const caller = await admitted(exchange, workspace, parts);
		const query = { query: { workspace } };
		const services = (await parts.manager.call(caller, "list_services", query)) as readonly { id: string }[];
		const short = services.map((service) => ({ ...service, id: service.id.replace(`${workspace}/`, "") }));
		exchange.json(200, short);
	});
	route(["get"], "/:workspace/services/:service", async (exchange, [workspace = "", service = ""]) => {
		const caller = await admitted(exchange, workspace, parts);
		const { mode } = queryArguments(exchange.query);
		const config = mode === undefined ? {} : { mode };
		const service_id = fullId(workspace, service);
		exchange.json(200, await parts.manager.call(caller, "get_service_info", { service_id, config }));
	});
	route(["get"], "/:workspace/info", async (exchange, [workspace = ""]) => {
		const caller = await admitted(exchange, workspace, parts);
		exchange.json(200, await parts.manager.call(caller, "get_workspace_info", { workspace }));
	});
	route(["get", "post"], "/:workspace/services/:service/:function", async (exchange, names, body) => {
		const [workspace = "", service = "", path = ""] = names;
		const format = formatOf(exchange.header("content-type"));
		const asked = queryArguments(exchange.query);
		const isGet = exchange.method === "GET";
		const keywords = isGet ? asked.keywords : bodyArguments(await body, format);
		const caller = await admitted(exchange, workspace, parts);
		const value = isManager(service)
			? await parts.manager.call(caller, path, keywords)
			: await callService(parts, caller, { workspace, service, path, keywords, mode: asked.mode });
		if (isMethod(value, "generator")) {
			const contentType = format === "json" ? "text/event-stream" : "application/msgpack";
			await exchange.stream(contentType, streamed(itemsOf(parts, caller, value), format));
			return;
		}
		const result = encodeResult(value, format);
		exchange.send(200, result.contentType, result.body);
	});
}

/** The caller, if its token is good; a token that was revoked opens nothing here either. */
async function admitted(exchange: Exchange, workspace: string, parts: HttpServicesParts): Promise<Identity> {
	const { tokens, node } = parts;
	const { identity, token } = await callerOf(exchange, workspace, tokens);
	if (token === undefined) return identity;
	const question = { type: "token.revoked", hash: hashOf(token) };
	const asked = { kind: "query", timeoutMs: TOKEN_MS_MAX } as const;
	const revoked = await node.ask(addressOf("workspace", identity.workspace), question, asked);
	if (revoked) throw new HttpError(401, "Token has been revoked");
	return identity;
}

interface ServiceCall {
	readonly workspace: string;
	readonly service: string;
	/** Dotted. */
	readonly path: string;
	readonly keywords: Readonly<Record<string, unknown>>;
	readonly mode: string | undefined;
}

async function callService(
	{ manager }: HttpServicesParts,
	caller: Identity,
	call: ServiceCall,
): Promise<unknown> {
	const { workspace, path, keywords, mode } = call;
	const config = mode === undefined ? {} : { mode };
	const service_id = fullId(workspace, call.service);
	let found: unknown = await manager.call(caller, "get_service", { service_id, config });
	for (const name of path.split(".")) {
		const inner = typeof found === "object" && found !== null && Object.hasOwn(found, name);
		if (!inner) throw new HttpError(404, `${path} not found.`);
		found = (found as Record<string, unknown>)[name];
	}
	if (!isMethod(found, "method")) return found;
	return manager.callMethod(caller, found._rtarget, found._rmethod, keywords, CALL_MS_MAX);
}

async function* itemsOf(
	{ manager }: HttpServicesParts,
	caller: Identity,
	from: Method,
): AsyncGenerator<unknown> {
	const { _rtarget: target, _rmethod: method } = from;
	let ended = false;
	try {
		for (;;) {
			const item = await manager.callMethod(caller, target, method, {}, ITEM_MS_MAX);
			if ((item as { _rtype?: unknown } | null)?._rtype === "stop_iteration") {
				ended = true;
				return;
			}
			yield item;
		}
	} finally {
		// Whoever stops early says so, or the generator waits for ever.
		const close = (from as { readonly _rclose_method?: unknown })._rclose_method;
		if (!ended && typeof close === "string") {
			await manager.callMethod(caller, target, close, {}, ITEM_MS_MAX).catch(() => undefined);
		}
	}
}

async function* streamed(items: AsyncIterable<unknown>, format: Format): AsyncGenerator<string | Uint8Array> {
	try {
		for await (const item of items) {
			yield format === "json" ? `data: ${jsonOf(item)}\n\n` : encode(item, { ignoreUndefined: true });
		}
	} catch (error) {
		const failure = { error: (error as Error).message };
		yield format === "json" ? `data: ${JSON.stringify(failure)}\n\n` : encode(failure);
		return;
	}
	if (format === "json") yield "data: [DONE]\n\n";
}

function isMethod(value: unknown, type: Method["_rtype"]): value is Method {
	if (typeof value !== "object" || value === null) return false;
	const { _rtype, _rtarget, _rmethod } = value as Partial<Method>;
	return _rtype === type && typeof _rtarget === "string" && typeof _rmethod === "string";
}

function isManager(service: string): boolean {
	return service === "ws" || service === "~";
}

function fullId(workspace: string, service: string): string {
	return isManager(service) ? "~" : `${workspace}/${service}`;
}

function decoded(part: string): string {
	try {
		return decodeURIComponent(part);
	} catch {
		throw new HttpError(400, "the path is not well encoded");
	}
}

/** Statuses of upstream, by the words that services and actors use. */
function httpError(error: unknown): HttpError {
	if (error instanceof HttpError) return error;
	const words = error instanceof ClientError ? error.line : (error as Error).message;
	const text = words.trim().split("\n").at(-1) ?? "";
	if (MycelogError.is(error, "actor.ask-timeout")) return new HttpError(504, text);
	if (MycelogError.is(error) && error.retryable) return new HttpError(503, text);
	const detail = text.startsWith("RemoteException: ") ? text : `RemoteException: ${text}`;
	if (/PermissionError/.test(text)) return new HttpError(403, detail);
	if (/KeyError|not found/i.test(text)) return new HttpError(404, detail);
	if (/NotImplementedError/.test(text)) return new HttpError(501, detail);
	if (/ValueError|TypeError|AssertionError/.test(text)) return new HttpError(400, detail);
	return new HttpError(500, detail);
}
