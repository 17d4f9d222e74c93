/**
 * The HTTP routes of a node in OpenAPI 3.1. Owns the form; what there is to say about a route stands at the route.
 */
import type { Operation, Route } from "./http-routes.ts";

type Fields = Readonly<Record<string, unknown>>;

const ERROR: Fields = { "application/json": { schema: { $ref: "#/components/schemas/Error" } } };

export function openApi(
	routes: readonly Route[],
	{ version, url }: { readonly version: string; readonly url: string },
): Fields {
	const paths: Record<string, Record<string, unknown>> = {};
	for (const { path, methods, operation } of routes) {
		if (!operation) continue;
		const item: Record<string, unknown> = {};
		for (const method of methods) item[method] = described(path, method, operation);
		paths[path.replaceAll(/:(\w+)/g, "{$1}")] = item;
	}
	return {
		openapi: "3.1.0",
		info: {
			title: "Mycelog",
			version,
			description: "Services of Hypha RPC clients over plain HTTP, and the node itself.",
		},
		servers: [{ url }],
		paths,
		components: {
			securitySchemes: { token: { type: "http", scheme: "bearer", bearerFormat: "JWT" } },
			schemas: {
				Error: {
					type: "object",
					properties: { success: { const: false }, detail: { type: "string" } },
					required: ["success", "detail"],
				},
			},
		},
	};
}

function described(path: string, method: string, operation: Operation): Fields {
	const { tag, summary, query = {}, body, answers, token } = operation;
	const words = path.split(/\W+/).filter(Boolean);
	return {
		operationId: [method, ...words].join("_"),
		tags: [tag],
		summary,
		parameters: [
			...[...path.matchAll(/:(\w+)/g)].map(([, name]) => parameter(name as string, "path")),
			...Object.entries(query).map(([name, description]) => parameter(name, "query", description)),
		],
		...(body && method === "post" ? { requestBody: { content: mediaTypes(body) } } : undefined),
		responses: {
			...Object.fromEntries(Object.entries(answers).map(([status, answer]) => [status, response(answer)])),
			...(token ? OF_TOKENS : undefined),
		},
		// Everyone may ask without one, and is then anonymous.
		...(token ? { security: [...(token === "needed" ? [] : [{}]), { token: [] }] } : undefined),
	};
}

const OF_TOKENS: Fields = {
	401: { description: "a token that is no good, was revoked, or is needed", content: ERROR },
	429: {
		description: "too many requests, or too many bad tokens",
		headers: { "Retry-After": { schema: { type: "integer" }, description: "seconds" } },
		content: ERROR,
	},
};

function parameter(name: string, place: "path" | "query", description?: string): Fields {
	return {
		name,
		in: place,
		required: place === "path",
		schema: { type: "string" },
		...(description ? { description } : undefined),
	};
}

function response({ means, types }: Operation["answers"][number]): Fields {
	return { description: means, content: types ? mediaTypes(types) : ERROR };
}

function mediaTypes(types: readonly string[]): Fields {
	return Object.fromEntries(types.map((type) => [type, {}]));
}
