/**
 * What pages load from a node: the published JavaScript client, and where and who they are. Owns those files as they lie
 * in the client's package.
 */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { MANAGER_ID } from "./gateway.ts";
import { admitted, type HttpCallerParts } from "./http-caller.ts";
import type { HttpRoutes } from "./http-routes.ts";

/** By the name that pages know. */
const CLIENT_FILES = {
	"hypha-rpc-websocket.js": "hypha-rpc-websocket.min.js",
	"hypha-rpc-websocket.mjs": "hypha-rpc-websocket.min.mjs",
} as const;
/** A page asks again after so long, seconds. */
const CACHED_SECONDS = 3_600;

export interface HttpAssetsParts extends HttpCallerParts {
	readonly version: string;
	/** As clients reach this node. */
	readonly url: () => string;
}

export function addAssetRoutes(routes: HttpRoutes, parts: HttpAssetsParts): void {
	for (const [name, file] of Object.entries(CLIENT_FILES)) {
		let content: Promise<Buffer> | undefined;
		routes.add({
			methods: ["get"],
			path: `/assets/${name}`,
			operation: {
				tag: "connection",
				summary: "The published JavaScript client",
				answers: { 200: { means: "for a page to load", types: ["application/javascript"] } },
				token: false,
			},
			answer: async (exchange) => {
				parts.limits.request(exchange, undefined);
				content ??= readFile(fileURLToPath(import.meta.resolve(`hypha-rpc/dist/${file}`)));
				const cache = { "cache-control": `public, max-age=${CACHED_SECONDS}` };
				exchange.send(200, "application/javascript", await content, cache);
			},
		});
	}
	routes.add({
		methods: ["get"],
		path: "/assets/config.json",
		operation: {
			tag: "connection",
			summary: "Where this server is and who asks",
			answers: { 200: { means: "for a page to read", types: ["application/json"] } },
			token: true,
		},
		answer: async (exchange) => {
			const { user } = await admitted(exchange, "public", parts);
			const url = parts.url();
			exchange.json(200, {
				user,
				server_id: MANAGER_ID,
				hypha_version: parts.version,
				public_base_url: url,
				local_base_url: url,
				login_service_url: `${url}/public/services/hypha-login`,
			});
		},
	});
}
