/** The console before a node in trouble: what stands still, why it is not ready, and a node that cannot be reached. */
import type { Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { ConsoleStage, fitsIts, NARROW, picture } from "../kit/console-stage.ts";
import { CutProxy } from "../kit/cut-proxy.ts";
import { standStill } from "../kit/standing-still.ts";

const STUCK = "basket/stuck";

let stage: ConsoleStage;
/** What the browser itself says of answers that do not come. */
let expected: RegExp | undefined;

beforeAll(async () => {
	stage = await ConsoleStage.start();
	const ref = stage.operator.mycelog.ref("basket", "stuck");
	await ref.tell({ type: "add", item: "apple" });
	await ref.state();
});
afterEach(async () => {
	vi.restoreAllMocks();
	const allowed = expected;
	expected = undefined;
	await stage.close(allowed);
});
afterAll(() => stage?.remove());

const isReady = (page: Page) => page.waitForSelector(".health .badge:text-is('Ready')");
const isNotReady = (page: Page) => page.waitForSelector(".health .badge:text-is('Not ready')");

test("scenario 60: a partition that stands still is named with its record and actor, until it goes on", async () => {
	const { mycelog } = stage.operator;
	const page = await stage.open();
	await isReady(page);
	const { partition, offset, letGo } = await standStill(stage.operator, STUCK, () =>
		mycelog.ref("basket", "stuck").tell({ type: "add", item: "bread" }),
	);
	onTestFinished(letGo);
	await isNotReady(page);
	const reason = `partition ${partition} stands still on offset ${offset}`;
	expect(await page.textContent(".reasons")).toBe(reason);
	const alert = page.locator("[role=alert]");
	expect(await alert.textContent()).toMatch(
		new RegExp(
			`^${partition} does not get on\\. It has stood on offset ${offset} since .+, a message of type add for ${STUCK}\\.$`,
		),
	);
	const [topic, number] = partition.split("/");
	const row = page.locator(`.topic:has(summary:has-text("${topic}")) tbody tr`).nth(Number(number));
	expect(await row.textContent()).toContain(`stands on ${offset}`);
	await picture(page, "stalled");
	await page.setViewportSize(NARROW);
	await fitsIts(page);

	await alert.locator(`a:text-is("${STUCK}")`).click();
	await page.waitForSelector(`h1:text('${STUCK}')`);
	await page.waitForSelector(`text=bread`);
	await stage.go(page, "#/overview");
	await alert.waitFor();
	letGo();
	await alert.waitFor({ state: "detached" });
	await isReady(page);
	expect(await page.locator(".reasons").count()).toBe(0);
});

describe("a node that is not ready says why", () => {
	test("the log is unavailable: what asks for it is refused with its words, and asked again until it answers", async () => {
		expected = /503/;
		const { log } = stage.operator.mycelog.node;
		const retry = { attempts: 4, nextTryMs: 1_000 };
		const cause = "no answer within 2000 ms";
		vi.spyOn(log, "health").mockReturnValue({ status: "unavailable", cause, sinceMs: 12_000, retry });
		const page = await stage.open();
		await isNotReady(page);
		expect(await page.textContent(".health")).toContain("is unavailable");
		expect(await page.locator(".reasons li").allTextContents()).toEqual([
			`the log is unavailable: ${cause}`,
			"new clients are asked to come again until the log answers",
		]);
		await stage.go(page, "#/actors");
		const alert = page.locator("[role=alert]:has-text('Could not get the actors.')");
		await alert.waitFor();
		expect(await alert.textContent()).toContain("has not answered for 12000 ms (4 attempts");
		expect(await alert.textContent()).toContain("The page asks again by itself");
		vi.restoreAllMocks();
		await page.waitForSelector(`a:text-is("${STUCK}")`);
		expect(await alert.count()).toBe(0);
		await stage.go(page, "#/overview");
		await isReady(page);
	});

	test("a partition has not caught up", async () => {
		const { node } = stage.operator.mycelog;
		const [partition] = node.partitions;
		vi.spyOn(node, "ready", "get").mockReturnValue(false);
		vi.spyOn(partition as object as { live: boolean }, "live", "get").mockReturnValue(false);
		const page = await stage.open();
		await isNotReady(page);
		const text = `1 of ${node.partitions.length} partitions have not caught up with the log`;
		expect(await page.locator(".reasons li").allTextContents()).toEqual([text]);
		expect(await page.locator(".topic .badge:text-is('recovering')").count()).toBe(1);
	});
});

test("a history that the node is still folding is asked for again by itself, and how far it is stands beside it", async () => {
	expected = /503/;
	const detail = "the state is folded up to offset 1 of 2";
	const page = await stage.open();
	let refused = 0;
	await page.route(/\/api\/history\?(?!.*states=false)/, (route) =>
		refused++ < 2 ? route.fulfill({ status: 503, json: { success: false, detail } }) : route.continue(),
	);
	await stage.go(page, `#/actor/${STUCK}`);
	await page.waitForSelector(`[role=status]:text-is('${detail}')`);
	await page.waitForSelector(".history-row:first-child .ends :text('open')");
	expect(refused).toBe(3);
});

describe("a node that the page does not reach is said, what was known stays in sight, and the page comes back by itself", () => {
	test("it cannot be connected to", async () => {
		expected = /ERR_/;
		const proxy = await CutProxy.to(stage.operator.mycelog.url);
		onTestFinished(() => proxy.cut());
		const page = await stage.open("#/overview", { baseURL: proxy.url });
		await isReady(page);
		await proxy.cut();
		const alert = page.locator("[role=alert]");
		await alert.waitFor();
		expect(await alert.textContent()).toContain(
			"Could not get the overview. the node cannot be reached. The page asks again by itself.",
		);
		await isReady(page);
		await stage.go(page, "#/actors");
		await page.waitForSelector(
			"[role=alert]:has-text('Could not get the actors. the node cannot be reached')",
		);
		await proxy.mend();
		await page.waitForSelector(`a:text-is("${STUCK}")`);
		await stage.go(page, "#/overview");
		await isReady(page);
		expect(await alert.count()).toBe(0);
	});

	test("it takes connections and answers nothing", async () => {
		expected = /ERR_/;
		const proxy = await CutProxy.to(stage.operator.mycelog.url);
		onTestFinished(() => proxy.cut());
		const page = await stage.open("#/overview", { baseURL: proxy.url });
		await isReady(page);
		proxy.swallow();
		const alert = page.locator("[role=alert]:has-text('no answer within 10 s')");
		await alert.waitFor();
		proxy.passNew();
		await alert.waitFor({ state: "detached" });
	});
});
