import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { javascriptSnippet, pythonSnippet } from "../../gateway/front-page.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const readme = readFileSync(join(ROOT, "README.md"), "utf8");
const code = (language: string) =>
	[...readme.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, "gm"))].map(([, text]) => text);

describe("README.md", () => {
	test("has the snippets that a node prints when it is ready", () => {
		const url = "http://127.0.0.1:9527";
		expect(code("python")).toContain(`${pythonSnippet(url)}\n`);
		expect(code("js")).toContain(`${javascriptSnippet(url)}\n`);
	});

	describe("its embedding example", () => {
		let directory: string;

		beforeAll(async () => {
			directory = await mkdtemp(join(tmpdir(), "mycelog-readme-"));
			const example = code("js").find((text) => text?.includes("mycelog/runtime")) as string;
			await writeFile(join(directory, "example.mjs"), fromSources(example));
		});

		afterAll(() => rm(directory, { recursive: true, force: true }));

		test("prints what the text says, and goes on where it stood when it is run again", async () => {
			const run = async () =>
				(await promisify(execFile)(process.execPath, ["example.mjs"], { cwd: directory })).stdout.split("\n");
			expect(await run()).toEqual(["5 litres, open", "0 fill { litres: 5 }", ""]);
			const [level, ...fills] = await run();
			expect(level).toBe("10 litres, open");
			expect(fills.filter((line) => line.includes("fill"))).toHaveLength(2);
		});
	});
});

describe("the documents", () => {
	const pages = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", ...pagesIn("docs")];

	test("link only to files and headings that exist", () => {
		const broken = pages.flatMap((page) =>
			linksOf(page)
				.filter((link) => !isThere(page, link))
				.map((link) => `${page}: ${link}`),
		);
		expect(broken).toEqual([]);
	});

	test("are all reachable from the README", () => {
		const seen = new Set<string>();
		const visit = (page: string) => {
			if (seen.has(page)) return;
			seen.add(page);
			for (const link of linksOf(page)) {
				const target = targetOf(page, link.split("#")[0] as string);
				if (target.endsWith(".md") && existsSync(join(ROOT, target))) visit(target);
			}
		};
		visit("README.md");
		expect(pages.filter((page) => !seen.has(page))).toEqual([]);
	});
});

/** The public entries, as the sources behind them: what is published is built from them. */
function fromSources(example: string): string {
	const sources: Readonly<Record<string, string>> = {
		"mycelog/persistence": pathToFileURL(join(ROOT, "persistence/index.ts")).href,
		"mycelog/runtime": pathToFileURL(join(ROOT, "runtime/index.ts")).href,
		xstate: import.meta.resolve("xstate"),
	};
	const { exports } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
	return example.replace(/ from "(.+)";/g, (_, name: string) => {
		if (name.startsWith("mycelog")) expect(exports).toHaveProperty([name.replace("mycelog", ".")]);
		return ` from "${sources[name]}";`;
	});
}

function pagesIn(folder: string): string[] {
	return readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
		.filter((name) => name.endsWith(".md") && !name.includes("node_modules"))
		.map((name) => join(folder, name));
}

function linksOf(page: string): string[] {
	const text = readFileSync(join(ROOT, page), "utf8").replace(/^```[\s\S]*?^```$/gm, "");
	return [...text.matchAll(/\]\(([^)\s]+)\)/g)]
		.map(([, link]) => link as string)
		.filter((link) => !/^\w+:/.test(link));
}

function targetOf(page: string, path: string): string {
	return path === "" ? page : resolve("/", dirname(page), path).slice(1);
}

function isThere(page: string, link: string): boolean {
	const [path = "", heading] = link.split("#");
	const target = join(ROOT, targetOf(page, path));
	if (!existsSync(target)) return false;
	return heading === undefined || headingsOf(target).includes(heading);
}

/** As forges make anchors of headings. */
function headingsOf(file: string): string[] {
	return [...readFileSync(file, "utf8").matchAll(/^#+ (.+)$/gm)].map(([, title]) =>
		(title as string)
			.toLowerCase()
			.replace(/[^\p{L}\p{N} _-]/gu, "")
			.replaceAll(" ", "-"),
	);
}
