/** The code of the guides runs: the blocks of a page, one after the other, are one program that ends without an error. */
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { expect, onTestFinished, test } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const GUIDES = join(ROOT, "docs/guides");
/** Milliseconds. */
const RUN_MS_MAX = 60_000;

const pages = readdirSync(GUIDES).filter((name) => name.endsWith(".md"));

test.each(pages)("the code of docs/guides/%s runs", async (page) => {
	const text = readFileSync(join(GUIDES, page), "utf8");
	const blocks = [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code as string);
	if (blocks.length === 0) return;
	const directory = mkdtempSync(join(tmpdir(), "mycelog-guide-"));
	onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
	const file = join(directory, page.replace(/md$/, "mts"));
	writeFileSync(file, resolved(blocks.join("\n")));
	const { code, output } = await run(file, directory);
	expect(code, output).toBe(0);
});

/** The program has no packages beside it: every import names its file. */
function resolved(code: string): string {
	const own: Readonly<Record<string, string>> = {
		"mycelog/runtime": "runtime/index.ts",
		"mycelog/persistence": "persistence/index.ts",
		"mycelog/testing": "testing/index.ts",
	};
	return code.replace(/ from "([^"]+)"/g, (whole, name: string) => {
		if (name.startsWith("node:")) return whole;
		const path = own[name];
		return ` from "${path ? pathToFileURL(join(ROOT, path)).href : import.meta.resolve(name)}"`;
	});
}

function run(file: string, cwd: string): Promise<{ code: number | null; output: string }> {
	const child = spawn(process.execPath, [file], { cwd, timeout: RUN_MS_MAX });
	let output = "";
	child.stdout.on("data", (data) => (output += data));
	child.stderr.on("data", (data) => (output += data));
	return new Promise((resolve) => child.on("close", (code) => resolve({ code, output })));
}
