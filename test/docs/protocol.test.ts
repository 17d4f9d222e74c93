import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { CLOSE_CODES } from "../../gateway/close-codes.ts";
import { managerMethods } from "../../gateway/manager.ts";

const page = readFileSync(new URL("../../docs/reference/protocol.md", import.meta.url), "utf8");

describe("docs/reference/protocol.md", () => {
	test("lists every manager method with its parameters, and which ones are not offered", () => {
		const section = page.slice(page.indexOf("## The manager"), page.indexOf("### System events"));
		const rows = [...section.matchAll(/^\| `(\w+)` \|(.*?)\|(.*)\|$/gm)];
		const listed = rows.map(([, name, parameters = "", needs = ""]) => ({
			name,
			offered: needs.trim() !== "not offered",
			parameters: parametersOf(parameters),
		}));
		const offered = Object.entries(managerMethods).map(([name, { doc, parameters }]) => ({
			name,
			offered: doc !== "Not offered by this server.",
			parameters,
		}));
		expect(listed.map(({ name }) => name).sort()).toEqual(offered.map(({ name }) => name).sort());
		for (const method of offered) {
			const row = listed.find(({ name }) => name === method.name);
			expect(row?.offered, method.name).toBe(method.offered);
			if (!method.offered || row?.parameters.at(-1) === "…") continue;
			expect(row?.parameters, method.name).toEqual(method.parameters);
		}
	});

	test("lists every close code with its meaning and whether it is temporary", () => {
		const rows = [...page.matchAll(/^\| (1\d{3}) \| (.+) \| (yes|no) \|$/gm)];
		const listed = rows.map(([, code, meaning, temporary]) => [
			code,
			{ meaning, temporary: temporary === "yes" },
		]);
		expect(Object.fromEntries(listed)).toEqual(CLOSE_CODES);
	});
});

/** Names outside of brackets: what stands in them are fields of a parameter. */
function parametersOf(cell: string): string[] {
	return [...cell.replaceAll(/\([^)]*\)/g, "").matchAll(/`(\w+)\??`|(…)/g)].map(
		([, name, more]) => name ?? more ?? "",
	);
}
