import { SpanStatusCode } from "@opentelemetry/api";
import { afterEach, beforeEach, expect, test } from "vitest";
import { fromPromise, setup } from "xstate";
import { createNode, defineActor } from "../../runtime/index.ts";
import { encodeBody } from "../../runtime/message.ts";
import { traceIn } from "../../runtime/tracing.ts";
import { MemoryLog } from "../../testing/memory-log.ts";
import { MemorySnapshots } from "../../testing/memory-snapshots.ts";
import { counterBehaviour } from "../kit/counter.ts";
import { startNode, temporaryDirectory } from "../kit/runtime-node.ts";
import { forgetSpans, pathOf, spans, spansOf, tracer } from "../kit/traces.ts";

const COMMAND = { kind: "command", timeoutMs: 10_000 } as const;
const QUERY = { kind: "query", timeoutMs: 10_000 } as const;
const OUTSIDE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

let directory: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
	directory = temporaryDirectory();
	forgetSpans();
});
afterEach(() => directory.remove());

const start = () => startNode(directory.path, [counterBehaviour], { partitions: 4 });

test("a tell, what it made its actor tell another one, and that one's handling are one trace, each the child of its cause", async () => {
	const { node } = await start();
	await node.send({
		to: "counter/a",
		kind: "command",
		type: "relay",
		body: encodeBody({ type: "relay", to: "counter/b", by: 2 }),
	});
	await expect.poll(() => node.ask("counter/b", { type: "total" }, QUERY)).toBe(2);
	await node.stop(5_000);
	const last = spans().find(({ name }) => name === "process add");
	expect(last && pathOf(last)).toEqual(["tell relay", "process relay", "tell add", "process add"]);
	expect(last?.attributes).toMatchObject({
		"mycelog.actor": "counter/b",
		"mycelog.node": "n1",
		"mycelog.partition": expect.stringMatching(/^actors\/\d$/),
		"mycelog.offset": expect.any(Number),
	});
	expect(spansOf(last?.spanContext().traceId ?? "").length).toBe(4);
});

test("an ask and its answer are one span, whose child is the handling; the program's active span is its parent", async () => {
	const { node } = await start();
	await tracer.startActiveSpan("the program's", async (span) => {
		await node.ask("counter/a", { type: "add", by: 1 }, COMMAND);
		span.end();
	});
	await node.stop(5_000);
	const handled = spans().find(({ name }) => name === "process add");
	expect(handled && pathOf(handled)).toEqual(["the program's", "ask add", "process add"]);
});

test("work that an actor asks for is a span between the message that began it and the one that ends it, and the active one for its code", async () => {
	const charge = fromPromise(async () => {
		tracer.startSpan("the program's").end();
	});
	const machine = setup({ actors: { charge } }).createMachine({
		initial: "idle",
		states: {
			idle: { on: { buy: "charging" } },
			charging: { invoke: { src: "charge", onDone: "paid" } },
			paid: {},
		},
	});
	const order = defineActor({ type: "order", version: 1, machine });
	const node = createNode({
		log: new MemoryLog(),
		snapshots: new MemorySnapshots().open(),
		actors: [order],
		partitions: 1,
	});
	await node.start();
	const ref = node.ref("order", "17");
	await ref.tell({ type: "buy" });
	await expect.poll(async () => (await ref.state()).value).toBe("paid");
	await node.stop();
	const path = (name: string) =>
		spans()
			.filter((span) => span.name === name)
			.map(pathOf);
	expect(path("the program's")).toEqual([["tell buy", "process buy", "work charge", "the program's"]]);
	const ended = spans().filter(
		(span) => span.name.startsWith("process ") && pathOf(span).includes("work charge"),
	);
	expect(ended.map(pathOf)).toEqual([
		["tell buy", "process buy", "work charge", expect.stringMatching(/^process /)],
	]);
});

test("an actor that fails marks its span, and the ask's, as failed", async () => {
	const { node } = await start();
	await expect(node.ask("counter/a", { type: "fail" }, COMMAND)).rejects.toThrow("cannot fail gracefully");
	await node.stop(5_000);
	const failed = spans().filter(({ status }) => status.code === SpanStatusCode.ERROR);
	expect(failed.map(({ name }) => name).sort()).toEqual(["ask fail", "process fail"]);
});

test("a record that a node folds again after a restart makes no span, nor does a replay", async () => {
	const first = await start();
	await first.node
		.ask("counter/a", { type: "relay", to: "counter/b", by: 2 }, { ...COMMAND, timeoutMs: 1 })
		.catch(() => {});
	await expect.poll(() => first.node.ask("counter/b", { type: "total" }, QUERY)).toBe(2);
	// As after a crash: no checkpoint was written.
	for (const { id } of first.node.partitions) first.snapshots.forget(id, 0);
	await first.log.close(1_000);
	forgetSpans();
	const second = await start();
	expect(await second.node.ask("counter/b", { type: "total" }, QUERY)).toBe(2);
	await second.node.stop(5_000);
	expect(
		spans()
			.map(({ name }) => name)
			.sort(),
	).toEqual(["ask total", "process total"]);
});

test("a trace from outside goes on in the records, with its state, and into the outputs", async () => {
	const { node, log } = await start();
	const trace = traceIn(OUTSIDE, "vendor=1") as string;
	const body = encodeBody({ type: "relay", to: "counter/b", by: 1 });
	await node.submit({ to: "counter/a", kind: "command", type: "relay", body, trace });
	await expect.poll(() => node.ask("counter/b", { type: "total" }, QUERY)).toBe(1);
	const read = async (address: string) => {
		const records = await log.read(node.mailbox(address), 0, { maxRecords: 100, waitMs: 0 });
		return records.find(({ key, headers }) => key === address && headers["~k"] === "c")?.headers["~p"];
	};
	expect(await read("counter/a")).toBe(`${OUTSIDE} vendor=1`);
	expect(await read("counter/b")).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-[\da-f]{16}-01 vendor=1$/);
	await node.stop(5_000);
	expect(spansOf("0af7651916cd43dd8448eb211c80319c").map(({ name }) => name)).toEqual(
		expect.arrayContaining(["process relay", "tell add", "process add"]),
	);
});

test("a traceparent that is not well formed is as none; a tracestate that is too long is left behind", () => {
	expect(traceIn(OUTSIDE, undefined)).toBe(OUTSIDE);
	expect(traceIn(OUTSIDE, `a=${"b".repeat(600)}`)).toBe(OUTSIDE);
	for (const bad of [
		undefined,
		"",
		"00-abc-def-01",
		OUTSIDE.toUpperCase(),
		`ff${OUTSIDE.slice(2)}`,
		`${OUTSIDE}\nx`,
	]) {
		expect(traceIn(bad, undefined)).toBeUndefined();
	}
});
