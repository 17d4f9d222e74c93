/**
 * Services over HTTP: calls, records, lists, a workspace's info (http.md §2–3). Owns paths, statuses and streams; finding
 * a service, permissions and the call itself are those of every transport.
 */
import { encode } from "@msgpack/msgpack";
import { SpanKind } from "@opentelemetry/api";
import { traceIn } from "../runtime/tracing.ts";
import {
	bodyArguments,
	encodeResult,
	type Format,
	formatOf,
	jsonOf,
	queryArguments,
} from "./http-arguments.ts";
import { admitted, type HttpCallerParts } from "./http-caller.ts";
import { type Exchange, HttpError } from "./http-exchange.ts";
import type { HttpRoutes } from "./http-routes.ts";
import type { Identity } from "./identity.ts";
import type { Manager } from "./manager-service.ts";

/** A call that takes longer is answered 504, milliseconds. */
const CALL_MS_MAX = 60_000;
/** An item of a generator, milliseconds. */
const ITEM_MS_MAX = 60_000;

const MODE_TEXT = "which one of several services of that name";

export interface HttpServicesParts extends HttpCallerParts {
	readonly manager: Manager;
}

/** A method as services hand it out (messages.md §5). */
interface Method {
	readonly _rtype: "method" | "generator";
	readonly _rtarget: string;
	readonly _rmethod: string;
}

export function addServiceRoutes(routes: HttpRoutes, parts: HttpServicesParts): void {
	const json = ["application/json"];
	const unseen = { means: "no such workspace, or nothing of it may be seen" };
	routes.add({
		methods: ["get"],
		path: "/:workspace/services",
		answer: (exchange) => exchange.send(307, "text/plain", "", { location: `${exchange.path}/` }),
	});
	routes.add({
		methods: ["get"],
		path: "/:workspace/services/",
		operation: {
			tag: "services",
			summary: "Services of a workspace that the caller may see",
			answers: { 200: { means: "their records, ids without the workspace", types: json }, 403: unseen },
			token: true,
		},
		answer: async (exchange, [workspace = ""]) => {
			const caller = await admitted(exchange, workspace, parts);
			const query = { query: { workspace } };
			const services = (await parts.manager.call(caller, "list_services", query)) as readonly {
				id: string;
			}[];
			const short = services.map((service) => ({ ...service, id: service.id.replace(`${workspace}/`, "") }));
			exchange.json(200, short);
		},
	});
	routes.add({
		methods: ["get"],
		path: "/:workspace/services/:service",
		operation: {
			tag: "services",
			summary: "The record of a service",
			query: { _mode: MODE_TEXT },
			answers: { 200: { means: "the record", types: json }, 403: unseen, 404: { means: "no such service" } },
			token: true,
		},
		answer: async (exchange, [workspace = "", service = ""]) => {
			const caller = await admitted(exchange, workspace, parts);
			const { mode } = queryArguments(exchange.query);
			const config = mode === undefined ? {} : { mode };
			const service_id = fullId(workspace, service);
			exchange.json(200, await parts.manager.call(caller, "get_service_info", { service_id, config }));
		},
	});
	routes.add({
		methods: ["get"],
		path: "/:workspace/info",
		operation: {
			tag: "workspaces",
			summary: "The record of a workspace",
			answers: { 200: { means: "the record", types: json }, 403: unseen },
			token: true,
		},
		answer: async (exchange, [workspace = ""]) => {
			const caller = await admitted(exchange, workspace, parts);
			exchange.json(200, await parts.manager.call(caller, "get_workspace_info", { workspace }));
		},
	});
	routes.add({
		methods: ["get", "post"],
		path: "/:workspace/services/:service/:function",
		operation: {
			tag: "services",
			summary: "Call a function of a service; arguments by name, in the query or as a map in the body",
			query: { _mode: MODE_TEXT },
			body: ["application/json", "application/msgpack"],
			answers: {
				200: {
					means: "what the function returned; a generator's items as a stream",
					types: ["application/json", "application/msgpack", "text/event-stream"],
				},
				400: { means: "a body that cannot be read, or ValueError, TypeError, AssertionError of the service" },
				403: { means: "PermissionError, or the service is protected" },
				404: { means: "no such workspace, service or function; KeyError of the service" },
				413: { means: "the body is too large" },
				415: { means: "the body is neither JSON nor msgpack" },
				501: { means: "a part of Hypha that this server does not have" },
				503: { means: "the log takes nothing" },
				504: { means: "the service did not answer in time" },
			},
			token: true,
		},
		answer: (exchange, names, body) =>
			traced(exchange, names, parts, () => call(exchange, names, body, parts)),
	});
}

