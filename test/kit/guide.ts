/** The code of a guide as a program: its blocks under each other, in a process of its own. */
import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
export const GUIDES = join(ROOT, "docs/guides");
/** Milliseconds. */
const RUN_MS_MAX = 60_000;

/** In order. */
export function blocksOf(page: string): readonly string[] {
	const text = readFileSync(join(GUIDES, page), "utf8");
	return [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code as string);
}

export interface Ended {
	readonly code: number | null;
	readonly signal: NodeJS.Signals | null;
	readonly output: string;
}

/** In a directory, in which its file lies too. */
export function runGuide(
	code: string,
	directory: string,
	environment: Readonly<Record<string, string>> = {},
): Promise<Ended> {
	const file = join(directory, "guide.mts");
	writeFileSync(file, resolved(code));
	const child = spawn(process.execPath, [file], {
		cwd: directory,
		timeout: RUN_MS_MAX,
		env: { ...process.env, ...environment },
	});
	let output = "";
	child.stdout.on("data", (data) => (output += data));
	child.stderr.on("data", (data) => (output += data));
	return new Promise((resolve) => child.on("close", (code, signal) => resolve({ code, signal, output })));
}

/** The program has no packages beside it: every import names its file. */
function resolved(code: string): string {
	const own: Readonly<Record<string, string>> = {
		mycelog: "cli/node.ts",
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
