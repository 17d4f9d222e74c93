/**
 * The runbook against the alerts and the command line that there are.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { mycelogProgram } from "../../cli/program.ts";

const OPERATING = fileURLToPath(new URL("../../docs/operating/", import.meta.url));
const RUNBOOK = join(OPERATING, "runbook.md");
const INCIDENTS = readdirSync(join(OPERATING, "incidents")).map((name) => join(OPERATING, "incidents", name));
const PAGES = [RUNBOOK, join(OPERATING, "backup.md"), ...INCIDENTS];

const program = mycelogProgram({ environment: {}, resolved: () => {}, exit: () => {} });

interface Rule {
	readonly alert: string;
	readonly annotations: { readonly runbook: string };
}

const alerts = (
	parse(readFileSync(join(OPERATING, "prometheus/mycelog-alerts.yaml"), "utf8")) as {
		groups: { rules: Rule[] }[];
	}
).groups.flatMap(({ rules }) => rules);

/** Lines of its code blocks and of its code in running text that call the program. */
function callsIn(page: string): string[] {
	const text = readFileSync(page, "utf8");
	const lines = [...text.matchAll(/^ *(?:\$ )?(mycelog [^\n]+)$/gm)].map(([, line = ""]) => line);
	const inline = [...text.matchAll(/`(mycelog [a-z][^`]*)`/g)].map(([, line = ""]) => line);
	return [...lines, ...inline];
}

/** What of a call the program does not know. */
function unknownIn(call: string): string[] {
	const words = call
		.replaceAll(/"[^"]*"/g, "TEXT")
		.split(/\s+/)
		.slice(1);
	let command: Command = program;
	while (words[0] !== undefined) {
		const next = command.commands.find((one) => one.name() === words[0]);
		if (!next) break;
		command = next;
		words.shift();
	}
	if (command === program) return [call];
	const flags = words.filter((word) => word.startsWith("--"));
	const known = command.options.map(({ long }) => long);
	return flags.filter((flag) => !known.includes(flag)).map((flag) => `${command.name()} ${flag}`);
}

test("every alert has a section of its name, and every section an alert", () => {
	const text = readFileSync(RUNBOOK, "utf8");
	const sections = [...text.matchAll(/^### (\w+)$/gm)].map(([, name = ""]) => name);
	expect(sections).toEqual(alerts.map(({ alert }) => alert));
	for (const { alert, annotations } of alerts) {
		expect(annotations.runbook).toBe(`docs/operating/runbook.md#${alert.toLowerCase()}`);
	}
});

describe.each(PAGES.map((page) => [page.slice(OPERATING.length), page] as const))("%s", (_, page) => {
	test("names only commands and flags that the program has", () => {
		expect(callsIn(page).flatMap(unknownIn)).toEqual([]);
	});

	test("links only to pages and sections that are there", () => {
		const links = [...readFileSync(page, "utf8").matchAll(/\]\(([^)#]*)(?:#([^)]+))?\)/g)];
		for (const [link, path = "", section] of links) {
			if (/^https?:/.test(path)) continue;
			const target = path === "" ? page : join(dirname(page), path);
			expect(existsSync(target), link).toBe(true);
			if (section) expect(sectionsOf(target), link).toContain(section);
		}
	});
});

test("there is a page for every kind of incident, and the runbook leads to it", () => {
	const text = readFileSync(RUNBOOK, "utf8");
	for (const page of INCIDENTS) expect(text).toContain(page.slice(OPERATING.length));
	expect(PAGES.flatMap(callsIn).length).toBeGreaterThan(30);
});

test("a command, or a flag of one, that does not exist is found", () => {
	expect(unknownIn("mycelog explode ADDRESS")).toEqual(["mycelog explode ADDRESS"]);
	expect(unknownIn("mycelog verify ADDRESS --louder")).toEqual(["verify --louder"]);
	expect(unknownIn('mycelog dead-letters retry --why "a --b c"')).toEqual([]);
});

function sectionsOf(page: string): string[] {
	const headings = [...readFileSync(page, "utf8").matchAll(/^#+ (.+)$/gm)].map(([, text = ""]) => text);
	return headings.map((text) =>
		text
			.toLowerCase()
			.replaceAll(/[^\w\- ]/g, "")
			.replaceAll(" ", "-"),
	);
}
