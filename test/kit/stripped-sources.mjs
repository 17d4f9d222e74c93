/**
 * The project's sources without their types, made once and kept by their content: of the second a node takes to start, the
 * half would go into that, and tests start hundreds. Owns the kept sources: `node stripped-sources.mjs` makes them,
 * `node --import` takes modules from them. What is not among them goes Node's own way.
 */
import { createHash } from "node:crypto";
import { globSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { registerHooks, stripTypeScriptTypes } from "node:module";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const ROOT_URL = pathToFileURL(ROOT).href;
const KEPT = join(ROOT, "node_modules/.cache/mycelog-stripped", process.version);
const SOURCES = "{actors,bench,cli,console,examples,gateway,persistence,runtime,test,testing}/**/*.ts";

function nameOf(source) {
	return createHash("sha1").update(source).digest("hex");
}

function keep() {
	mkdirSync(KEPT, { recursive: true });
	const old = new Set(readdirSync(KEPT));
	for (const path of globSync(SOURCES, { cwd: ROOT })) {
		const source = readFileSync(join(ROOT, path), "utf8");
		const name = nameOf(source);
		if (old.delete(name)) continue;
		// In one step: another run may read meanwhile.
		const writing = join(KEPT, `${name}-${process.pid}`);
		writeFileSync(writing, stripTypeScriptTypes(source));
		renameSync(writing, join(KEPT, name));
	}
	for (const name of old) rmSync(join(KEPT, name), { force: true });
}

function load(url, context, next) {
	if (!url.startsWith(ROOT_URL) || !url.endsWith(".ts")) return next(url, context);
	const name = nameOf(readFileSync(fileURLToPath(url), "utf8"));
	try {
		return { format: "module", source: readFileSync(join(KEPT, name), "utf8"), shortCircuit: true };
	} catch {
		return next(url, context);
	}
}

if (process.argv[1] === fileURLToPath(import.meta.url)) keep();
else registerHooks({ load });
