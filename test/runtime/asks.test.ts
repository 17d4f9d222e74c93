/** Claims of asks: answered, timed out, given up, bounded; and what a node's end means to them. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { MycelogError } from "../../persistence/errors.ts";
import { ASKS_WAITING_MAX, Asks } from "../../runtime/asks.ts";
import { newRuntimeMetrics } from "../../runtime/metrics.ts";
import { settled, VirtualTime } from "../../testing/virtual-time.ts";
import { MemoryStage } from "../kit/memory-node.ts";

const A = "counter/a";
const command = { kind: "command", timeoutMs: 1_000 } as const;

/** A promise nobody listens to would end a real process. */
const unhandled: unknown[] = [];
const note = (error: unknown) => unhandled.push(error);
beforeEach(() => {
	unhandled.length = 0;
	process.on("unhandledRejection", note);
});
afterEach(() => {
	process.off("unhandledRejection", note);
	expect(unhandled).toEqual([]);
});

test("an ask is settled once; late, repeated and unknown replies find nobody", async () => {
	const asks = new Asks(new VirtualTime(), newRuntimeMetrics());
	const { ask, result } = asks.open("add", 1_000);
	expect(asks.settle(ask, { ok: true, value: 1 })).toBe(true);
	expect(asks.settle(ask, { ok: true, value: 2 })).toBe(false);
	expect(asks.settle("of another life", { ok: true, value: 3 })).toBe(false);
	expect(await result).toEqual({ ok: true, value: 1 });
	expect(asks.waiting).toBe(0);
});

test("asks waiting are bounded: the next one is refused, and there is room again after one was forgotten", () => {
	const metrics = newRuntimeMetrics();
	const asks = new Asks({ now: () => 0, after: () => () => {} }, metrics);
	const first = asks.open("first", 1_000);
	for (let i = 1; i < ASKS_WAITING_MAX; i++) asks.open("more", 1_000);
	expect(() => asks.open("one too many", 1_000)).toThrow(expect.objectContaining({ code: "log.overloaded" }));
	expect(metrics.asksRefused).toBe(1);
	asks.forget(first.ask);
	expect(asks.open("again", 1_000).ask).toBeDefined();
});

test("an ask whose time is up while its message still waits for the log is told so once", async () => {
	const stage = new MemoryStage();
	const { node, log } = await stage.start();
	log.fault = () => new Promise(() => {});
	const asked = node.ask(A, { type: "add", by: 1 }, command).catch((error: unknown) => error);
	const expected = node.expect("an answer", 1_000);
	await stage.time.advance(5_000);
	await settled();
	expect(await asked).toMatchObject({ code: "actor.ask-timeout" });
	await expect(expected.result).rejects.toMatchObject({ code: "actor.ask-timeout" });
});

test("a reply that comes before its message's acknowledgement counts, and the lost acknowledgement does not", async () => {
	const stage = new MemoryStage();
	const { node, log } = await stage.start();
	log.network = async (store) => {
		store();
		await stage.time.pause(700);
		throw new MycelogError("log.append-failed", "lost");
	};
	expect(await node.ask(A, { type: "add", by: 4 }, command)).toBe(4);
	await stage.time.advance(5_000);
	expect(node.metrics.command).toBe(1);
});

test("a message that the log refuses fails its ask with the log's own words", async () => {
	const stage = new MemoryStage();
	const { node, log } = await stage.start();
	log.fault = () => {
		throw new MycelogError("log.record-too-large", "far too large");
	};
	await expect(node.ask(A, { type: "add", by: 1 }, command)).rejects.toThrow("far too large");
	await stage.time.advance(2_000);
});

test("a node that stops tells those who ask, and takes no more", async () => {
	const stage = new MemoryStage();
	const { node } = await stage.start();
	const waiting = node.expect("a client's answer", 60_000);
	const stopped = node.stop(1_000);
	await expect(waiting.result).rejects.toMatchObject({ code: "log.closed" });
	await stage.time.advance(0);
	await stopped;
	await expect(node.ask(A, { type: "add", by: 1 }, command)).rejects.toMatchObject({ code: "log.closed" });
});

test("stopping ends within its deadline over a log that neither reads nor appends nor closes", async () => {
	const stage = new MemoryStage();
	const { node, log } = await stage.start({ cluster: true });
	const never = () => new Promise<never>(() => {});
	log.readFault = never;
	log.fault = never;
	log.close = never;
	const told = node.tell(A, { type: "add", by: 1 }).catch((error: unknown) => error);
	let stopped = false;
	void node.stop(3_000).then(() => {
		stopped = true;
	});
	await stage.time.advance(2_999);
	expect(stopped).toBe(false);
	await stage.time.advance(1);
	await settled();
	expect(stopped).toBe(true);
	expect(await told).toMatchObject({ code: "log.append-failed" });
});
