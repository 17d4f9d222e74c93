/**
 * An incident from its discovery to its end: a machine books refunds like sales, on 50 of 1,000 actors. An operator finds
 * the first bad event, checks the mended machine, rolls it out and has the 50 rebuilt, while clients are served: once by
 * the command line alone, once by the console alone.
 */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { CheckFinding } from "../../runtime/check.ts";
import { startChromium } from "../kit/chromium.ts";
import { type HistoryLine, mycelog } from "../kit/mycelog.ts";
import { ROOT_TOKEN } from "../kit/node-process.ts";
import { Incident, REFUND, rightTotals } from "../kit/tills/incident.ts";
import { machineFile } from "../kit/tills/till-nodes.ts";

const WHY = "refunds were booked as sales";
const TEST_MS_MAX = 240_000;
const BROWSER_MS_MAX = 60_000;
/** Times that an operator goes through the consoles of all nodes. */
const CONSOLE_TURNS_MAX = 10;

interface AuditLine {
	readonly address: string;
	readonly by: string;
	readonly why: string;
}

type Finding = CheckFinding & { readonly address: string };

async function start(count: number): Promise<Incident> {
	const incident = await Incident.start(count);
	onTestFinished(() => incident.remove());
	return incident;
}

/** As the operator types it. */
async function operator<T>({ place }: Incident, exitCode: number, ...args: string[]): Promise<T> {
	const result = await mycelog([...args, "--json", ...place]);
	expect([result.exitCode, result.exitCode === exitCode ? "" : result.stderr]).toEqual([exitCode, ""]);
	return JSON.parse(result.stdout) as T;
}

/** What was done is in the log, the totals are right, and clients have noticed nothing. */
async function expectOver(incident: Incident, answeredBefore: number, by: string): Promise<void> {
	const { refundedAt, traffic } = incident;
	expect(await incident.totals()).toEqual(rightTotals);
	const mended = ["--actors", machineFile("mended")];
	const audit = await operator<AuditLine[]>(incident, 0, "audit", "--by", by, ...mended);
	expect(new Set(audit.map(({ address }) => address))).toEqual(new Set(refundedAt.keys()));
	for (const line of audit) expect(line).toMatchObject({ by, why: WHY });
	await expect.poll(() => traffic.answered, { timeout: 60_000 }).toBeGreaterThan(answeredBefore);
	// What a client sends into a socket that its node closes at this moment is lost on the way: the call ends by its time.
	expect(traffic.failed.length).toBeLessThanOrEqual(incident.nodes.length);
	for (const failure of traffic.failed) expect(failure).toContain("timed out");
}

describe.each([
	["an embedded node", 1],
	["three nodes on Kafka", 3],
] as const)("on %s", (_, count) => {
	let browser: Browser;
	beforeAll(async () => {
		browser = await startChromium();
	});
	afterAll(() => browser?.close());

	test(
		"with the command line the 50 are found at their first bad event, the mended machine is checked, they are rebuilt; clients are served all the while, and the log says who did it and why",
		async () => {
			const incident = await start(count);
			const machines = ["--machine", machineFile("mended"), "--against", machineFile("mistaken")];
			const check = await operator<{ found: number; checked: number; actors: Finding[] }>(
				incident,
				1,
				...["check", ...machines, "--since", "7d", "--limit", "100"],
			);
			expect(check).toMatchObject({ checked: rightTotals.length, found: incident.refundedAt.size });
			const firstBad = new Map(check.actors.map(({ address, offset }) => [address, offset]));
			expect(firstBad).toEqual(incident.refundedAt);
			const [bad] = check.actors as [Finding];
			const around = await operator<HistoryLine[]>(
				incident,
				0,
				...["history", bad.address, "--from", String(bad.offset), "--limit", "1"],
				...["--actors", machineFile("mistaken")],
			);
			expect(around).toMatchObject([{ offset: bad.offset, type: "refund", event: { amount: REFUND } }]);

			const answered = incident.traffic.answered;
			const chosen = [...firstBad.keys(), "--actors", machineFile("mended"), "--why", WHY, "--by", "ann"];
			const rebuild = async () =>
				expect(await operator(incident, 0, "rebuild", ...chosen)).toMatchObject({ ok: true, refused: [] });
			// An embedded log is rebuilt while its node is exchanged, a cluster's beside its work.
			await incident.rollOut(count === 1 ? rebuild : undefined);
			if (count > 1) await rebuild();
			await expectOver(incident, answered, "ann");
		},
		TEST_MS_MAX,
	);

	test(
		"with the console the first bad event is seen, after the roll-out the 50 are found and rebuilt; clients are served all the while, and the log says who did it and why",
		async () => {
			const incident = await start(count);
			const context = await browser.newContext();
			onTestFinished(() => context.close());
			const page = await context.newPage();
			page.setDefaultTimeout(BROWSER_MS_MAX);
			const open = async (url: string, hash: string) => {
				await page.goto(`${url}/operator/${hash}`);
				const token = page.locator("#token");
				await page.waitForSelector("#token, .head");
				if (await token.isVisible()) {
					await token.fill(ROOT_TOKEN);
					await page.keyboard.press("Enter");
				}
				await page.waitForSelector(".head");
			};
			const [node] = incident.nodes as [(typeof incident.nodes)[number]];
			const [[address, offset]] = [...incident.refundedAt] as [[string, number]];
			// One till is known to be wrong; its history, state by state, tells since when and why.
			await open(node.url, `#/actor/${address}`);
			await page.waitForSelector(".entry:has-text('sale')");
			await page.focus("input[type=range]");
			await page.keyboard.press("Home");
			await page.waitForSelector("[aria-label='First message'][disabled]");
			await page.keyboard.press("ArrowRight");
			const entry = page.locator(".entry", { hasText: "refund" });
			await entry.waitFor();
			expect(await entry.textContent()).toContain(String(offset));
			await page.waitForSelector(".entry:has-text('620')");

			const answered = incident.traffic.answered;
			await incident.rollOut();
			const rebuilt = new Set<string>();
			// Partitions may still be on their way from node to node: the consoles are gone through until all are found.
			for (let turn = 0; rebuilt.size < incident.refundedAt.size; turn++) {
				expect(turn).toBeLessThan(CONSOLE_TURNS_MAX);
				for (const { url } of incident.nodes) {
					await open(url, `#/verify?type=till&turn=${turn}`);
					await page.click("button:text-is('Verify')");
					await page.waitForSelector(".verdict:has-text('message')");
					const wrong = await page.locator(".wrong tbody th").allTextContents();
					if (wrong.length === 0) continue;
					await page.click(`button:text-is('Rebuild ${wrong.length}')`);
					await page.fill("dialog textarea", WHY);
					await page.click("dialog button[type=submit]");
					await page.waitForSelector(`text=${wrong.length} rebuilt.`);
					for (const one of wrong) rebuilt.add(one);
				}
			}
			expect(rebuilt).toEqual(new Set(incident.refundedAt.keys()));
			await open(node.url, "#/audit");
			await page.waitForSelector(`.audit li:has-text('${address}'):has-text('${WHY}')`);
			await expectOver(incident, answered, "root");
		},
		TEST_MS_MAX,
	);
});
