/** The console in Chromium: login, what its pages show of the node, and that it keeps to its node and its policy. */
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { createMycelog } from "../../cli/node.ts";
import { ConsoleStage, fitsIts, NARROW, PICTURED, picture } from "../kit/console-stage.ts";
import { shelf } from "../kit/operator-stage.ts";
import { RawClient } from "../kit/raw-client.ts";
import { collectingLogger, temporaryDirectory } from "../kit/runtime-node.ts";

let stage: ConsoleStage;
let root: RawClient;
/** What the browser itself says of an answer that a test asks for. */
let expected: RegExp | undefined;

beforeAll(async () => {
	stage = await ConsoleStage.start();
	const { mycelog, rootToken } = stage.operator;
	shelf.closed.add("dates");
	for (const name of ["ann", "bob", "eve", "joe"]) {
		const basket = mycelog.ref("basket", name);
		for (const item of ["dates", "apple"]) await basket.tell({ type: "add", item });
		await basket.state();
	}
	root = await RawClient.connect(mycelog.url, { clientId: "bench", token: rootToken });
	await root.manage("create_workspace", {
		id: "microscopes",
		name: "microscopes",
		description: "Microscopes of the first floor",
		persistent: true,
	});
});
afterEach(async () => {
	const allowed = expected;
	expected = undefined;
	await stage.close(allowed);
});
afterAll(async () => {
	shelf.closed.clear();
	await root?.leave();
	await stage?.remove();
});

describe("serving", () => {
	test("the page comes with a policy that lets it run its own files and talk to its own node alone", async () => {
		const { url } = stage.operator.mycelog;
		const moved = await fetch(`${url}/operator`, { redirect: "manual" });
		expect([moved.status, moved.headers.get("location")]).toEqual([307, "/operator/"]);
		const page = await fetch(stage.url);
		expect(page.headers.get("content-type")).toBe("text/html; charset=utf-8");
		const policy = page.headers.get("content-security-policy") ?? "";
		expect(policy).toMatch(/^default-src 'none'; script-src 'self'; style-src 'self'; /);
		expect(policy).not.toMatch(/unsafe|https?:|\*/);
		expect(page.headers.get("x-frame-options")).toBe("DENY");
		const [script] = /assets\/index-[\w-]+\.js/.exec(await page.text()) ?? [];
		const asset = await fetch(`${stage.url}${script}`);
		expect(asset.headers.get("cache-control")).toContain("immutable");
		expect(asset.headers.get("content-encoding")).toBe("gzip");
		for (const path of ["assets/nothing.js", "..%2f..%2fpackage.json", "assets/..%2findex.html"]) {
			expect((await fetch(`${stage.url}${path}`)).status, path).toBe(404);
		}
	});

	test("below a base path the page finds its files and its node", async () => {
		const directory = temporaryDirectory();
		const environment = { MYCELOG_ROOT_TOKEN: stage.operator.rootToken };
		const options = { dataDir: directory.path, port: 0, partitions: 1, basePath: "/lab/mycelog" };
		const mycelog = await createMycelog(options, { environment, logger: collectingLogger() });
		onTestFinished(async () => {
			await mycelog.stop();
			directory.remove();
		});
		await mycelog.start();
		await mycelog.ready();
		const { page } = await stage.visit({ baseURL: mycelog.url });
		await page.goto(`${mycelog.url}/operator`);
		expect(page.url()).toBe(`${mycelog.url}/operator/`);
		await page.fill("#token", stage.operator.rootToken);
		await page.keyboard.press("Enter");
		await page.waitForSelector(`.health:has-text('${mycelog.node.name.id}')`);
	});
});

describe("login", () => {
	test("a wrong token is refused with the node's words; a good one is kept in this tab and in no address", async () => {
		expected = /401/;
		const { page } = await stage.visit();
		await page.fill("#token", "not-the-token");
		await page.click("button[type=submit]");
		await page.waitForSelector("text=The node refuses this token");
		await picture(page, "login");
		expect(await page.evaluate("sessionStorage.length")).toBe(0);
		await page.fill("#token", stage.operator.rootToken);
		await page.keyboard.press("Enter");
		await page.waitForSelector("h1:text('Overview')");
		expect(await page.evaluate("Object.values(sessionStorage)")).toEqual([stage.operator.rootToken]);
		expect(await page.evaluate("Object.values(localStorage)")).not.toContain(stage.operator.rootToken);
		await page.reload();
		await page.waitForSelector("h1:text('Overview')");
		await page.click("text=Log out");
		await page.waitForSelector("#token");
		expect(await page.evaluate("sessionStorage.length")).toBe(0);
	});

	test("a token that is not good any more leads back to the login, which says so", async () => {
		expected = /401/;
		const page = await stage.open();
		await page.evaluate("sessionStorage.setItem('mycelog.operator-token', 'revoked')");
		await page.reload();
		await page.waitForSelector("text=The node does not take the token any more");
		expect(await page.evaluate("sessionStorage.length")).toBe(0);
	});
});

