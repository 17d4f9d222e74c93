/**
 * Traces of clients' calls through a whole node, and through two on Kafka, with the real OpenTelemetry SDK.
 */
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { createMycelog, type Mycelog } from "../../cli/node.ts";
import type { Config } from "../../cli/options.ts";
import { FrameTraces, TRACED_CALLS_MAX } from "../../gateway/frame-traces.ts";
import type { Tracing } from "../../runtime/tracing.ts";
import { message } from "../kit/messages.ts";
import { ROOT_TOKEN } from "../kit/node-process.ts";
import { RawClient } from "../kit/raw-client.ts";
import { collectingLogger, temporaryDirectory } from "../kit/runtime-node.ts";
import { forgetSpans, pathOf, spans, spansOf } from "../kit/traces.ts";

const OUTSIDE = "0af7651916cd43dd8448eb211c80319c";
const environment = {
	MYCELOG_ROOT_TOKEN: ROOT_TOKEN,
	MYCELOG_JWT_SECRET: "a-secret-of-the-tracing-tests-0123456789",
};

const directories: ReturnType<typeof temporaryDirectory>[] = [];
const nodes: Mycelog[] = [];

async function start(options: Partial<Config> = {}): Promise<Mycelog> {
	const directory = temporaryDirectory();
	directories.push(directory);
	const all = { dataDir: directory.path, port: 0, partitions: 4, drainMs: 0, ...options };
	const mycelog = await createMycelog(all, { logger: collectingLogger(), environment });
	nodes.push(mycelog);
	await mycelog.start();
	await mycelog.ready();
	return mycelog;
}

afterAll(async () => {
	await Promise.all(nodes.map((node) => node.stop()));
	for (const directory of directories) directory.remove();
});

async function echo(on: Mycelog): Promise<RawClient> {
	const provider = await RawClient.patiently(on.url, { clientId: "provider", token: ROOT_TOKEN });
	const say = { _rtype: "method", _rtarget: provider.peer, _rmethod: "services.echo.say", _rpromise: true };
	await provider.serve("echo", (method, [value]) => (method === "say" ? value : { id: "echo", say }));
	return provider;
}

/** From the caller's frame to the callee's socket, and from the callee's frame to the caller's. */
const CALL = ["receive frame", "process frame", "deliver"];

async function callsInOneTrace(caller: RawClient, provider: RawClient, hop: readonly string[]) {
	forgetSpans();
	expect(await caller.call(provider.peer, "services.echo.say", ["hello"])).toBe("hello");
	const whole = () =>
		spans().find((span) => span.name === "deliver" && pathOf(span).length === 2 * hop.length);
	await expect.poll(() => whole(), { timeout: 20_000 }).toBeDefined();
	const last = whole();
	expect(last && pathOf(last)).toEqual([...hop, ...hop]);
	return spansOf(last?.spanContext().traceId ?? "");
}

let embedded: Mycelog;
beforeAll(async () => {
	embedded = await start({ durability: "process" });
});

test("a call, its way to the callee, the answer and its way back are one trace", async () => {
	const provider = await echo(embedded);
	const caller = await RawClient.connect(embedded.url, {
		clientId: "caller",
		token: ROOT_TOKEN,
	});
	const trace = await callsInOneTrace(caller, provider, CALL);
	expect(trace.map(({ attributes }) => attributes["mycelog.method"]).filter(Boolean)).toEqual([
		"services.echo.say",
		"resolve",
	]);
	await caller.leave();
	await provider.leave();
});

test("a call of the manager is one trace from the frame over the workspace's actor to the answer's delivery", async () => {
	const client = await RawClient.connect(embedded.url, {
		clientId: "managing",
		token: ROOT_TOKEN,
	});
	forgetSpans();
	await client.manage("set_env", "A", "1");
	const end = () => spans().find((span) => span.name === "deliver" && pathOf(span)[0] === "receive frame");
	await expect.poll(end, { timeout: 10_000 }).toBeDefined();
	const asked = spans().find(({ name }) => name === "process env.set");
	expect(asked && pathOf(asked)).toEqual(["receive frame", "ask env.set", "process env.set"]);
	expect(end()?.spanContext().traceId).toBe(asked?.spanContext().traceId);
	await client.leave();
});

test("calls that are never answered are remembered up to a bound, the oldest forgotten first", () => {
	const traces = new FrameTraces(embedded.node.tracing as Tracing);
	const trace = `00-${OUTSIDE}-b7ad6b7169203331-00`;
	for (let i = 0; i <= TRACED_CALLS_MAX; i++) {
		const call = message(
			"client/w/callee",
			{ type: "frame" },
			{ kind: "frame", facts: { session: `s${i}` } },
		);
		traces.delivered({ ...call, trace });
	}
	const found: (string | undefined)[] = [];
	for (const session of ["s0", "s1", "s1"]) {
		traces.received("client/w/callee", { method: `${session}.resolve` }, "w/caller", (its) => {
			found.push(its);
			return undefined;
		});
	}
	expect(found).toEqual([undefined, expect.stringContaining(OUTSIDE), undefined]);
});

test("an HTTP call is part of the trace that its traceparent header names, the callee's delivery included", async () => {
	const provider = await echo(embedded);
	forgetSpans();
	const url = `${embedded.url}/ws-user-root/services/echo/say?text=hi`;
	const headers = { authorization: `Bearer ${ROOT_TOKEN}`, traceparent: `00-${OUTSIDE}-b7ad6b7169203331-01` };
	const response = await fetch(url, { headers });
	expect(response.status, await response.text()).toBe(200);
	const delivered = () => spansOf(OUTSIDE).find(({ name }) => name === "deliver");
	await expect.poll(delivered, { timeout: 10_000 }).toBeDefined();
	const span = delivered();
	expect(span && pathOf(span)).toEqual(["http call", "process frame", "deliver"]);
	await provider.leave();
});

test("a caller at one node and a callee at another one of a Kafka cluster: one trace, with spans of both nodes", async () => {
	const kafkaUri = inject("kafkaBrokers").split(",");
	const prefix = `traces-${randomBytes(6).toString("hex")}`;
	const options = { kafkaUri, prefix, kafkaReplicationFactor: 1 } as const;
	const a = await start({ ...options, nodeId: "a" });
	const b = await start({ ...options, nodeId: "b" });
	const provider = await echo(b);
	const caller = await RawClient.patiently(a.url, {
		clientId: "caller",
		token: ROOT_TOKEN,
	});
	forgetSpans();
	expect(await caller.call(provider.peer, "services.echo.say", ["hello"])).toBe("hello");
	const answer = () =>
		spans().find(
			({ name, attributes }) => name === "receive frame" && attributes["mycelog.method"] === "resolve",
		);
	await expect.poll(answer, { timeout: 20_000 }).toBeDefined();
	const traceId = answer()?.spanContext().traceId ?? "";
	await expect.poll(() => spansOf(traceId).filter(({ name }) => name === "deliver").length).toBe(2);
	const received = spansOf(traceId).filter(({ name }) => name === "receive frame");
	expect(received.map(({ attributes }) => attributes["mycelog.node"])).toEqual(["a", "b"]);
	const delivered = spansOf(traceId).filter(({ name }) => name === "deliver");
	expect(delivered.map(({ attributes }) => attributes["mycelog.node"])).toEqual(["b", "a"]);
	await caller.leave();
	await provider.leave();
});
