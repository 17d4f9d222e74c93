/** Claims of a node whose only broker is frozen or dead: what clients and operators see, and that all goes on alone. */
import { Kafka, logLevel, Partitioners } from "kafkajs";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type LocalBroker, startLocalBroker } from "../kit/kafka-brokers.ts";
import { metric } from "../kit/metric.ts";
import { NodeProcess } from "../kit/node-process.ts";
import { connectRoot, makeWorkspace, type TestWorkspace } from "../kit/on-each-log.ts";
import { RawClient, RejectedError } from "../kit/raw-client.ts";

/** One interval of probes, milliseconds, and what a busy machine may add. */
const INTERVAL_MS = 5_000;
const LATE_MS = 2_000;
/** A frame's own deadline, milliseconds. */
const SUBMIT_MS = 10_000;
/** Until all goes on: a back-off is at most 36 s, and a broker that starts on a busy machine may fail a trial; milliseconds. */
const RECOVERY_MS_MAX = 80_000;
const SHUTDOWN_MS = 8_000;
/** More than a node parks before it waits for the log. */
const UNREADABLE = 40_000;
/** kafkajs' time for a request grows with its square. */
const UNREADABLE_A_REQUEST = 1_000;
/** Of a test with an outage in it, milliseconds. */
const TEST_MS_MAX = 240_000;

interface Readiness {
	readonly status: number;
	readonly detail: Readonly<Record<string, unknown>>;
}

async function readiness(node: NodeProcess): Promise<Readiness> {
	const response = await fetch(`${node.url}/health/readiness`);
	const { detail } = (await response.json()) as { detail: Readiness["detail"] };
	return { status: response.status, detail };
}

async function liveness(node: NodeProcess): Promise<number> {
	return (await fetch(`${node.url}/health/liveness`)).status;
}

/** Milliseconds until readiness says so. Nothing announces it: it is asked for, as a load balancer does. */
async function until(
	node: NodeProcess,
	says: (readiness: Readiness) => boolean,
	withinMs: number,
): Promise<number> {
	const since = performance.now();
	for (;;) {
		const seen = await readiness(node);
		const passed = performance.now() - since;
		if (says(seen)) return passed;
		if (passed > withinMs) throw new Error(`after ${passed} ms: ${JSON.stringify(seen)}\n${node.output()}`);
		await new Promise((resolve) => setTimeout(resolve, 50));
	}
}

/** Straight into a mailbox, past every node. */
async function writeUnreadable(brokers: string, node: NodeProcess, count: number): Promise<void> {
	const kafka = new Kafka({ brokers: brokers.split(","), logLevel: logLevel.NOTHING });
	const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
	await producer.connect();
	const topic = `${node.prefix}.actors`;
	const messages = Array(UNREADABLE_A_REQUEST).fill({ partition: 3, value: "nobody's" });
	for (let sent = 0; sent < count; sent += messages.length) await producer.send({ topic, messages });
	await producer.disconnect();
}

const isUnavailable = ({ detail }: Readiness) => detail["log_status"] === "unavailable";
const isReady = ({ status }: Readiness) => status === 200;

