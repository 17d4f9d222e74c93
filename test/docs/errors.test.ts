import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ERRORS_PAGE, errorsPage } from "../../docs/errors-page.ts";

test("docs/reference/errors.md says what the catalogue says (else: npm run pages)", () => {
	expect(readFileSync(ERRORS_PAGE, "utf8")).toBe(errorsPage());
});
