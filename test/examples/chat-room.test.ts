/**
 * The chat room example in a real headless Chromium: what a page has missed, over reloads, a lost network and restarts of
 * the server, it gets once and in order, and nothing else.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { request } from "node:http";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { type Chat, serveChat } from "../../examples/chat-room.ts";
import { startChromium } from "../kit/chromium.ts";
import { temporaryDirectory } from "../kit/runtime-node.ts";

let browser: Browser;

beforeAll(async () => {
	browser = await startChromium();
});
afterAll(async () => {
	await browser?.close();
});

/** A server that comes back at its address, and what its pages were sent. */
async function stage() {
	const directory = temporaryDirectory();
	let chat = await serveChat({ directory: directory.path, port: 0 });
	const { url } = chat;
	const port = Number(new URL(url).port);
	onTestFinished(async () => {
		await chat.stop();
		directory.remove();
	});
	return {
		url,
		stop: () => chat.stop(),
		async start() {
			chat = await serveChat({ directory: directory.path, port });
		},
		say: (text: string, id = text) => say(chat, id, text),
	};
}

async function say({ url }: Pick<Chat, "url">, id: string, text: string): Promise<void> {
	expect(await post(`${url}rooms/lobby/messages`, JSON.stringify({ id, who: "ann", text }))).toBe(202);
}

/** On a connection of its own: one that is kept would be of the server before. Resolves to the status. */
async function post(url: string, body: string): Promise<number | undefined> {
	const [response] = await once(request(url, { method: "POST", agent: false }).end(body), "response");
	response.resume();
	return response.statusCode;
}

/** The last message is there; then what is shown, each with whether the page had kept it. */
async function shown(page: Page, last: string): Promise<string[]> {
	await page.locator("li", { hasText: new RegExp(`${last}$`) }).waitFor();
	return page
		.locator("li")
		.evaluateAll((lines) => lines.map((line) => `${line.className}: ${line.textContent}`));
}

async function open(context: BrowserContext, url: string): Promise<Page> {
	const page = await context.newPage();
	await page.goto(url);
	await page
		.getByRole("status")
		.filter({ hasText: /^connected$/ })
		.waitFor();
	return page;
}

test("a page gets what it missed from its offset: while closed, over a restart of the node, and after a reload", async () => {
	const chat = await stage();
	const context = await browser.newContext();
	onTestFinished(() => context.close());
	await chat.say("one");
	await chat.say("two");
	let page = await open(context, chat.url);
	expect(await shown(page, "two")).toEqual(["new: annone", "new: anntwo"]);

	await page.close();
	await chat.say("three");
	await chat.say("three");
	await chat.stop();
	await chat.start();
	await chat.say("four");
	await chat.say("one");
	page = await open(context, chat.url);
	expect(await shown(page, "four")).toEqual([
		"kept: annone",
		"kept: anntwo",
		"new: annthree",
		"new: annfour",
	]);

	await chat.stop();
	await page.getByRole("status").filter({ hasText: "connecting" }).waitFor();
	await chat.start();
	await chat.say("five");
	expect((await shown(page, "five")).slice(-2)).toEqual(["new: annfour", "new: annfive"]);

	await page.reload();
	await chat.say("six");
	expect(await shown(page, "six")).toEqual([
		...["one", "two", "three", "four", "five"].map((text) => `kept: ann${text}`),
		"new: annsix",
	]);
});

test("what is said while the server is away is sent when it is back, once, and other pages get it", async () => {
	const chat = await stage();
	const [ann, ben] = [await browser.newContext(), await browser.newContext()];
	onTestFinished(async () => {
		await ann.close();
		await ben.close();
	});
	const writer = await open(ann, chat.url);
	const reader = await open(ben, chat.url);
	const speak = async (text: string) => {
		await writer.getByLabel("your name").fill("ann");
		await writer.getByLabel("say something").fill(text);
		await writer.getByRole("button").click();
	};
	await speak("<b>hello</b>");
	expect(await shown(reader, "<b>hello</b>")).toEqual(["new: ann<b>hello</b>"]);
	await chat.stop();
	await writer.getByRole("status").filter({ hasText: "connecting" }).waitFor();
	await speak("are you there?");
	await chat.start();
	const expected = ["new: ann<b>hello</b>", "new: annare you there?"];
	expect(await shown(reader, "there\\?")).toEqual(expected);
	expect(await shown(writer, "there\\?")).toEqual(expected);
});

test("a position of another log begins anew; what is no message is refused", async () => {
	const chat = await stage();
	await chat.say("one");
	const lines: string[] = [];
	const headers = { "last-event-id": "17:3" };
	const [response] = await once(
		request(`${chat.url}rooms/lobby/messages`, { headers, agent: false }).end(),
		"response",
	);
	for await (const line of createInterface({ input: response })) {
		lines.push(line);
		if (line.includes("one")) break;
	}
	response.destroy();
	expect(lines.filter((line) => line !== "")).toEqual([
		"retry: 500",
		"event: anew",
		"data:",
		expect.stringMatching(/^id: \d{13}:\d+$/),
		expect.stringMatching(/^data: \{"who":"ann","text":"one","timestamp":\d{13}\}$/),
	]);
	for (const body of [
		"",
		"null",
		"[]",
		'{"id":"1","who":"ann"}',
		JSON.stringify({ text: "x".repeat(9_000) }),
	]) {
		expect(await post(`${chat.url}rooms/lobby/messages`, body), body).toBe(400);
	}
	expect(await post(`${chat.url}rooms/${encodeURIComponent("../x")}/messages`, "{}")).toBe(404);
});

test("node examples/chat-room.ts serves the page, and ends on SIGINT", async () => {
	const directory = temporaryDirectory();
	onTestFinished(() => directory.remove());
	const file = fileURLToPath(new URL("../../examples/chat-room.ts", import.meta.url));
	const child = spawn(process.execPath, [file], {
		cwd: directory.path,
		env: { ...process.env, PORT: "0" },
		stdio: ["ignore", "pipe", "inherit"],
	});
	onTestFinished(() => void child.kill("SIGKILL"));
	const [line] = await once(createInterface({ input: child.stdout }), "line");
	const [url] = /http:\S+$/.exec(line) ?? [];
	expect(await (await fetch(String(url))).text()).toContain("<title>Chat room</title>");
	child.kill("SIGINT");
	expect(await once(child, "exit")).toEqual([0, null]);
});