/** Part of the trace that the request names, or the beginning of one. */
function traced(
	exchange: Exchange,
	[workspace = "", service = "", path = ""]: readonly string[],
	{ node }: HttpServicesParts,
	answer: () => Promise<void>,
): Promise<void> {
	if (!node.tracing) return answer();
	const parent = traceIn(exchange.header("traceparent"), exchange.header("tracestate"));
	const attributes = {
		"http.request.method": exchange.method,
		"mycelog.workspace": workspace,
		"mycelog.service": service,
		"mycelog.method": path,
	};
	return node.tracing.around({ name: "http call", kind: SpanKind.SERVER, attributes, parent }, answer);
}

async function call(
	exchange: Exchange,
	[workspace = "", service = "", path = ""]: readonly string[],
	body: Promise<Buffer>,
	parts: HttpServicesParts,
): Promise<void> {
	const format = formatOf(exchange.header("content-type"));
	const asked = queryArguments(exchange.query);
	const isGet = exchange.method === "GET";
	const keywords = isGet ? asked.keywords : bodyArguments(await body, format);
	const caller = await admitted(exchange, workspace, parts);
	const { value, provider } = isManager(service)
		? { value: await parts.manager.call(caller, path, keywords), provider: "" }
		: await callService(parts, caller, { workspace, service, path, keywords, mode: asked.mode });
	if (isMethod(value, "generator")) {
		const contentType = format === "json" ? "text/event-stream" : "application/msgpack";
		await exchange.stream(contentType, streamed(itemsOf(parts, caller, value, provider), format));
		return;
	}
	const result = encodeResult(value, format);
	exchange.send(200, result.contentType, result.body);
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
): Promise<{ readonly value: unknown; readonly provider: string }> {
	const { workspace, path, keywords, mode } = call;
	const config = mode === undefined ? {} : { mode };
	const service_id = fullId(workspace, call.service);
	let found: unknown = await manager.call(caller, "get_service", { service_id, config });
	const { id } = found as { readonly id: string };
	const provider = id.slice(0, id.lastIndexOf(":"));
	for (const name of path.split(".")) {
		const inner = typeof found === "object" && found !== null && Object.hasOwn(found, name);
		if (!inner) throw new HttpError(404, `${path} not found.`);
		found = (found as Record<string, unknown>)[name];
	}
	if (!isMethod(found, "method")) return { value: found, provider };
	const { _rtarget: target, _rmethod: method } = found;
	const value = await manager.callMethod(caller, { provider, target, method }, keywords, CALL_MS_MAX);
	return { value, provider };
}

async function* itemsOf(
	{ manager }: HttpServicesParts,
	caller: Identity,
	from: Method,
	provider: string,
): AsyncGenerator<unknown> {
	const { _rtarget: target, _rmethod: method } = from;
	let ended = false;
	try {
		for (;;) {
			const item = await manager.callMethod(caller, { provider, target, method }, {}, ITEM_MS_MAX);
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
			const ending = { provider, target, method: close };
			await manager.callMethod(caller, ending, {}, ITEM_MS_MAX).catch(() => undefined);
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
