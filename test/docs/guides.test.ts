/** The code of the guides runs: the blocks of a page, one after the other, are one program that ends without an error. */
import { readdirSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import { blocksOf, GUIDES, runGuide } from "../kit/guide.ts";
import { temporaryDirectory } from "../kit/runtime-node.ts";

// That of read models needs a PostgreSQL: read-models.test.ts runs it.
const pages = readdirSync(GUIDES).filter((name) => name.endsWith(".md") && name !== "read-models.md");

test.each(pages)("the code of docs/guides/%s runs", async (page) => {
	const blocks = blocksOf(page);
	if (blocks.length === 0) return;
	const directory = temporaryDirectory();
	onTestFinished(() => directory.remove());
	const { code, output } = await runGuide(blocks.join("\n"), directory.path);
	expect(code, output).toBe(0);
});
