/**
 * Thousands of clients that come, go, come again and die: what they leave behind on nodes and broker, and how a node
 * gets on while they do.
 */
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { useCluster } from "../kit/cluster.ts";
import { kafkaNames } from "../kit/kafka-names.ts";
import { metric } from "../kit/metric.ts";
import type { NodeProcess } from "../kit/node-process.ts";
import { makeWorkspace, type TestWorkspace } from "../kit/on-each-log.ts";
import { RawClient } from "../kit/raw-client.ts";

const NODES = 2;
const WORKSPACES = 20;
/** Clients on their way in or out at a time. */
const AT_ONCE = 40;
/** Clients that come back in one moment. */
const STORM = 1_000;
/** Reconnects after which caches and code are warm. */
const WARM_UP = 100;

/** What a node may keep after some hundred or a thousand reconnects of one client, garbage collected. Bytes. */
const KEPT_BYTES_MAX = 4 * 1024 * 1024;
/** Lines of a node's metrics page, without comments. */
const SERIES_MAX = 250;
/** Bounds of the event loop in a storm, seconds; the tests share the machine with the nodes and the broker. */
const LAG_MAX_SECONDS = 2;
const LAG_P99_SECONDS = 0.5;

const GC_ON_SIGNAL = fileURLToPath(new URL("../../bench/gc-on-signal.ts", import.meta.url));

export interface CrowdSize {
	/** Clients that come and die. */
	readonly crowd: number;
	/** Of one client, one after the other. */
	readonly reconnects: number;
}

export function describeCrowd({ crowd, reconnects }: CrowdSize): void {
	describe("two nodes", () => {
		const { NODE_OPTIONS } = process.env;
		process.env["NODE_OPTIONS"] = `--expose-gc --import=${GC_ON_SIGNAL}`;
		const nodes = useCluster(
			NODES,
			...["--resume-window-ms", "600000", "--connections-per-user-max", String(2 * STORM)],
		);
		const teams: TestWorkspace[] = [];
		const node = (n: number) => nodes[n % NODES] as NodeProcess;
		const sum = async (name: string) => {
			const each = await Promise.all(nodes.map(({ url }) => metric(url, name)));
			return each.reduce((total, value) => total + value, 0);
		};
		const credentials = (n: number) => {
			const team = teams[n % WORKSPACES] as TestWorkspace;
			return { workspace: team.id, token: team.token };
		};

		beforeAll(async () => {
			if (NODE_OPTIONS === undefined) delete process.env["NODE_OPTIONS"];
			else process.env["NODE_OPTIONS"] = NODE_OPTIONS;
			for (let n = 0; n < WORKSPACES; n++) teams.push(await makeWorkspace(node(n), `crowd-${n}`));
		});

		test(`scenario 47: after ${reconnects.toLocaleString("en-US")} reconnects of one id over two nodes there is one connection, and heap and handles are at base`, async () => {
			let current = await RawClient.patiently(node(0).url, { clientId: "again", ...credentials(0) });
			await current.serve("kept", () => "kept");
			const reconnect = async (times: number) => {
				for (let n = 1; n <= times; n++) {
					const older = current;
					const { client_id: clientId, reconnection_token: reconnectionToken } = older.info;
					current = await RawClient.patiently(node(n).url, { clientId, reconnectionToken });
					expect((await older.closed).code).toBe(1001);
				}
			};
			await reconnect(WARM_UP);
			const before = await Promise.all(nodes.map(kept));
			await reconnect(reconnects);
			await expect.poll(() => sum("mycelog_gateway_connections"), { timeout: 30_000 }).toBe(1);
			const after = await Promise.all(nodes.map(kept));
			for (const [n, { bytes, handles }] of after.entries()) {
				expect(bytes - (before[n]?.bytes ?? 0)).toBeLessThan(KEPT_BYTES_MAX);
				expect(handles).toBeLessThanOrEqual((before[n]?.handles ?? 0) + 2);
			}
			const asker = await RawClient.patiently(node(1).url, { clientId: "asker", ...credentials(0) });
			expect(await asker.manage("get_service_info", "kept")).toMatchObject({ id: `${current.peer}:kept` });
			await current.leave();
			await asker.leave();
		}, 300_000);

		test("scenario 21: 1,000 clients that come back in one moment are all let in; the nodes stay ready and their event loops in bounds", async () => {
			let clients: RawClient[] = [];
			await inTurns(STORM, AT_ONCE, async (n) => {
				clients.push(await RawClient.patiently(node(n).url, { clientId: `storm-${n}`, ...credentials(n) }));
			});
			const cut = clients;
			await Promise.all(cut.map((client) => client.cut()));
			await expect.poll(() => sum("mycelog_gateway_connections"), { timeout: 30_000 }).toBe(0);
			// The gauges are over the time since they were last read.
			await Promise.all(nodes.map(lagsOf));

			let storming = true;
			const states: string[] = [];
			const watching = (async () => {
				while (storming) for (const each of nodes) states.push((await each.health()).status);
			})();
			clients = await Promise.all(
				cut.map(({ info }, n) =>
					RawClient.patiently(node(n + 1).url, {
						clientId: info.client_id,
						reconnectionToken: info.reconnection_token,
					}),
				),
			);
			storming = false;
			await watching;
			expect(clients.every(({ info }) => info.recovered)).toBe(true);
			expect(new Set(states)).toEqual(new Set(["OK"]));
			for (const { max, p99 } of await Promise.all(nodes.map(lagsOf))) {
				expect(max).toBeLessThan(LAG_MAX_SECONDS);
				expect(p99).toBeLessThan(LAG_P99_SECONDS);
			}
			await inTurns(STORM, AT_ONCE, (n) => (clients[n] as RawClient).leave());
		}, 300_000);

		describe(`${crowd.toLocaleString("en-US")} clients that came and died without a goodbye`, () => {
			let before: { names: unknown; series: number[]; readyMs: number };
			const others: NodeProcess[] = [];
			/** A third node, from its start until it is ready. */
			const another = async () => {
				const started = performance.now();
				const third = await node(0).startAnother();
				const readyMs = performance.now() - started;
				others.push(third);
				return { third, readyMs };
			};

			beforeAll(async () => {
				const { third, readyMs } = await another();
				await third.terminate();
				before = {
					names: await kafkaNames(node(0)),
					series: await Promise.all(nodes.map(seriesOf)),
					readyMs,
				};
				await inTurns(crowd, AT_ONCE, async (n) => {
					const client = await RawClient.patiently(node(n).url, {
						clientId: `crowd-${n}`,
						...credentials(n),
					});
					await client.cut();
				});
			}, 600_000);
			afterAll(() => Promise.all(others.map((each) => each.remove())));

			test("scenario 7: leave topics and consumer groups of the broker as they were", async () => {
				expect(await kafkaNames(node(0))).toEqual(before.names);
			});

			test("scenario 50: leave the number of metric series as it was, below a fixed one", async () => {
				const series = await Promise.all(nodes.map(seriesOf));
				for (const [n, count] of series.entries()) {
					// Words that are counted for the first time are a fixed vocabulary.
					expect(count).toBeLessThanOrEqual((before.series[n] as number) + 10);
					expect(count).toBeLessThan(SERIES_MAX);
				}
			});

			test("scenario 48: do not keep a node from being ready as soon as with none", async () => {
				const { third, readyMs } = await another();
				expect(readyMs).toBeLessThan(2 * before.readyMs + 5_000);
				const client = await RawClient.patiently(third.url, { clientId: "late", ...credentials(0) });
				expect(await client.manage("echo", "served")).toBe("served");
				// One of the dead is answered for by its actor, wherever that lives now, not by a timeout.
				expect(await client.manage("get_summary")).toMatchObject({ client_count: crowd / WORKSPACES + 1 });
				await client.leave();
			});
		});
	});
}

