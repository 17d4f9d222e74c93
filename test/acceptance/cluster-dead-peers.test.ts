/**
 * Clients that are there no more without having said so, and clients that are there and do not read: what a node does
 * about them in its own time, and what clients on other nodes notice.
 */
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { useCluster } from "../kit/cluster.ts";
import { CutProxy } from "../kit/cut-proxy.ts";
import { metric } from "../kit/metric.ts";
import type { NodeProcess } from "../kit/node-process.ts";
import { makeWorkspace, type TestWorkspace } from "../kit/on-each-log.ts";
import { type Frame, RawClient } from "../kit/raw-client.ts";

/** The shortest there is, milliseconds. */
const IDLE_MS = 8_000;
const RESUME_WINDOW_MS = 1_000;
/** The socket library looks every four seconds; the rest is for a busy machine. */
const REAPED_MS_MAX = IDLE_MS + 4_000 + RESUME_WINDOW_MS + 7_000;

/** What a client that does not read is sent. */
const NOTICES = 1_000;
const NOTICE_BYTES = 100_000;
/** What a node may grow by: half of what the client does not read, most of it garbage not collected yet. */
const GROWTH_BYTES_MAX = (NOTICES * NOTICE_BYTES) / 2;

describe("two nodes", () => {
	const nodes = useCluster(
		2,
		...["--idle-timeout-ms", String(IDLE_MS), "--resume-window-ms", String(RESUME_WINDOW_MS)],
	);
	const [at, elsewhere] = [0, 1].map((n) => () => (nodes[n] as NodeProcess).url) as [
		() => string,
		() => string,
	];
	const connected: RawClient[] = [];
	let team: TestWorkspace;

	const connect = async (url: string, clientId: string) => {
		const client = await RawClient.patiently(url, { clientId, workspace: team.id, token: team.token });
		connected.push(client);
		return client;
	};
	const goodbyeOf =
		(client: string) =>
		({ main }: Frame) =>
			main["type"] === "client_disconnected" && (main["data"] as { id: string }).id === client;

	beforeAll(async () => {
		team = await makeWorkspace(nodes[0] as NodeProcess, "peers");
	});
	afterEach(async () => {
		for (const client of connected.splice(0)) await client.leave();
	});

	test("scenario 45: a half-open client is reaped in bound, with its services; one that is idle and alive never is", async () => {
		const network = await CutProxy.to(at());
		const halfOpen = await RawClient.patiently(network.url, {
			clientId: "half-open",
			workspace: team.id,
			token: team.token,
		});
		await halfOpen.serve("orphan", () => null);
		const idle = await connect(at(), "idle");
		await idle.serve("patient", () => "still here");
		const watcher = await connect(elsewhere(), "watcher");
		await watcher.manage("subscribe", ["client_disconnected"]);
		network.swallow();
		const since = performance.now();
		await watcher.frames.first(goodbyeOf("half-open"), "the goodbye of the half-open client");
		const took = performance.now() - since;
		expect(took).toBeGreaterThan(IDLE_MS / 2);
		expect(took).toBeLessThan(REAPED_MS_MAX);
		await expect(watcher.manage("get_service_info", "orphan")).rejects.toThrow(/Service not found/);
		await expect(watcher.call("half-open", "services.orphan.x")).rejects.toThrow(/is not connected/);
		// All the while the other one has sent nothing of its own.
		expect(await watcher.call("idle", "services.patient.x")).toBe("still here");
		expect(watcher.frames.all.filter(goodbyeOf("idle"))).toEqual([]);
		await network.cut();
	});

	test("scenario 46: a client that stops reading costs bounded memory and is dropped in bound; others' round trips are as with one that reads", async () => {
		const neighbour = await connect(at(), "neighbour");
		const sender = await connect(elsewhere(), "sender");
		await sender.manage("subscribe", ["client_disconnected"]);
		const memory = () => metric(at(), "mycelog_process_resident_memory_bytes");
		const data = new Uint8Array(NOTICE_BYTES);
		/** Echoes of the neighbour while notices are on their way, and the most memory the node had. */
		const flood = async (to: string) => {
			const times: number[] = [];
			let largest = 0;
			for (let seq = 0; seq < NOTICES; seq++) {
				sender.send({ type: "notice", to, data });
				if (seq % 50 !== 49) continue;
				// Not faster than the log takes.
				await sender.manage("echo", seq);
				times.push(...(await echoes(neighbour, 10)));
				largest = Math.max(largest, await memory());
			}
			return { p99: quantile(times, 0.99), largest };
		};
		await connect(at(), "reading");
		const usual = await flood("reading");

		const reader = await connect(at(), "not-reading");
		connected.pop();
		reader.pause();
		const since = performance.now();
		const { p99, largest } = await flood("not-reading");
		expect(await metric(at(), "mycelog_gateway_slow_readers_total")).toBeGreaterThan(0);
		expect(largest - usual.largest).toBeLessThan(GROWTH_BYTES_MAX);
		expect(p99).toBeLessThan(Math.max(5 * usual.p99, 500));
		await sender.frames.first(goodbyeOf("not-reading"), "the end of the session");
		expect(performance.now() - since).toBeLessThan(REAPED_MS_MAX + 10_000);
		// A close frame could not reach it either: it finds the line broken.
		reader.resume();
		expect((await reader.closed).code).toBe(1006);
	});
});

/** Milliseconds of so many round trips, one after the other. */
async function echoes(client: RawClient, count: number): Promise<number[]> {
	const times: number[] = [];
	for (let i = 0; i < count; i++) {
		const started = performance.now();
		await client.manage("echo", i);
		times.push(performance.now() - started);
	}
	return times;
}

function quantile(numbers: readonly number[], share: number): number {
	const sorted = [...numbers].sort((a, b) => a - b);
	return sorted[Math.ceil(share * sorted.length) - 1] as number;
}
