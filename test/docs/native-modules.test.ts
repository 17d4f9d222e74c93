import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const require = createRequire(import.meta.url);
const page = readFileSync(new URL("../../docs/operating/native-modules.md", import.meta.url), "utf8");
const documented = new Map(
	[...page.matchAll(/^\| `(uws_\w+\.node)` \| \d+ \| [\d.]+ \| `([0-9a-f]{64})` \|$/gm)].map(
		([, file = "", sum = ""]) => [file, sum],
	),
);

function sha256(path: string): string {
	return createHash("sha256").update(readFileSync(path)).digest("hex");
}

describe("docs/operating/native-modules.md", () => {
	const binaries = join(dirname(fileURLToPath(import.meta.resolve("uWebSockets.js"))), "bin");

	test("names the package and version of uWebSockets.js that is installed", () => {
		const { name, version } = JSON.parse(readFileSync(join(binaries, "../../package.json"), "utf8"));
		expect(page).toContain(`"uWebSockets.js": "npm:${name}@${version}"`);
	});

	test("has the checksum of every Linux x64 binary as installed, the one in use here among them", () => {
		const inUse = `uws_${process.platform}_${process.arch}_${process.versions.modules}.node`;
		expect([...documented.keys()]).toContain(inUse);
		for (const [file, sum] of documented) expect([file, sha256(join(binaries, file))]).toEqual([file, sum]);
	});

	test("has the checksum of better-sqlite3's Linux x64 binary as installed", () => {
		const prebuilt = join(
			dirname(require.resolve("better-sqlite3/package.json")),
			"prebuilds/linux-x64.node",
		);
		expect(page).toContain(sha256(prebuilt));
	});
});
