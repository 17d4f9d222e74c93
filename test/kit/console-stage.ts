/**
 * The console in a real browser, before a node with actors that fail. Owns the browser, and noticing what no page may do:
 * errors, requests elsewhere, a token in an address.
 */
import { mkdir, stat } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { expect } from "vitest";
import { startChromium } from "./chromium.ts";
import { type OperatorStage, operatorStage } from "./operator-stage.ts";

/** Written on request alone: a test run leaves the tree as it is. */
const PICTURES = process.env["PICTURES"]
	? fileURLToPath(new URL("../../docs/operating/pictures/", import.meta.url))
	: undefined;
const PICTURE_BYTES_MAX = 150 * 1024;

export const PICTURED = PICTURES !== undefined;

export const WIDE = { width: 1280, height: 900 } as const;
export const NARROW = { width: 390, height: 844 } as const;

export interface ConsolePage {
	readonly page: Page;
	/** What no page may do, as it happened. */
	readonly problems: string[];
}

export class ConsoleStage {
	readonly operator: OperatorStage;
	readonly #browser: Browser;
	readonly #opened: ConsolePage[] = [];

	private constructor(operator: OperatorStage, browser: Browser) {
		this.operator = operator;
		this.#browser = browser;
	}

	static async start(): Promise<ConsoleStage> {
		const operator = await operatorStage();
		try {
			return new ConsoleStage(operator, await startChromium());
		} catch (error) {
			await operator.remove();
			throw error;
		}
	}

	get url(): string {
		return `${this.operator.mycelog.url}/operator/`;
	}

	/** A page before the login. `baseURL`: of another node than the one of the stage. */
	async visit(options: BrowserContextOptions = {}): Promise<ConsolePage> {
		const context = await this.#browser.newContext({ viewport: WIDE, ...options });
		const page = await context.newPage();
		const problems: string[] = [];
		page.on("pageerror", (error) => problems.push(`error: ${error.message}`));
		page.on(
			"console",
			(message) => message.type() === "error" && problems.push(`console: ${message.text()}`),
		);
		page.on("request", (request) => {
			const url = request.url();
			const own = options.baseURL ?? this.operator.mycelog.url;
			if (!url.startsWith(own)) problems.push(`request elsewhere: ${url}`);
			if (url.includes(this.operator.rootToken)) problems.push("the token is in an address");
		});
		const opened = { page, problems };
		this.#opened.push(opened);
		await page.goto(options.baseURL ? `${options.baseURL}/operator/` : this.url);
		return opened;
	}

	/** Logged in. `hash`: of the page to begin with. */
	async open(hash = "#/overview", options: BrowserContextOptions = {}): Promise<Page> {
		const { page } = await this.visit(options);
		await page.fill("#token", this.operator.rootToken);
		await page.keyboard.press("Enter");
		await page.waitForSelector(".head");
		await this.go(page, hash);
		return page;
	}

	async go(page: Page, hash: string): Promise<void> {
		await page.evaluate(`location.hash = ${JSON.stringify(hash)}`);
	}

	/** After each test: nothing happened that may not, beside what the browser itself says of answers `expected`. */
	async close(expected?: RegExp): Promise<void> {
		const problems = this.#opened.flatMap((opened) => opened.problems);
		for (const { page } of this.#opened.splice(0)) await page.context().close();
		expect(problems.filter((problem) => !expected?.test(problem))).toEqual([]);
	}

	async remove(): Promise<void> {
		await this.#browser.close();
		await this.operator.remove();
	}
}

/** The page can be read without scrolling sideways. */
export async function fitsIts(page: Page): Promise<void> {
	const root = "document.documentElement";
	const [wide, room] = await page.evaluate<[number, number]>(`[${root}.scrollWidth, ${root}.clientWidth]`);
	expect(wide, `${page.url()} is wider than the window`).toBeLessThanOrEqual(room);
}

/** For the docs, if pictures are asked for. */
export async function picture(page: Page, name: string): Promise<void> {
	if (!PICTURES) return;
	await mkdir(PICTURES, { recursive: true });
	const path = `${PICTURES}${name}.png`;
	await page.screenshot({ path, animations: "disabled" });
	expect((await stat(path)).size, name).toBeLessThan(PICTURE_BYTES_MAX);
}
