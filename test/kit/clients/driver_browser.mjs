/**
 * The unmodified JavaScript client in a headless Chromium, steered by a test: one JSON command a line in, one JSON answer
 * a line out. Owns the browser and its page; the commands are commands.mjs, which run in the page.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { startChromium } from "../chromium.ts";

/** Longer binary results go back as length and digest, bytes. */
const INLINE_BYTES_MAX = 64 * 1024;

/** The page is of another origin than the node, as pages usually are. */
const pages = createServer((request, response) => {
	const isScript = /^\/(commands|page)\.mjs$/.test(request.url);
	response.setHeader("content-type", isScript ? "text/javascript" : "text/html");
	const script = '<!doctype html><title>client</title><script type="module" src="/page.mjs"></script>';
	response.end(isScript ? readFileSync(new URL(`.${request.url}`, import.meta.url)) : script);
});
await new Promise((resolve) => pages.listen(0, "127.0.0.1", resolve));
const browser = await startChromium();
const page = await browser.newPage();
page.on("console", (message) => console.error(message.text()));
page.on("pageerror", (error) => console.error("error in the page:", error));
await page.goto(`http://127.0.0.1:${pages.address().port}/`);
await page.waitForFunction("globalThis.command !== undefined");

function shortened(value) {
	if (Array.isArray(value)) return value.map(shortened);
	if (typeof value !== "object" || value === null) return value;
	const inline = value.$bytes;
	if (typeof inline === "string" && inline.length > (INLINE_BYTES_MAX * 4) / 3 + 4) {
		const data = Buffer.from(inline, "base64");
		return { $sha256: createHash("sha256").update(data).digest("hex"), bytes: data.length };
	}
	return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, shortened(item)]));
}

async function run(line) {
	const { id, do: name, with: parameters } = JSON.parse(line);
	let answer;
	try {
		const value = await page.evaluate(
			([name, parameters]) => globalThis.command(name, parameters),
			[name, parameters],
		);
		answer = { ok: true, value: shortened(value ?? null) };
	} catch (error) {
		answer = { ok: false, error: String(error?.message ?? error).replace(/^page\.evaluate: /, "") };
	}
	process.stdout.write(`${JSON.stringify({ id, ...answer })}\n`);
}

createInterface({ input: process.stdin })
	.on("line", (line) => void run(line))
	.on("close", async () => {
		await browser.close();
		process.exit(0);
	});