describe("overview", () => {
	test("shows health, counts, nodes, owners and lag as the API says, and rates that move", async () => {
		const page = await stage.open();
		await page.waitForSelector(".topic");
		const { body } = await stage.operator.get("overview");
		expect(await page.textContent(".health")).toContain(body.node);
		expect(await page.textContent(".health")).toContain("Ready");
		expect(await page.textContent(".health")).toContain(`Version ${body.version}`);
		expect(await page.textContent(".count:has-text('Dead letters') .figure")).toBe("4");
		expect(await page.locator(".topic tbody tr").count()).toBe(body.partitions.length);
		expect(await page.locator(".topic tbody tr:has-text('live')").count()).toBe(body.partitions.length);
		const records = page.locator(".live-chart:has-text('Records handled')");
		await records.locator("canvas").waitFor();
		const busy = stage.operator.mycelog.ref("basket", "busy");
		const rate = async () => Number.parseFloat((await records.locator("strong").textContent()) ?? "");
		let told = 0;
		const busier = async () => {
			for (let i = 0; i < 5 + (told % 17); i++, told++) await busy.tell({ type: "add", item: "apple" });
			return told;
		};
		// A picture has some past.
		await expect.poll(busier, { timeout: 50_000, interval: 300 }).toBeGreaterThan(PICTURED ? 1_500 : 20);
		await expect.poll(rate, { timeout: 20_000 }).toBeGreaterThan(0);
		await picture(page, "overview");
	});
});

describe("actors", () => {
	test("are searched, filtered by type, and opened, also by arrow keys", async () => {
		const page = await stage.open("#/actors");
		await page.waitForSelector("a:text('basket/ann')");
		await page.waitForSelector("a:text('client/ws-user-root/bench')");
		await picture(page, "actors");
		await page.fill("input[type=search]", "bob");
		await expect.poll(() => page.locator(".actors tbody tr").count()).toBe(1);
		expect(page.url()).toContain("search=bob");
		await page.fill("input[type=search]", "");
		await page.waitForSelector("[aria-label='Only client']");
		await page.click("[aria-label='Only basket'] >> nth=0");
		await page.locator("[aria-label='Only client']").waitFor({ state: "detached" });
		await page.focus("a.row-link >> nth=0");
		await page.keyboard.press("ArrowDown");
		await page.keyboard.press("ArrowDown");
		await page.keyboard.press("Enter");
		await page.waitForSelector("h1:text('basket/busy')");
		await stage.go(page, "#/actors?search=no-such-thing");
		await page.waitForSelector("text=No actor is like this.");
	});

	test("come page by page", async () => {
		const { mycelog } = stage.operator;
		const names = Array.from({ length: 60 }, (_, i) => `many-${String(i).padStart(2, "0")}`);
		await Promise.all(names.map((name) => mycelog.ref("basket", name).tell({ type: "add", item: "apple" })));
		await Promise.all(names.map((name) => mycelog.ref("basket", name).state()));
		const page = await stage.open("#/actors?search=many-");
		await page.waitForSelector("a:text('basket/many-49')");
		expect(await page.locator(".actors tbody tr").count()).toBe(50);
		await page.click("text=Next page");
		await page.waitForSelector("a:text('basket/many-59')");
		expect(await page.locator(".actors tbody tr").count()).toBe(10);
		await page.click("text=First page");
		await page.waitForSelector("a:text('basket/many-00')");
	});
});

describe("workspaces", () => {
	test("are listed, and of one its clients and services", async () => {
		const page = await stage.open("#/workspaces");
		await page.waitForSelector("text=Microscopes of the first floor");
		await page.click("a:text('ws-user-root')");
		await page.waitForSelector("a:text('ws-user-root/bench')");
		await page.waitForSelector("text=admin-utils");
		await picture(page, "workspace");
		await page.click("text=Its actor, with all that happened in it");
		await page.waitForSelector("h1:text('workspace/ws-user-root')");
	});
});