describe("a node whose broker does not answer", { timeout: TEST_MS_MAX }, () => {
	let broker: LocalBroker;
	let node: NodeProcess;
	let workspace: TestWorkspace;
	const open = new Set<RawClient>();

	beforeAll(async () => {
		broker = await startLocalBroker();
		const extra = ["--log-format", "json", "--resume-window-ms", "500"];
		extra.push("--shutdown-deadline-ms", String(SHUTDOWN_MS));
		[node] = (await NodeProcess.startCluster(1, { brokers: broker.brokers, extra })) as [NodeProcess];
		workspace = await makeWorkspace(node, "trouble");
	});
	afterAll(async () => {
		await Promise.all([...open].map((client) => client.cut()));
		await node?.remove();
		await broker?.stop();
	});

	async function connect(clientId: string): Promise<RawClient> {
		const { id, token } = workspace;
		const client = await RawClient.connect(node.url, { clientId, workspace: id, token });
		open.add(client);
		return client;
	}

	function linesAt(level: number): string[] {
		return node
			.output()
			.split("\n")
			.filter((line) => line.includes(`"level":${level}`));
	}

	test("scenario 50: records that nobody can read show as lag, then as dead letters, each once", async () => {
		let deepest = 0;
		let watched = true;
		const watching = (async () => {
			while (watched) deepest = Math.max(deepest, await metric(node.url, "mycelog_lag_records"));
		})();
		await writeUnreadable(broker.brokers, node, UNREADABLE);
		const patience = { timeout: 60_000 };
		await expect.poll(() => metric(node.url, "mycelog_dead_letters_total"), patience).toBe(UNREADABLE);
		await expect.poll(() => metric(node.url, "mycelog_lag_records"), patience).toBe(0);
		watched = false;
		await watching;
		expect(deepest).toBeGreaterThan(0);
	});

	test("scenario 41: with a frozen broker a command fails in time with the addresses named, readiness is 503 within one interval, liveness 200, and all goes on when it thaws", async () => {
		const [caller, callee] = [await connect("caller"), await connect("callee")];
		await callee.serve("echo", (_, [value]) => value as unknown);
		const call = (value: number) => caller.call("callee", "services.echo.echo", [value]);
		expect(await call(1)).toBe(1);

		await broker.freeze();
		onTestFinished(() => broker.signal("SIGCONT"));
		const turnedAway = connect("turned-away").catch((error: Error) => error);
		// Its hello is on its way to the broker, and nobody can call it back.
		await expect.poll(() => metric(node.url, "mycelog_append_queue_records")).toBeGreaterThan(0);
		const since = performance.now();
		const failed = call(2).catch((error: Error) => ({ error, afterMs: performance.now() - since }));
		expect(await until(node, ({ status }) => status === 503, 2 * INTERVAL_MS)).toBeLessThan(
			INTERVAL_MS + LATE_MS,
		);
		expect(await liveness(node)).toBe(200);
		const { error, afterMs } = (await failed) as { error: Error; afterMs: number };
		expect(error).toBeInstanceOf(RejectedError);
		expect(error.message).toContain(broker.brokers);
		expect(afterMs).toBeLessThan(SUBMIT_MS + LATE_MS);

		await until(node, isUnavailable, 4 * INTERVAL_MS);
		const queued = await metric(node.url, "mycelog_append_queue_records");
		const refusedSince = performance.now();
		const refusals = await Promise.all(
			Array.from({ length: 100 }, (_, i) => call(i).catch((error: Error) => error)),
		);
		expect(performance.now() - refusedSince).toBeLessThan(LATE_MS);
		for (const refusal of refusals) {
			expect(refusal).toBeInstanceOf(RejectedError);
			expect((refusal as Error).message).toMatch(
				new RegExp(
					`log at ${broker.brokers} has not answered for \\d+ ms \\(\\d+ attempts, the next in \\d+ ms\\): .`,
				),
			);
		}
		await expect(caller.manage("list_clients")).rejects.toThrow(broker.brokers);
		expect(await metric(node.url, "mycelog_append_queue_records")).toBeLessThanOrEqual(queued);
		expect(await metric(node.url, "mycelog_submits_refused_total")).toBeGreaterThanOrEqual(101);
		expect(await metric(node.url, "mycelog_log_status")).toBe(2);
		expect(await metric(node.url, "mycelog_log_breaker_opened_total")).toBe(1);
		expect(await liveness(node)).toBe(200);
		const { detail } = await readiness(node);
		expect(detail).toMatchObject({ log_status: "unavailable", attempts: expect.any(Number) });
		await expect(RawClient.connect(node.url, { clientId: "late" })).rejects.toThrow("503");
		expect(await turnedAway).toMatchObject({ close: { code: 1013 } });

		broker.signal("SIGCONT");
		await until(node, isReady, RECOVERY_MS_MAX);
		// On the sockets from before.
		expect(await call(3)).toBe(3);
		await caller.roundTrip();
		// Its first hello may have reached its actor after all, when nobody waited for it any more.
		const comesAgain = () => connect("turned-away").then(() => "let in", String);
		await expect.poll(comesAgain, { timeout: 10_000 }).toBe("let in");
		await until(node, ({ detail }) => detail["log_status"] === "healthy", 2 * INTERVAL_MS);
		expect(await metric(node.url, "mycelog_log_status")).toBe(0);
		expect(await metric(node.url, "mycelog_log_probe_ms")).toBeGreaterThan(0);
		expect(linesAt(50)).toEqual([]);
	});

	test("a client that goes while the broker is dead has gone for the others when it is back, and nobody else notices", async () => {
		const [stays, goes] = [await connect("stays"), await connect("goes")];
		await stays.manage("subscribe", ["client_disconnected"]);
		broker.signal("SIGKILL");
		await until(node, isUnavailable, 4 * INTERVAL_MS);
		open.delete(goes);
		await goes.leave();
		await expect(stays.manage("list_clients")).rejects.toThrow("has not answered");
		await broker.restart();
		await until(node, isReady, RECOVERY_MS_MAX);
		await stays.frames.first(
			({ main }) => main["type"] === "client_disconnected" && JSON.stringify(main).includes("goes"),
			"word of the client that has gone",
		);
		await stays.roundTrip();
		expect(linesAt(50)).toEqual([]);
	});

	test.each(["SIGSTOP", "SIGKILL"] as const)(
		"scenario 49: after SIGTERM with the broker in %s the process ends before its deadline, with code 0",
		async (signal) => {
			if ((await readiness(node)).status !== 200) await until(node, isReady, RECOVERY_MS_MAX);
			const clients = await Promise.all([1, 2, 3].map((i) => connect(`${signal}-${i}`)));
			if (signal === "SIGSTOP") await broker.freeze();
			else broker.signal("SIGKILL");
			const since = performance.now();
			node.signal("SIGTERM");
			const closes = await Promise.all(clients.map((client) => client.closed));
			await node.ended;
			expect(performance.now() - since).toBeLessThan(SHUTDOWN_MS);
			expect(node.exitCode).toBe(0);
			expect(linesAt(50)).toEqual([]);
			expect(closes.map(({ code }) => code)).toEqual([1001, 1001, 1001]);
			if (signal === "SIGSTOP") broker.signal("SIGCONT");
			else await broker.restart();
			await node.restart();
			const root = await connectRoot(node);
			await root.leave();
		},
	);
});
