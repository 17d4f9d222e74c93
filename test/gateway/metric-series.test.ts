/**
 * How many series a node's metrics have, whoever comes and goes; and that the ones of an operator's interest move.
 */
import { randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import Database from "better-sqlite3";
import { Registry } from "prom-client";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { createMycelog, type Mycelog } from "../../cli/node.ts";
import { exportRuntime } from "../../gateway/metrics.ts";
import type { Node } from "../../runtime/node.ts";
import { counterBehaviour } from "../kit/counter.ts";
import { metric } from "../kit/metric.ts";
import { RawClient } from "../kit/raw-client.ts";
import { collectingLogger, startNode, temporaryDirectory } from "../kit/runtime-node.ts";

/** Lines of a scrape: `docs/reference/metrics.md` has them all. */
const SERIES_MAX = 250;
const SECRETS = { MYCELOG_JWT_SECRET: "the-secret-of-the-metrics-tests-0123456789" };
const ACTORS = 10_000;
const CLIENTS = 60;

const directory = temporaryDirectory();
let mycelog: Mycelog;

beforeAll(async () => {
	const options = {
		dataDir: directory.path,
		port: 0,
		durability: "process",
		partitions: 4,
		drainMs: 0,
	} as const;
	mycelog = await createMycelog(options, { logger: collectingLogger(), environment: {} });
	await mycelog.start();
	await mycelog.ready();
});
afterAll(async () => {
	await mycelog.stop();
	directory.remove();
});

async function series(): Promise<string[]> {
	const page = await (await fetch(`${mycelog.url}/metrics`)).text();
	const lines = page.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
	return lines.map((line) => line.slice(0, line.lastIndexOf(" "))).sort();
}

/** Come, work in a workspace of one's own, call oneself, and go. */
async function visit(name: string): Promise<void> {
	const client = await RawClient.connect(mycelog.url, { clientId: name });
	await client.serve(`service-${name}`, () => "yes");
	expect(await client.call(client.peer, `services.service-${name}.ask`)).toBe("yes");
	await client.call(client.peer, "services.nothing.here").catch(() => {});
	await client.leave();
}

test(`scenario 50: ${ACTORS} actors and ${CLIENTS} clients with workspaces and services of their own add no series`, async () => {
	await visit("first");
	await mycelog.node.tell("workspace/first", { type: "nothing.known" });
	const before = await series();
	expect(before.length).toBeLessThan(SERIES_MAX);
	const visits = Promise.all(Array.from({ length: CLIENTS }, (_, i) => visit(`visitor-${i}`)));
	const tells = Array.from({ length: ACTORS }, (_, i) =>
		mycelog.node.tell(`workspace/w${i}`, { type: "nothing.known" }),
	);
	await Promise.all([...tells, visits]);
	await expect.poll(() => metric(mycelog.url, "mycelog_lag_records"), { timeout: 30_000 }).toBe(0);
	expect(await metric(mycelog.url, "mycelog_actor_activations_total")).toBeGreaterThan(ACTORS);
	const after = await series();
	// Some lines come with their first number: their words are a fixed list, or Node's own.
	const fixed =
		/^mycelog_(drops_total|gateway_(refused_frames|handshakes)_total|gateway_chunk_bytes|nodejs_\w+)\{/;
	expect(after.filter((line) => !fixed.test(line))).toEqual(before.filter((line) => !fixed.test(line)));
	expect(after.length).toBeLessThan(SERIES_MAX);
});

test("a node that joins another one on Kafka and leaves it moves rebalances and partition moves of both", async () => {
	const cluster = {
		kafkaUri: inject("kafkaBrokers").split(","),
		prefix: `series-${randomBytes(6).toString("hex")}`,
	};
	const options = { ...cluster, port: 0, partitions: 4, drainMs: 0, kafkaReplicationFactor: 1 };
	const start = async (nodeId: string) => {
		const { path } = temporaryDirectory();
		const node = await createMycelog(
			{ ...options, nodeId, dataDir: path },
			{ logger: collectingLogger(), environment: SECRETS },
		);
		await node.start();
		await node.ready();
		return { node, moves: (how: string) => metric(node.url, "mycelog_partition_moves_total", { how }), path };
	};
	const first = await start("first");
	const all = await first.moves("assigned");
	expect(all).toBe(8);
	const rebalances = await metric(first.node.url, "mycelog_rebalances_total");
	const second = await start("second");
	await expect.poll(() => second.moves("assigned"), { timeout: 30_000 }).toBe(4);
	expect(await first.moves("handed-over")).toBe(4);
	expect(await metric(first.node.url, "mycelog_rebalances_total")).toBeGreaterThan(rebalances);
	await second.node.stop();
	await expect.poll(() => first.moves("assigned"), { timeout: 30_000 }).toBe(all + 4);
	expect(await first.moves("lost")).toBe(0);
	await first.node.stop();
	for (const { path } of [first, second]) await rm(path, { recursive: true });
});

test("both latencies count what was handled and delivered, in classes that add up", async () => {
	for (const name of ["mycelog_processing_latency_seconds", "mycelog_delivery_latency_seconds"]) {
		const before = await metric(mycelog.url, `${name}_count`);
		await visit(`timed-${name}`);
		await expect.poll(() => metric(mycelog.url, `${name}_count`)).toBeGreaterThan(before);
		const page = await series();
		const all = await metric(mycelog.url, `${name}_bucket`, { le: "+Inf" });
		expect(await metric(mycelog.url, `${name}_bucket`, { le: "30" })).toBeLessThanOrEqual(all);
		expect(page).toContain(`${name}_bucket{le="0.005"}`);
		expect(await metric(mycelog.url, `${name}_sum`)).toBeGreaterThan(0);
	}
});

test("scenario 50: what waits behind an actor that is being rebuilt shows as lag and as mailbox depth of its topic, until it is handled", async () => {
	const { path, remove } = temporaryDirectory();
	const ask = (node: Node, type: string, kind: "command" | "query") =>
		node.ask("counter/a", { type, by: 1 }, { kind, timeoutMs: 30_000 });
	const before = await startNode(path, [counterBehaviour], { partitions: 1 });
	await ask(before.node, "add", "command");
	await before.node.stop(5_000);
	const database = new Database(`${path}/snapshots.db`);
	database.prepare("UPDATE snapshots SET state = 'damaged'").run();
	database.close();

	const readable = Promise.withResolvers<void>();
	const { node } = await startNode(path, [counterBehaviour], {
		partitions: 1,
		prepare: (log) => {
			const read = log.read.bind(log);
			log.read = async (...question) => readable.promise.then(() => read(...question));
		},
	});
	const registry = new Registry();
	exportRuntime(registry, node);
	const shown = async (name: string) => {
		const text = (await registry.getSingleMetricAsString(name))
			.split("\n")
			.filter((line) => !line.startsWith("#"));
		return text.map((line) => line.replace("mycelog_", ""));
	};
	const asked = ask(node, "total", "query");
	const told = Promise.all(Array.from({ length: 9 }, () => node.tell("counter/a", { type: "add", by: 1 })));
	await told;
	expect(await shown("mycelog_lag_records")).toEqual(["lag_records 10"]);
	const depth = () => shown("mycelog_mailbox_depth_records");
	expect(await depth()).toEqual([
		'mailbox_depth_records{topic="actors"} 10',
		'mailbox_depth_records{topic="clients"} 0',
	]);
	readable.resolve();
	expect(await asked).toBe(1);
	expect(await ask(node, "total", "query")).toBe(10);
	expect(await depth()).toEqual([
		'mailbox_depth_records{topic="actors"} 0',
		'mailbox_depth_records{topic="clients"} 0',
	]);
	expect(await shown("mycelog_snapshots_rebuilt_total")).toEqual(["snapshots_rebuilt_total 1"]);
	await node.stop(5_000);
	remove();
});

test("recovery progress is what recovering partitions have left, and those that caught up have nothing left", async () => {
	const registry = new Registry();
	const partitions = [
		{ live: false, next: 10, recoveredTo: 25 },
		{ live: false, next: 0, recoveredTo: 100 },
		{ live: true, next: 7, recoveredTo: 5 },
	];
	exportRuntime(registry, { metrics: {}, partitions, appender: { stats: {} } } as unknown as Node);
	const shown = (name: string) => registry.getSingleMetricAsString(name);
	expect(await shown("mycelog_recovery_records_left")).toContain("mycelog_recovery_records_left 115");
	expect(await shown("mycelog_partitions_recovering")).toContain("mycelog_partitions_recovering 2");
});
