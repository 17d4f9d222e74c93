/** What the console is made of: its size, where it gets anything from, and who knows of whom. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { PAGE_OF_CHECKOUT } from "../../console/build.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** Bytes as they go over the wire: the page, and the worker that lays charts out. */
const PAGE_BYTES_MAX = 80 * 1024;
const WORKER_BYTES_MAX = 512 * 1024;

const files = (readdirSync(PAGE_OF_CHECKOUT, { recursive: true }) as string[]).filter((name) =>
	/\.\w+$/.test(name),
);
const textOf = (name: string) => readFileSync(join(PAGE_OF_CHECKOUT, name), "utf8");

test("the page is within 80 KiB and the worker for charts within 512 KiB, packed", () => {
	const packed = (name: string) => gzipSync(textOf(name)).length;
	const [worker] = files.filter((name) => name.includes("elk-worker"));
	const rest = files.filter((name) => name !== worker && !name.endsWith(".md"));
	expect(rest.map(packed).reduce((sum, bytes) => sum + bytes)).toBeLessThan(PAGE_BYTES_MAX);
	expect(packed(worker as string)).toBeLessThan(WORKER_BYTES_MAX);
});

test("page and styles name no address of others, and every library's licence comes with it", () => {
	for (const name of files.filter((file) => /\.(html|css)$/.test(file))) {
		expect(textOf(name), name).not.toMatch(/(https?:)?\/\/\w/);
	}
	for (const library of ["preact", "uplot", "elkjs"]) {
		expect(textOf("LICENSES.md")).toContain(`## ${library} - `);
	}
});

test("the console imports types of the runtime in one file, and no module that runs imports the console", () => {
	const sources = (folder: string) =>
		(readdirSync(join(ROOT, folder), { recursive: true }) as string[])
			.filter((name) => /\.tsx?$/.test(name))
			.map((name) => ({ name: `${folder}/${name}`, text: readFileSync(join(ROOT, folder, name), "utf8") }));
	const importsOf = (text: string) => [...text.matchAll(/^import [^;]*? from "([^"]*)";$/gm)];
	for (const { name, text } of sources("console")) {
		for (const [line, from = ""] of importsOf(text)) {
			if (!/\.\.\/(persistence|runtime|actors|gateway|cli)\//.test(from)) continue;
			expect([name, from, line]).toEqual([
				"console/api-types.ts",
				expect.stringMatching(/^\.\.\/runtime\//),
				expect.stringMatching(/^import type /),
			]);
		}
	}
	for (const folder of ["persistence", "runtime", "actors", "gateway", "cli", "testing"]) {
		for (const { name, text } of sources(folder)) {
			for (const [, from] of importsOf(text)) expect(from, name).not.toMatch(/\/console\//);
		}
	}
});
