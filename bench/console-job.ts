/** Opens a tally's page in Chromium, once as nobody has before and then again. Prints one line of JSON. */
import { createMycelog } from "../cli/node.ts";
import { buildConsoleIfOld } from "../console/build.ts";
import type { ActorDefinition } from "../runtime/define-actor.ts";
import { startChromium } from "../test/kit/chromium.ts";
import { ROOT_TOKEN } from "./processes.ts";
import { tallyAddress, tallyBehaviour } from "./tally.ts";

export interface ConsoleResult {
	/** Until the page of the actor is drawn, and until what its messages did is there, milliseconds. */
	readonly firstMs: number;
	readonly foldedMs: number;
	readonly againMs: readonly number[];
}

const TIMES_AGAIN = 10;
const WINDOW = { width: 1280, height: 900 } as const;

const { directory } = JSON.parse(process.argv[2] as string) as { directory: string };
await buildConsoleIfOld();
const tally = { type: tallyBehaviour.type, behaviour: tallyBehaviour } as ActorDefinition;
const mycelog = await createMycelog(
	{ dataDir: directory, port: 0, partitions: 1, logLevel: "error" },
	{ environment: { MYCELOG_ROOT_TOKEN: ROOT_TOKEN }, actors: [tally] },
);
await mycelog.start();
await mycelog.ready();
const browser = await startChromium();
const page = await browser.newPage({ viewport: WINDOW });
await page.goto(`${mycelog.url}/operator/`);
await page.fill("#token", ROOT_TOKEN);
await page.keyboard.press("Enter");
await page.waitForSelector(".topic");

const firstMs = await drawn();
const since = performance.now();
await page.waitForSelector(".history-row:first-child .ends :text('open')");
const foldedMs = firstMs + performance.now() - since;
const againMs: number[] = [];
for (let i = 0; i < TIMES_AGAIN; i++) againMs.push(await drawn());
await browser.close();
await mycelog.stop();
const result: ConsoleResult = { firstMs, foldedMs, againMs };
console.log(JSON.stringify(result));
process.exit(0);

async function drawn(): Promise<number> {
	await page.evaluate("location.hash = '#/overview'");
	await page.waitForSelector(".topic");
	const from = performance.now();
	await page.evaluate(`location.hash = '#/actor/${tallyAddress(0)}'`);
	await Promise.all(
		[".state-box.active", ".history-row >> nth=99", ".entry :text('Timers (0)')"].map((part) =>
			page.waitForSelector(part),
		),
	);
	return performance.now() - from;
}
