import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const ROW = /^\| `([A-Z][A-Z0-9_]+)` \| ([\d,]+) .+ \| `([\w/.-]+)` \|$/gm;

/** The number a constant is set to; products, sums and earlier constants of its file included. */
function constant(file: string, name: string): number | undefined {
	const source = readFileSync(`${ROOT}/${file}`, "utf8");
	const expression = new RegExp(`\\bconst ${name} = ([^;]+);`).exec(source)?.[1];
	if (expression === undefined) return undefined;
	return expression.split("+").reduce((sum, product) => sum + product.split("*").reduce(times, 1), 0);

	function times(product: number, factor: string): number {
		const text = factor.trim().replaceAll("_", "");
		return product * (/^\d+$/.test(text) ? Number(text) : (constant(file, factor.trim()) ?? Number.NaN));
	}
}

test("docs/reference/limits.md gives every constant the value it has in the code", () => {
	const page = readFileSync(`${ROOT}/docs/reference/limits.md`, "utf8");
	const rows = [...page.matchAll(ROW)].map(([, name = "", value = "", file = ""]) => ({ name, value, file }));
	expect(rows.length).toBe(page.match(/^\| `/gm)?.length);
	const listed = rows.map(({ name, value, file }) => [file, name, Number(value.replaceAll(",", ""))]);
	const inCode = rows.map(({ name, file }) => [file, name, constant(file, name)]);
	expect(listed).toEqual(inCode);
});
