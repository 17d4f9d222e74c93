/**
 * Every manager method and everyday call (clients.md §6) with each published client, on the embedded log, on Kafka and
 * over three nodes. What passed is docs/reference/hypha-compatibility.md: the page in the tree is that of the run.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ClientProcess } from "../kit/client-process.ts";
import { CASES, makeWorld, outcomeOf } from "../kit/compatibility.ts";
import { compatibilityPage, type Passed } from "../kit/compatibility-page.ts";
import { NodeProcess } from "../kit/node-process.ts";

const CLIENTS = [
	{ name: "Python", start: () => ClientProcess.python() },
	{ name: "Python, synchronous", start: () => ClientProcess.pythonSync() },
	{ name: "JavaScript", start: () => ClientProcess.javascript() },
	{ name: "JavaScript, Chromium", start: () => ClientProcess.browser() },
] as const;

const SETUPS = [
	{ name: "SQLite", start: async () => [await NodeProcess.start("sqlite")] },
	{ name: "Kafka", start: async () => [await NodeProcess.start("kafka")] },
	{ name: "Kafka, three nodes", start: () => NodeProcess.startCluster(3) },
] as const;

const passed: Passed[] = [];

describe.each(SETUPS)("on $name", (setup) => {
	let nodes: readonly NodeProcess[] = [];

	beforeAll(async () => {
		nodes = await setup.start();
	});
	afterAll(() => Promise.all(nodes.map((node) => node.remove())));

	describe.concurrent("with each client", () => {
		test.each(CLIENTS)(
			"every method and everyday call of the $name client comes to what it should",
			async (client) => {
				const process = client.start();
				try {
					const tag = client.name.toLowerCase().replaceAll(/[^a-z]+/g, "-");
					const world = await makeWorld(
						process,
						tag,
						nodes.map(({ url }) => url),
					);
					const wrong: unknown[] = [];
					for (const each of CASES) {
						const outcome = await outcomeOf(each, world);
						if (isEqual(outcome, each.expected))
							passed.push({ method: each.name, client: client.name, setup: setup.name });
						else wrong.push({ method: each.name, outcome, expected: each.expected });
					}
					expect(wrong).toEqual([]);
				} finally {
					await process.stop();
				}
			},
			120_000,
		);
	});
});

test("the compatibility page is what this run has shown (else: run this file with -u)", async () => {
	const page = compatibilityPage({
		cases: CASES,
		clients: CLIENTS.map(({ name }) => name),
		setups: SETUPS.map(({ name }) => name),
		passed,
	});
	await expect(page).toMatchFileSnapshot("../../docs/reference/hypha-compatibility.md");
});

function isEqual(one: unknown, other: unknown): boolean {
	try {
		expect(one).toEqual(other);
		return true;
	} catch {
		return false;
	}
}
