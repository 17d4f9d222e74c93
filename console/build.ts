/**
 * Builds the console's page into a folder of files that a node serves as they are. Run this file (`npm run build:console`)
 * to do it; owns where the page of a checkout lies, and whether it is older than its sources.
 */
import { existsSync, statSync } from "node:fs";
import { readdir, rename, rm } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";

const SOURCES = fileURLToPath(new URL(".", import.meta.url));
/** Where the gateway of a checkout looks; a built package has it in the same place below `dist`. */
export const PAGE_OF_CHECKOUT = join(SOURCES, "page");

export async function buildConsole(outDir: string): Promise<void> {
	await build({
		root: SOURCES,
		configFile: false,
		// Addresses in the page are relative to it: it does not know the base path it is served below.
		base: "./",
		publicDir: false,
		logLevel: "warn",
		oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
		build: {
			outDir,
			emptyOutDir: true,
			target: "es2022",
			// The policy of the page lets nothing be loaded from its own text.
			assetsInlineLimit: 0,
			modulePreload: { polyfill: false },
			license: { fileName: "LICENSES.md" },
		},
	});
}

/** Of a checkout, if a source is newer than the page. Several may ask at once: the page appears when it is complete. */
export async function buildConsoleIfOld(): Promise<void> {
	const index = join(PAGE_OF_CHECKOUT, "index.html");
	if (existsSync(index) && statSync(index).mtimeMs > (await newestSource())) return;
	const making = `${PAGE_OF_CHECKOUT}.tmp.${process.pid}`;
	await buildConsole(making);
	await rm(PAGE_OF_CHECKOUT, { recursive: true, force: true });
	await rename(making, PAGE_OF_CHECKOUT).catch(() => rm(making, { recursive: true, force: true }));
}

async function newestSource(): Promise<number> {
	const lock = statSync(join(SOURCES, "../package-lock.json")).mtimeMs;
	const entries = await readdir(SOURCES, { recursive: true, withFileTypes: true });
	const files = entries
		.filter((entry) => entry.isFile() && !isBuilt(entry.parentPath))
		.map((entry) => statSync(join(entry.parentPath, entry.name)).mtimeMs);
	return Math.max(lock, ...files);
}

/** In the page itself, or one that is being made; `pages` are sources. */
function isBuilt(directory: string): boolean {
	const [top = ""] = relative(SOURCES, directory).split(sep);
	return top === "page" || top.startsWith("page.tmp.");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
	const [outDir] = process.argv.slice(2);
	if (outDir === "--if-old") await buildConsoleIfOld();
	else await buildConsole(outDir ? join(process.cwd(), outDir) : PAGE_OF_CHECKOUT);
}
