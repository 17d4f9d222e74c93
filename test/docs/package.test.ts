/**
 * The package as it is published: what `npm pack` makes runs and has its types in a project that has nothing else, and
 * its public surface is the one that was reviewed.
 */
import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buildConsole } from "../../console/build.ts";
import { REPORT_FILES, REPORTS, writeReports } from "../../docs/api-report.ts";
import { writePages } from "../../docs/typedoc/generate.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const MINUTES = 5 * 60_000;
const TSC = join(ROOT, "node_modules/typescript/bin/tsc");
const { name, version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
const execute = promisify(execFile);

const PROGRAM = `
import { setup, assign } from "xstate";
import { createNode, defineActor, durableActions } from "mycelog/runtime";
import { SqliteLog, SqliteSnapshots } from "mycelog/persistence";
import { MemoryLog, MemorySnapshots, simulate } from "mycelog/testing";
import { createMycelog } from "mycelog";

const machine = setup({
	types: { context: {} as { total: number }, events: {} as { type: "add"; n: number } },
	actions: durableActions,
}).createMachine({
	context: { total: 0 },
	on: {
		add: {
			actions: [
				assign({ total: ({ context, event }) => context.total + event.n }),
				{ type: "reply", params: ({ context }) => ({ value: context.total }) },
			],
		},
	},
});
const counter = defineActor({ type: "counter", version: 1, machine });
for (const parts of [
	{ log: new MemoryLog(), snapshots: new MemorySnapshots().open() },
	{ log: new SqliteLog({ directory: "data" }), snapshots: new SqliteSnapshots({ directory: "data" }) },
]) {
	const node = createNode({ ...parts, actors: [counter], partitions: 2 });
	await node.start();
	const one = node.ref("counter", "1");
	const total: number = await one.ask<number>({ type: "add", n: 2 });
	// @ts-expect-error no such event
	const wrong = () => one.tell({ type: "subtract" });
	console.log(parts.log.driver, total, typeof wrong, typeof createMycelog);
	await node.stop();
}
const workload = ({ ask }: { ask(type: "counter", id: string, event: { type: "add"; n: number }): void }) =>
	ask("counter", "1", { type: "add", n: 1 });
console.log((await simulate({ actors: [counter], workload, operations: 20 })).length);
`;

const OUTPUT = ["memory 2 function function", "sqlite 2 function function", "1"];

/** A user's. Nothing is left out of the check: the declarations of the packages that come along are seen by users too. */
const SETTINGS = {
	compilerOptions: {
		strict: true,
		module: "nodenext",
		moduleResolution: "nodenext",
		target: "es2024",
		types: ["node"],
		noEmit: true,
	},
	files: ["program.ts"],
};

/** Built beside the sources, not in them: other tests run meanwhile. */
let place: string;
let dist: string;
let archive: string;

beforeAll(async () => {
	place = mkdtempSync(join(tmpdir(), "mycelog-package-"));
	const source = join(place, "source");
	dist = join(source, "dist");
	for (const file of ["package.json", "README.md", "LICENSE", "CHANGELOG.md"]) {
		cpSync(join(ROOT, file), join(source, file));
	}
	await run(process.execPath, [TSC, "-p", join(ROOT, "tsconfig.build.json"), "--outDir", dist], ROOT);
	// As `npm run build` does, into the place where the gateway beside it looks.
	await buildConsole(join(dist, "console/page"));
	await run("npm", ["pack", "--ignore-scripts", "--pack-destination", place], source);
	archive = join(place, `${name}-${version}.tgz`);
}, MINUTES);
afterAll(() => rmSync(place, { recursive: true, force: true }));

/** What it prints. Rejects with it where the program fails. */
async function run(program: string, args: readonly string[], cwd: string): Promise<string> {
	try {
		return (await execute(program, args, { cwd })).stdout;
	} catch (error) {
		const { stdout, stderr } = error as { readonly stdout: string; readonly stderr: string };
		throw new Error(`${program} ${args.join(" ")}:\n${stdout}${stderr}`);
	}
}

test("npm pack makes a package that npm installs into an empty project, with all it needs from the registry: it runs, and its types are right", {
	timeout: MINUTES,
}, async () => {
	const directory = join(place, "project");
	mkdirSync(directory);
	writeFileSync(join(directory, "package.json"), JSON.stringify({ type: "module", private: true }));
	writeFileSync(join(directory, "program.ts"), PROGRAM);
	writeFileSync(join(directory, "tsconfig.json"), JSON.stringify(SETTINGS));
	const types = `@types/node@${process.versions.node.split(".")[0]}`;
	await run("npm", ["install", "--prefer-offline", "--no-audit", "--no-fund", archive, types], directory);
	const [printed, output] = await Promise.all([
		run("npx", [name, "--version"], directory),
		run(process.execPath, [join(directory, "program.ts")], directory),
		run(process.execPath, [TSC, "-p", directory], directory),
	]);
	expect(printed.trim()).toBe(version);
	expect(output.trim().split("\n")).toEqual(OUTPUT);
	const page = readFileSync(join(directory, "node_modules", name, "dist/console/page/index.html"), "utf8");
	expect(page).toContain("<title>Mycelog console</title>");
});

test("docs/reference/api is what the package exports, and every export has its docstring", {
	timeout: MINUTES,
}, () => {
	const reports = join(place, "reports");
	expect(writeReports(dist, reports), "write the docstrings that are missing").toEqual([]);
	for (const file of REPORT_FILES) {
		const text = readFileSync(join(reports, file), "utf8");
		const help =
			"the public surface has changed: look at it after `npm run api`, and commit docs/reference/api";
		expect(text, help).toBe(readFileSync(join(REPORTS, file), "utf8"));
	}
});

test("TypeDoc makes pages of the public surface without a warning: no link is broken, no type is missing", {
	timeout: MINUTES,
}, async () => {
	const pages = join(place, "pages");
	await writePages(dist, pages);
	expect(readFileSync(join(pages, "functions/mycelog_runtime.createNode.html"), "utf8")).toContain(
		"EmbeddedNode",
	);
});
