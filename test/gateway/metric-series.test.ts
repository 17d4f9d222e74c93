/**
 * How many series a node's metrics have, whoever comes and goes; and that the ones of an operator's interest move.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { createMycelog, type Mycelog } from "../../cli/node.ts";
import { metric } from "../kit/metric.ts";
import { RawClient } from "../kit/raw-client.ts";
import { collectingLogger, temporaryDirectory } from "../kit/runtime-node.ts";

/** Lines of a scrape: `docs/reference/metrics.md` has them all. */
const SERIES_MAX = 250;
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
