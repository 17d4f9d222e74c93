/**
 * The console: the built page as it lies in its folder, and the policy it comes with. Owns serving those files and no
 * data: what the page shows comes from the operator API, with the operator's token.
 */
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { CallerLimits } from "./caller-limits.ts";
import { type Exchange, HttpError } from "./http-exchange.ts";
import type { HttpRoutes } from "./http-routes.ts";

/** In a checkout and in the package alike, from this file. */
const PAGE = fileURLToPath(new URL("../console/page/", import.meta.url));
const INDEX = "index.html";
const TYPES: Readonly<Record<string, string>> = {
	".css": "text/css; charset=utf-8",
	".html": "text/html; charset=utf-8",
	".js": "text/javascript; charset=utf-8",
	".md": "text/plain; charset=utf-8",
	".svg": "image/svg+xml",
};
/** Of files with a hash of their content in the name, seconds. */
const CACHED_SECONDS = 365 * 24 * 3_600;

/** The page runs its own files and talks to its own node, whatever it is made to show. */
const HEADERS = {
	"content-security-policy":
		"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
		"worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	"cross-origin-opener-policy": "same-origin",
	"cross-origin-resource-policy": "same-origin",
	"x-content-type-options": "nosniff",
	"x-frame-options": "DENY",
	"referrer-policy": "no-referrer",
} as const;

interface PageFile {
	readonly type: string;
	readonly content: Buffer;
	readonly packed: Buffer;
}

export interface HttpConsoleParts {
	readonly basePath: string;
	readonly limits: CallerLimits;
}

export function addConsoleRoutes(routes: HttpRoutes, { basePath, limits }: HttpConsoleParts): void {
	let files: Promise<ReadonlyMap<string, PageFile>> | undefined;
	const serve = async (exchange: Exchange, name: string) => {
		limits.request(exchange, undefined);
		if (!existsSync(join(PAGE, INDEX))) {
			throw new HttpError(503, "The console's page is not built: run `npm run build:console`.");
		}
		files ??= pageFiles();
		const file = (await files).get(name);
		if (!file) throw new HttpError(404, `Not found: ${exchange.path}`);
		const packs = /\bgzip\b/.test(exchange.header("accept-encoding") ?? "");
		exchange.send(200, file.type, packs ? file.packed : file.content, {
			...HEADERS,
			"cache-control": name === INDEX ? "no-cache" : `public, max-age=${CACHED_SECONDS}, immutable`,
			vary: "Accept-Encoding",
			...(packs ? { "content-encoding": "gzip" } : undefined),
		});
	};
	routes.add({
		methods: ["get"],
		path: "/operator",
		answer: (exchange) => exchange.send(307, "text/plain", "", { location: `${basePath}/operator/` }),
	});
	routes.add({
		methods: ["get"],
		path: "/operator/",
		operation: {
			tag: "operator",
			summary: "The operator's console, a page",
			answers: {
				200: { means: "the page, which asks for the operator's token", types: ["text/html"] },
				503: { means: "the page is not built, in a checkout" },
			},
			token: false,
		},
		answer: (exchange) => serve(exchange, INDEX),
	});
	for (const folder of ["", "assets/"]) {
		routes.add({
			methods: ["get"],
			path: `/operator/${folder}:file`,
			answer: (exchange, [file]) => serve(exchange, `${folder}${file}`),
		});
	}
}

/** All of them, once: they are few, and no request says where on the disk to look. */
async function pageFiles(): Promise<ReadonlyMap<string, PageFile>> {
	const entries = await readdir(PAGE, { recursive: true, withFileTypes: true });
	const found = entries.filter((entry) => entry.isFile());
	const files = found.map(async ({ parentPath, name }) => {
		const place = join(parentPath, name);
		const content = await readFile(place);
		const packed = await promisify(gzip)(content);
		const type = TYPES[extname(name)] ?? "application/octet-stream";
		const path = place.slice(PAGE.length).replaceAll("\\", "/");
		return [path, { type, content, packed }] as const;
	});
	return new Map(await Promise.all(files));
}
