import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { CLI_PAGE, cliPage } from "../../cli/cli-page.ts";
import { EXIT, EXIT_MEANINGS } from "../../cli/exit-codes.ts";

test("docs/reference/cli.md says what the program says (else: npm run pages)", () => {
	expect(readFileSync(CLI_PAGE, "utf8")).toBe(cliPage());
});

test("every exit code has a meaning", () => {
	expect(Object.keys(EXIT_MEANINGS).map(Number)).toEqual(Object.values(EXIT));
});
