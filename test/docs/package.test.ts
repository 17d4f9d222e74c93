/** The package as it is published: what `npm pack` makes runs and has its types in a project that has nothing else. */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const MINUTES = 5 * 60_000;

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

test("npm pack makes a package that runs, with its types, in an empty project", { timeout: MINUTES }, () => {
	const place = mkdtempSync(join(tmpdir(), "mycelog-package-"));
	onTestFinished(() => rmSync(place, { recursive: true, force: true }));
	const run = (program: string, args: readonly string[], cwd: string) => {
		try {
			return execFileSync(program, args, { cwd, encoding: "utf8", stdio: "pipe" });
		} catch (error) {
			const { stdout, stderr } = error as { readonly stdout: string; readonly stderr: string };
			throw new Error(`${program} ${args.join(" ")}:\n${stdout}${stderr}`);
		}
	};
	const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
	// Built beside the sources, not in them: other tests run meanwhile.
	const source = join(place, "source");
	for (const name of ["package.json", "README.md", "LICENSE", "CHANGELOG.md"]) {
		cpSync(join(ROOT, name), join(source, name));
	}
	run(
		process.execPath,
		[tsc, "-p", join(ROOT, "tsconfig.build.json"), "--outDir", join(source, "dist")],
		ROOT,
	);
	run("npm", ["pack", "--ignore-scripts", "--pack-destination", place], source);
	const { name, version, dependencies } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
	// The packages are those that an installation would bring; that they are there is not what is asked here.
	const project = join(place, "project");
	const modules = join(project, "node_modules");
	mkdirSync(join(modules, name), { recursive: true });
	run(
		"tar",
		["xzf", join(place, `${name}-${version}.tgz`), "--strip-components=1", "-C", join(modules, name)],
		place,
	);
	for (const dependency of [...Object.keys(dependencies), "@types/node"]) {
		mkdirSync(dirname(join(modules, dependency)), { recursive: true });
		symlinkSync(join(ROOT, "node_modules", dependency), join(modules, dependency), "dir");
	}
	writeFileSync(join(project, "package.json"), JSON.stringify({ type: "module" }));
	writeFileSync(join(project, "program.ts"), PROGRAM);
	const compilerOptions = {
		strict: true,
		module: "nodenext",
		target: "es2024",
		lib: ["es2024"],
		types: ["node"],
	};
	const settings = { compilerOptions: { ...compilerOptions, skipLibCheck: true }, files: ["program.ts"] };
	writeFileSync(join(project, "tsconfig.json"), JSON.stringify(settings));
	run(process.execPath, [tsc, "-p", project], project);
	const output = run(process.execPath, [join(project, "program.js")], project);
	expect(output.trim().split("\n")).toEqual([
		"memory 2 function function",
		"sqlite 2 function function",
		"1",
	]);
});