describe("dead letters", () => {
	test("scenario 35: are filtered, looked at, sent again and dropped, each with a reason", async () => {
		const page = await stage.open("#/dead-letters");
		await page.waitForSelector("a:text('basket/ann')");
		await page.click(".look >> nth=0");
		await page.waitForSelector(".letter .json:has-text('dates')");
		await picture(page, "dead-letters");
		await page.click("text=Stack");
		await page.waitForSelector("pre:has-text('Error: no dates on the shelf')");
		const cause = page.locator("input[placeholder='part of it']");
		await cause.pressSequentially("no dates on");
		await expect.poll(() => page.url()).toContain("cause=no+dates+on");
		expect(await cause.inputValue()).toBe("no dates on");
		await cause.fill("");
		await page.fill("input[placeholder='type/id, or type/']", "basket/ann");
		await expect.poll(() => page.locator(".letters tbody tr:not(.detail)").count()).toBe(1);
		await page.check("[aria-label^='Choose ']");
		await page.click("button:has-text('Retry')");
		await page.click("dialog button[type=submit]");
		await page.waitForSelector("dialog >> text=Say why");
		shelf.closed.delete("dates");
		await page.fill("dialog textarea", "the dates have come");
		await page.click("dialog button[type=submit]");
		await page.waitForSelector("text=1 sent again.");
		await page.waitForSelector("text=No dead letter is like this.");
		const ann = await stage.operator.mycelog.ref("basket", "ann").state();
		expect(ann.context).toEqual({ items: ["apple", "dates"] });
		await stage.go(page, "#/dead-letters?status=all");
		await page.reload();
		await page.waitForSelector("tr:has-text('basket/ann') >> text=retried");
		await page.check("[aria-label^='Choose ']:not(:disabled) >> nth=0");
		await page.click("button:has-text('Drop')");
		await page.fill("dialog textarea", "nobody wants them");
		await page.click("dialog button[type=submit]");
		await page.waitForSelector("text=1 dropped.");
		await page.waitForSelector("tbody >> text=dropped");
		const { body } = await stage.operator.get("dead-letters", { status: "dropped" });
		expect(body.letters[0].outcome).toMatchObject({ by: "root", why: "nobody wants them" });
	});
});

describe("for everybody", () => {
	test("pages fit a window of 390 pixels, in the dark and in the light", async () => {
		const page = await stage.open("#/overview", { viewport: NARROW, colorScheme: "dark" });
		await page.waitForSelector(".topic");
		const colour = () => page.evaluate("getComputedStyle(document.documentElement).backgroundColor");
		const dark = await colour();
		for (const [hash, ready] of [
			["#/overview", ".topic"],
			["#/actors", ".actors"],
			["#/dead-letters?status=all", ".letters"],
			["#/workspaces", "text=microscopes"],
			["#/workspaces/ws-user-root", "text=admin-utils"],
		] as const) {
			await stage.go(page, hash);
			await page.waitForSelector(ready);
			await fitsIts(page);
		}
		await page.selectOption(".theme select", "light");
		await expect.poll(colour).not.toBe(dark);
		await page.selectOption(".theme select", "dark");
		await expect.poll(colour).toBe(dark);
	});

	test("the keyboard reaches all: first the way past the head, then the pages, and a new page takes the focus", async () => {
		const page = await stage.open();
		await page.waitForSelector(".topic");
		await page.evaluate("document.activeElement.blur()");
		const focused = () => page.evaluate("document.activeElement.textContent.trim()");
		await page.keyboard.press("Tab");
		expect(await focused()).toBe("Skip to the page");
		const outline = () => page.evaluate("getComputedStyle(document.activeElement).outlineStyle");
		for (const name of ["Mycelog", "Overview", "Actors"]) {
			await page.keyboard.press("Tab");
			expect(await focused()).toBe(name);
			expect(await outline()).toBe("solid");
		}
		await page.keyboard.press("Enter");
		await page.waitForSelector("h1:text('Actors')");
		await expect.poll(() => page.evaluate("document.activeElement.id")).toBe("main");
		expect(await page.title()).toBe("Actors · Mycelog");
	});

	test("says what is wrong: no such actor, no such page, a node that is gone", async () => {
		expected = /404|ERR_FAILED/;
		const page = await stage.open("#/actor/basket/nobody");
		await page.waitForSelector(".failed:has-text('Could not get the actor.')");
		await stage.go(page, "#/nowhere");
		await page.waitForSelector("text=There is no page of this name.");
		await page.route("**/operator/api/**", (route) => route.abort());
		await stage.go(page, "#/workspaces");
		await page.waitForSelector("text=the node cannot be reached");
		const asked = page.waitForRequest("**/operator/api/workspaces*");
		await page.click("text=Try again");
		await asked;
		await page.unroute("**/operator/api/**");
		await page.waitForSelector("text=Microscopes of the first floor");
	});
});
