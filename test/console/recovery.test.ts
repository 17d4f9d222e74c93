/**
 * An incident with the console alone: actors that a fault has left behind, found, looked into, rebuilt from their histories
 * with what was mended; one history told another way; and all of it in the audit.
 */
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { ConsoleStage, fitsIts, NARROW, picture } from "../kit/console-stage.ts";
import { shelf } from "../kit/operator-stage.ts";

const NAMES = ["ann", "bob", "eve", "joe", "kim"] as const;
const LEFT_BEHIND = ["bob", "joe"] as const;

let stage: ConsoleStage;

beforeAll(async () => {
	stage = await ConsoleStage.start();
	const { mycelog } = stage.operator;
	shelf.closed.add("dates");
	for (const name of NAMES) {
		const basket = mycelog.ref("basket", name);
		const wanted = LEFT_BEHIND.some((one) => one === name) ? "dates" : "bread";
		for (const item of ["apple", wanted, "cheese"]) await basket.tell({ type: "add", item });
		await basket.state();
	}
});
afterEach(() => stage.close());
afterAll(async () => {
	shelf.closed.clear();
	await stage?.remove();
});

const itemsOf = async (name: string) =>
	(await stage.operator.mycelog.ref("basket", name).state()).context as { readonly items: readonly string[] };

test("an incident is found, looked into and mended: the actors that a fault left behind are rebuilt, the others are as before", async () => {
	const page = await stage.open("#/overview");
	await page.click(".count a:text('Dead letters')");
	await page.waitForSelector("a:text('basket/bob')");
	expect(await page.locator(".letters tbody tr").count()).toBe(LEFT_BEHIND.length);
	await page.click("a:text('basket/bob')");
	await page.waitForSelector(".entry .failed:has-text('no dates on the shelf')");
	expect(await page.textContent(".entry .json")).toContain("dates");
	// What was wrong is mended: from here on a fold takes the message.
	shelf.closed.delete("dates");
	await page.click("button:text-is('Verify')");
	await page.waitForSelector(
		".failed:has-text('not what the log says'), .verdict:has-text('Nothing is stored yet')",
	);
	await stage.go(page, "#/actors?type=basket");
	for (const name of LEFT_BEHIND) await page.check(`[aria-label='Choose basket/${name}']`);
	await page.click("button:has-text('Rebuild 2')");
	await page.fill("dialog textarea", "the shelf was closed by mistake");
	await page.click("dialog button[type=submit]");
	await page.waitForSelector("text=2 rebuilt.");
	for (const name of NAMES) {
		const wanted = LEFT_BEHIND.some((one) => one === name) ? "dates" : "bread";
		expect((await itemsOf(name)).items, name).toEqual(["apple", wanted, "cheese"]);
	}
	// Once more, and only from what is stored: from when it was right on.
	for (const name of LEFT_BEHIND) await page.check(`[aria-label='Choose basket/${name}']`);
	// By a checkpoint, which comes by itself within seconds.
	await Promise.all(stage.operator.mycelog.node.partitions.map((one) => one.checkpoint()));
	await page.click("button:has-text('Rebuild 2')");
	await page.check("dialog input[type=checkbox]");
	await page.waitForSelector("dialog p:has-text('from its stored snapshot on')");
	await page.fill("dialog textarea", "the shelf was closed by mistake");
	await page.click("dialog button[type=submit]");
	await page.locator("dialog").waitFor({ state: "hidden" });
	for (const name of LEFT_BEHIND) expect((await itemsOf(name)).items).toEqual(["apple", "dates", "cheese"]);
	await stage.go(page, "#/audit");
	await page.waitForSelector(".audit > li >> nth=1");
	const entries = await page.locator(".audit > li").allTextContents();
	expect(entries.length).toBe(2 * LEFT_BEHIND.length);
	for (const text of entries)
		expect(text).toMatch(/^rebuild.*basket\/(bob|joe)done.*root: the shelf was closed/);
	await picture(page, "audit");
});

test("a history is edited, folded beside what it was, compared, and made true with a reason", async () => {
	const page = await stage.open("#/actor/basket/ann");
	await page.waitForSelector(".entry");
	await page.click("button:text-is('Edit history')");
	await page.focus("input[type=range]");
	await page.keyboard.press("ArrowLeft");
	await page.waitForSelector(".edit-buttons:has-text('add')");
	await page.click("button:text-is('Replace it')");
	await page.fill("#event", '{ "type": "add" ');
	await page.click("text=Take this event");
	await page.waitForSelector(".event-form [role=alert]:not(:empty)");
	await page.fill("#event", JSON.stringify({ type: "add", item: "figs" }));
	await page.click("text=Take this event");
	await page.keyboard.press("Escape");
	await page.focus("input[type=range]");
	await page.keyboard.press("End");
	await page.waitForSelector(".entry:has-text('cheese')");
	await page.click("button:text-is('Leave it out')");
	await page.click("button:text-is('Dry run')");
	await page.waitForSelector(".dry-run:has-text('figs')");
	await picture(page, "dry-run");
	expect((await itemsOf("ann")).items).toEqual(["apple", "bread", "cheese"]);
	await page.click("text=Promote…");
	await page.fill("dialog textarea", "bread was never asked for");
	await page.click("dialog button[type=submit]");
	await page.waitForSelector("text=the actor's own from here on");
	expect((await itemsOf("ann")).items).toEqual(["apple", "figs"]);
	await stage.go(page, "#/audit?address=basket/ann");
	await page.waitForSelector(".audit li:has-text('restore'):has-text('bread was never asked for')");
});

test("the pages of recovery fit a window of 390 pixels", async () => {
	const page = await stage.open("#/audit", { viewport: NARROW });
	await page.waitForSelector(".audit li");
	await fitsIts(page);
	await stage.go(page, "#/actor/basket/kim");
	await page.click("button:text-is('Edit history')");
	await page.click("button:text-is('Leave it out')");
	await page.click("button:text-is('Dry run')");
	await page.waitForSelector(".dry-run");
	await fitsIts(page);
});
