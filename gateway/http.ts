/**
 * Plain HTTP of the gateway: health, readiness by progress, metrics. Owns their routes and bodies; services over HTTP are
 * http-services.ts.
 */
import type { HttpResponse, TemplatedApp } from "uWebSockets.js";
import type { LogHealth } from "../persistence/log.ts";
import { addServiceRoutes, type HttpServicesParts } from "./http-services.ts";
import type { GatewayMetrics } from "./metrics.ts";

export interface HttpParts extends HttpServicesParts {
	readonly metrics: GatewayMetrics;
	/** Being shut down: alive, but not to be sent new clients. */
	readonly draining: () => boolean;
}

export function addRoutes(app: TemplatedApp, parts: HttpParts): void {
	const { basePath, metrics } = parts;
	app.get(`${basePath}/health/liveness`, (res) => json(res, 200, { status: "OK", detail: {} }));
	for (const route of ["/health/readiness", "/health"]) {
		app.get(`${basePath}${route}`, (res) => {
			const { ready, detail } = readiness(parts);
			json(res, ready ? 200 : 503, { status: ready ? "OK" : "DOWN", detail });
		});
	}
	app.get(`${basePath}/metrics`, (res) => {
		let aborted = false;
		res.onAborted(() => {
			aborted = true;
		});
		metrics.registry.metrics().then((text) => {
			if (aborted) return;
			res.cork(() => res.writeHeader("content-type", metrics.registry.contentType).end(text));
		});
	});
	addServiceRoutes(app, parts);
	app.any("/*", (res, req) => json(res, 404, { success: false, detail: `Not found: ${req.getUrl()}` }));
}

/** Ready means: the log answers, the first partitions have caught up, and none stands still with records to fold. */
function readiness({ node, draining }: HttpParts): { ready: boolean; detail: Record<string, unknown> } {
	const { partitions, log } = node;
	const health = log.health();
	const detail = {
		log: log.driver,
		node: node.name.id,
		log_status: health.status,
		...troubleOf(health),
		partitions_owned: partitions.length,
		partitions_recovering: partitions.filter((partition) => !partition.live).length,
		partitions_stalled: node.stalled,
		draining: draining(),
	};
	return { ready: node.ready && !draining(), detail };
}

function troubleOf(health: LogHealth): Record<string, unknown> {
	if (health.status === "healthy") return {};
	const retry = health.status === "unavailable" ? health.retry : undefined;
	return {
		cause: health.cause,
		since_ms: Math.round(health.sinceMs),
		...(retry ? { attempts: retry.attempts, next_try_ms: Math.round(retry.nextTryMs) } : undefined),
	};
}

function json(res: HttpResponse, status: number, body: unknown): void {
	res.writeStatus(String(status)).writeHeader("content-type", "application/json").end(JSON.stringify(body));
}
