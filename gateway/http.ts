/**
 * Plain HTTP of the gateway: health, readiness by progress, metrics, the description of it all. Owns their routes and
 * bodies, and which files add the others.
 */
import type { TemplatedApp } from "uWebSockets.js";
import type { Node } from "../runtime/node.ts";
import { FRONT_PAGE_HEADERS, frontPage } from "./front-page.ts";
import { addAssetRoutes, type HttpAssetsParts } from "./http-assets.ts";
import { addConsoleRoutes } from "./http-console.ts";
import { HttpError } from "./http-exchange.ts";
import { addLoginRoutes, type HttpLoginParts } from "./http-login.ts";
import { HttpRoutes } from "./http-routes.ts";
import { addRpcRoutes, type HttpRpcParts } from "./http-rpc.ts";
import { addServiceRoutes, type HttpServicesParts } from "./http-services.ts";
import type { GatewayMetrics } from "./metrics.ts";
import { PATHS_NOT_OFFERED } from "./not-offered.ts";
import { openApi } from "./openapi.ts";
import { addOperatorRoutes, type OperatorApiParts } from "./operator-api.ts";
import { healthOf } from "./readiness.ts";

export interface HttpParts
	extends HttpServicesParts,
		HttpRpcParts,
		HttpLoginParts,
		HttpAssetsParts,
		OperatorApiParts {
	readonly node: Node;
	readonly metrics: GatewayMetrics;
	/** Being shut down: alive, but not to be sent new clients. */
	readonly draining: () => boolean;
}

export function addRoutes(app: TemplatedApp, parts: HttpParts): void {
	const { basePath } = parts;
	const routes = new HttpRoutes(app, basePath);
	addNodeRoutes(routes, parts);
	addServiceRoutes(routes, parts);
	addRpcRoutes(routes, parts);
	addLoginRoutes(routes, parts);
	addAssetRoutes(routes, parts);
	addOperatorRoutes(routes, parts);
	addConsoleRoutes(routes, parts);
	for (const [name, words] of Object.entries(PATHS_NOT_OFFERED)) {
		const error = new HttpError(501, `NotImplementedError: ${words} not offered by this server`);
		for (const path of [`/:workspace/${name}`, `/:workspace/${name}/*`]) routes.refuse(path, error);
	}
	routes.close();
}

/** Of these nobody is refused for asking often: who watches a node must not be what it is busy with. */
function addNodeRoutes(routes: HttpRoutes, parts: HttpParts): void {
	const json = ["application/json"];
	const { metrics, version } = parts;
	routes.add({
		methods: ["get"],
		path: "/",
		operation: {
			tag: "node",
			summary: "How to connect, and where the other pages are",
			answers: { 200: { means: "a page", types: ["text/html"] } },
			token: false,
		},
		answer: (exchange) =>
			exchange.send(200, "text/html; charset=utf-8", frontPage(parts.url()), FRONT_PAGE_HEADERS),
	});
	routes.add({
		methods: ["get"],
		path: "/health/liveness",
		operation: {
			tag: "node",
			summary: "Whether the process is alive",
			answers: { 200: { means: "it is", types: json } },
			token: false,
		},
		answer: (exchange) => exchange.json(200, { status: "OK", detail: {} }),
	});
	for (const path of ["/health/readiness", "/health"]) {
		routes.add({
			methods: ["get"],
			path,
			operation: {
				tag: "node",
				summary: "Whether the node serves: its log answers and its partitions move",
				answers: { 200: { means: "it does", types: json }, 503: { means: "it does not", types: json } },
				token: false,
			},
			answer: async (exchange) => {
				const { ready, detail } = await healthOf(parts.node, parts.draining());
				exchange.json(ready ? 200 : 503, { status: ready ? "OK" : "DOWN", detail });
			},
		});
	}
	routes.add({
		methods: ["get"],
		path: "/metrics",
		operation: {
			tag: "node",
			summary: "Metrics in Prometheus' text format",
			answers: { 200: { means: "all of them", types: ["text/plain"] } },
			token: false,
		},
		answer: async (exchange) =>
			exchange.send(200, metrics.registry.contentType, await metrics.registry.metrics()),
	});
	routes.add({
		methods: ["get"],
		path: "/openapi.json",
		operation: {
			tag: "node",
			summary: "This description",
			answers: { 200: { means: "OpenAPI 3.1", types: json } },
			token: false,
		},
		answer: (exchange) => exchange.json(200, openApi(routes.all, { version, url: parts.url() })),
	});
}
