import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { NEEDS } from "../../actors/permission.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const page = readFileSync(`${ROOT}/docs/reference/security.md`, "utf8");

test("docs/reference/security.md lists every operation with the permission it needs", () => {
	const rows = [...page.matchAll(/^\| `([\w.]+)` \| `(r|rw|a)` \|/gm)];
	expect(Object.fromEntries(rows.map(([, operation, needed]) => [operation, needed]))).toEqual(NEEDS);
});

test("every weakness it lists names a test that exists", () => {
	const section = page.slice(page.indexOf("## Weaknesses"));
	const rows = [...section.matchAll(/^\| .+ \| .+ \| `(test\/[\w/.-]+)`: (.+) \|$/gm)];
	expect(rows.length).toBe((section.match(/^\| /gm)?.length ?? 0) - 2);
	for (const [, file = "", title = ""] of rows) {
		const titles = readFileSync(`${ROOT}/${file}`, "utf8").replaceAll(/"scenario \d+: /g, '"');
		expect(titles, title).toContain(`"${title.replace(/^scenario \d+: /, "")}"`);
	}
});