/** `count` pieces of work, so many at a time. */
async function inTurns(count: number, atOnce: number, work: (n: number) => Promise<void>): Promise<void> {
	let next = 0;
	const worker = async () => {
		while (next < count) await work(next++);
	};
	await Promise.all(Array.from({ length: atOnce }, worker));
}

async function pageOf({ url }: NodeProcess): Promise<readonly string[]> {
	const page = await (await fetch(`${url}/metrics`)).text();
	return page.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
}

async function seriesOf(node: NodeProcess): Promise<number> {
	return (await pageOf(node)).length;
}

async function lagsOf(node: NodeProcess): Promise<{ max: number; p99: number }> {
	const page = await pageOf(node);
	const value = (name: string) => {
		const start = `mycelog_nodejs_eventloop_lag_${name}_seconds `;
		return Number(page.find((line) => line.startsWith(start))?.slice(start.length));
	};
	return { max: value("max"), p99: value("p99") };
}

/** Bytes in use after a garbage collection, and open handles. */
async function kept(node: NodeProcess): Promise<{ bytes: number; handles: number }> {
	const collected = () => [...node.output().matchAll(/garbage collected: (\d+) KB/g)];
	const before = collected().length;
	process.kill(node.pid, "SIGUSR2");
	await expect.poll(() => collected().length, { timeout: 20_000 }).toBe(before + 1);
	return {
		bytes: Number(collected().at(-1)?.[1]) * 1024,
		handles: await metric(node.url, "mycelog_nodejs_active_handles_total"),
	};
}
