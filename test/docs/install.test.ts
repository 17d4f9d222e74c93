import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const lock = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8")) as {
	packages: Record<string, { readonly gypfile?: boolean; readonly resolved?: string }>;
};

// npm compiles every package with a binding.gyp unless it reads `gypfile: false`, and `npm ci` reads the lock only,
// into which npm does not write it: without Python and a compiler the installation would fail. `npm install` drops
// the line; put `"gypfile": false` back into the entry in package-lock.json.
test("npm ci compiles nothing: the lock repeats every package's word that it brings its binaries", () => {
	const optedOut = Object.keys(lock.packages).filter((path) => {
		if (!path || !existsSync(join(ROOT, path, "binding.gyp"))) return false;
		return JSON.parse(readFileSync(join(ROOT, path, "package.json"), "utf8")).gypfile === false;
	});
	expect(optedOut).toContain("node_modules/better-sqlite3");
	expect(optedOut.filter((path) => lock.packages[path]?.gypfile !== false)).toEqual([]);
});

test("the lock names no registry: whoever installs uses their own", () => {
	expect(Object.values(lock.packages).filter(({ resolved }) => resolved?.startsWith("http"))).toEqual([]);
});
