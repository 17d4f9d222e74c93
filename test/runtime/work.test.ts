/** Claims of work: promises, callbacks and effects run after the state is durable, at least once, and come back as records. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { assign, fromCallback, fromPromise, setup } from "xstate";
import type { LogRecord } from "../../persistence/log.ts";
import { defineActor } from "../../runtime/define-actor.ts";
import { durableActions } from "../../runtime/durable-actions.ts";
import type { EventMeta } from "../../runtime/machine-behaviour.ts";
import { DEAD_LETTERS_TOPIC } from "../../runtime/topics.ts";
import { verify } from "../../runtime/verify.ts";
import { WORK_RUNNING_MAX, type WorkTools } from "../../runtime/work.ts";
import { settled } from "../../testing/virtual-time.ts";
import { EMBEDDED_LOGS, EmbeddedStage, TimedStage } from "../kit/embedded.ts";

type Meta = { meta: EventMeta };

/** Charges cards by code that a test gives; answers the ask when the charge has come to its end. */
function orders(charge: (input: { sum: number }, key: string, signal: AbortSignal) => Promise<string>) {
	const machine = setup({
		types: {
			context: {} as { sum: number; receipt: string; replyTo?: EventMeta["replyTo"]; problem: string },
			events: {} as ({ type: "pay"; sum: number } | { type: "give.up" }) & Meta,
		},
		actions: durableActions,
		actors: {
			charge: fromPromise<string, { sum: number }>(({ input, self, signal }) =>
				charge(input, (self as unknown as { sessionId: string }).sessionId, signal),
			),
		},
	}).createMachine({
		context: { sum: 0, receipt: "", problem: "" },
		initial: "idle",
		states: {
			idle: {
				on: {
					pay: {
						target: "paying",
						actions: assign({ sum: ({ event }) => event.sum, replyTo: ({ event }) => event.meta.replyTo }),
					},
				},
			},
			paying: {
				on: { "give.up": "idle" },
				invoke: {
					src: "charge",
					input: ({ context }) => ({ sum: context.sum }),
					onDone: {
						target: "paid",
						actions: [
							assign({ receipt: ({ event }) => event.output }),
							{ type: "reply", params: ({ context }) => ({ to: context.replyTo, value: context.receipt }) },
						],
					},
					onError: {
						target: "idle",
						actions: assign({ problem: ({ event }) => (event.error as Error).message }),
					},
				},
			},
			paid: {},
		},
	});
	return defineActor({ type: "order", version: 1, machine, retries: { attempts: 3, backoffMs: 100 } });
}

describe.each(EMBEDDED_LOGS)("on the %s log", (driver) => {
	let stage: EmbeddedStage;
	beforeEach(() => {
		stage = new EmbeddedStage(driver);
	});
	afterEach(() => stage.remove());

	test("an invoked promise runs once its message is in the log; its result is a record that moves the actor", async () => {
		const charged: unknown[] = [];
		const order = orders(async ({ sum }, key) => {
			charged.push([sum, key]);
			return `receipt for ${sum}`;
		});
		const node = await stage.start([order]);
		const one = node.ref("order", "1");
		expect(await one.ask({ type: "pay", sum: 12 })).toBe("receipt for 12");
		// Without an answer there was no call: the key is the actor's first child.
		expect(charged).toEqual([[12, "order/1:1"]]);
		expect(await one.state()).toMatchObject({ value: "paid", context: { receipt: "receipt for 12" } });
		const types = [];
		for await (const { kind, type } of one.history()) types.push(`${kind} ${type}`);
		expect(types).toEqual(["command pay", "timer mycelog.done"]);
		await node.stop();
		const again = await stage.start([order]);
		expect(await again.ref("order", "1").state()).toMatchObject({ value: "paid" });
		expect(charged).toHaveLength(1);
	});

	test("work that was under way when its node stopped runs again on the next one, under the same key", async () => {
		const keys: string[] = [];
		const never = orders((_, key) => {
			keys.push(key);
			return new Promise(() => {});
		});
		const first = await stage.start([never]);
		await first.ref("order", "1").tell({ type: "pay", sum: 3 });
		await expect.poll(() => keys).toHaveLength(1);
		await first.stop();
		const second = await stage.start([orders(async (_, key) => `after ${keys.push(key)} runs`)]);
		await expect
			.poll(async () => (await second.ref("order", "1").state()).context.receipt)
			.toBe("after 2 runs");
		expect(keys).toEqual(["order/1:1", "order/1:1"]);
	});

	test("an effect with code of its own runs after the state is durable; the event it gives back is a record", async () => {
		const calls: [unknown, string][] = [];
		const machine = setup({
			types: {
				context: {} as { sent: string[] },
				events: {} as ({ type: "order" } | { type: "mail.sent"; id: string }) & Meta,
			},
			actions: { ...durableActions, mail: (_, _params: { to: string }) => {} },
		}).createMachine({
			context: { sent: [] },
			on: {
				order: { actions: { type: "mail", params: { to: "ann" } } },
				"mail.sent": { actions: assign({ sent: ({ context, event }) => [...context.sent, event.id] }) },
			},
		});
		const mailer = defineActor({
			type: "mailer",
			version: 1,
			machine,
			effects: {
				mail: async (params: { to: string }, { key }: WorkTools) => {
					calls.push([params, key]);
					return { type: "mail.sent", id: `m${calls.length}` };
				},
			},
		});
		const node = await stage.start([mailer]);
		const one = node.ref("mailer", "1");
		for (let i = 0; i < 2; i++) await one.tell({ type: "order" });
		await expect.poll(async () => (await one.state()).context.sent).toEqual(["m1", "m2"]);
		expect(calls).toEqual([
			[{ to: "ann" }, "mailer/1:1"],
			[{ to: "ann" }, "mailer/1:2"],
		]);
	});
});

async function deadLetters(stage: TimedStage): Promise<Record<string, unknown>[]> {
	return stage.storage
		.all({ topic: DEAD_LETTERS_TOPIC, partition: 0 })
		.map(({ value }) => JSON.parse(Buffer.from(value).toString()));
}

test("work that fails is tried again with growing pauses; what fails for good is the machine's to handle", async () => {
	const stage = new TimedStage();
	const tries: number[] = [];
	const order = orders(async () => {
		tries.push(stage.time.now());
		throw new Error("the bank is closed");
	});
	const { node } = await stage.start([order]);
	const one = node.ref("order", "1");
	await one.tell({ type: "pay", sum: 1 });
	await stage.time.advance(1_000);
	const [first] = tries as [number];
	expect(tries.map((at) => at - first)).toEqual([0, 100, 300]);
	expect(await one.state()).toMatchObject({ value: "idle", context: { problem: "the bank is closed" } });
	expect(await deadLetters(stage)).toEqual([]);
});

test("work that fails for good and is handled by nobody is parked with cause, stack, attempts and place", async () => {
	const stage = new TimedStage();
	const machine = setup({
		actors: {
			explode: fromPromise(async () => {
				throw new RangeError("too loud");
			}),
		},
	}).createMachine({ initial: "a", states: { a: { on: { go: "b" } }, b: { invoke: { src: "explode" } } } });
	const bomb = defineActor({ type: "bomb", version: 1, machine, retries: { attempts: 2, backoffMs: 10 } });
	const { node } = await stage.start([bomb]);
	const one = node.ref("bomb", "1");
	await one.tell({ type: "go" });
	await stage.time.advance(1_000);
	const [letter] = await deadLetters(stage);
	expect(letter).toMatchObject({
		address: "bomb/1",
		topic: "actors",
		partition: 0,
		offset: 1,
		cause: "RangeError: too loud",
		attempts: 2,
		stack: expect.stringContaining("work.test.ts"),
	});
	// The actor is where it was, and goes on.
	expect(await one.state()).toMatchObject({ value: "b", status: "active" });
	expect(node.node.metrics.deadLetters).toBe(1);
});

test("a promise that its state does not wait for any more is aborted, and what comes of it later moves nothing", async () => {
	const stage = new TimedStage();
	const running: { signal: AbortSignal; done: (text: string) => void }[] = [];
	const order = orders((_, _key, signal) => new Promise((done) => running.push({ signal, done })));
	const { node } = await stage.start([order]);
	const one = node.ref("order", "1");
	await one.tell({ type: "pay", sum: 1 });
	await settled();
	await one.tell({ type: "give.up" });
	await settled();
	expect(running.map(({ signal }) => signal.aborted)).toEqual([true]);
	running[0]?.done("too late");
	await settled();
	expect(await one.state()).toMatchObject({ value: "idle", context: { receipt: "" } });
	await one.tell({ type: "pay", sum: 2 });
	await settled();
	running[1]?.done("in time");
	await settled();
	expect(await one.state()).toMatchObject({ value: "paid", context: { receipt: "in time" } });
});

test("of work that ran twice one result is taken, whichever comes first", async () => {
	const stage = new TimedStage();
	const keys: string[] = [];
	const order = orders(async (_, key) => `run ${keys.push(key)}`);
	const first = await stage.start([order]);
	// The result is in the log, and no checkpoint.
	await first.node.ref("order", "1").tell({ type: "pay", sum: 1 });
	await settled();
	first.crash();
	const second = await stage.start([order]);
	await stage.time.advance(5_000);
	const one = second.node.ref("order", "1");
	expect((await one.state()).context.receipt).toBe("run 1");
	expect(keys).toHaveLength(1);
	// What an owner that was slow to hear of its successor had under way.
	const mailbox = { topic: "actors", partition: 0 };
	const done = stage.storage.all(mailbox).find(({ headers }) => headers["~t"] === "mycelog.done");
	const headers = { ...done?.headers, "~s": "other~1@1.0" };
	await second.node.node.appender.append(mailbox, { ...(done as LogRecord), headers }, {});
	expect((await one.state()).context.receipt).toBe("run 1");
	expect(second.node.node.metrics.drops).toEqual({ "stale-timer": 1 });
	const parts = { log: second.log, snapshots: stage.disk.open(), behaviours: second.node.node.behaviours };
	expect(await verify({ ...parts, partitions: 1 }, "order/1")).toMatchObject({ ok: true, snapshot: "equal" });
});

test("a callback sends events back as records, is disposed of with its state, and starts again after a crash", async () => {
	const stage = new TimedStage();
	let started = 0;
	let disposed = 0;
	let send: (n: number) => void = () => {};
	const machine = setup({
		types: {
			context: {} as { heard: number[] },
			events: {} as { type: "on" | "off" } | { type: "n"; n: number },
		},
		actors: {
			listen: fromCallback<{ type: "x" }, undefined>(({ sendBack }) => {
				started++;
				send = (n) => sendBack({ type: "n", n });
				return () => {
					disposed++;
				};
			}),
		},
	}).createMachine({
		context: { heard: [] },
		initial: "off",
		states: {
			off: { on: { on: "on" } },
			on: {
				invoke: { src: "listen" },
				on: {
					off: "off",
					n: { actions: assign({ heard: ({ context, event }) => [...context.heard, event.n] }) },
				},
			},
		},
	});
	const ear = defineActor({ type: "ear", version: 1, machine });
	const first = await stage.start([ear]);
	await first.node.ref("ear", "1").tell({ type: "on" });
	await settled();
	send(1);
	send(2);
	await settled();
	expect((await first.node.ref("ear", "1").state()).context.heard).toEqual([1, 2]);
	first.crash();
	const second = await stage.start([ear]);
	await stage.time.advance(0);
	expect(started).toBe(2);
	send(3);
	await settled();
	const one = second.node.ref("ear", "1");
	expect((await one.state()).context.heard).toEqual([1, 2, 3]);
	await one.tell({ type: "off" });
	await settled();
	expect(disposed).toBe(1);
	send(4);
	await settled();
	expect((await one.state()).context.heard).toEqual([1, 2, 3]);
});

test("work that fails as it begins is tried again, and no more once its state is left", async () => {
	const stage = new TimedStage();
	let begun = 0;
	const machine = setup({
		types: { events: {} as { type: "on" | "off" } },
		actors: {
			listen: fromCallback(() => {
				begun++;
				throw new Error("no ears");
			}),
		},
	}).createMachine({
		initial: "off",
		states: { off: { on: { on: "on" } }, on: { invoke: { src: "listen" }, on: { off: "off" } } },
	});
	const ear = defineActor({ type: "ear", version: 1, machine, retries: { attempts: 5, backoffMs: 100 } });
	const { node } = await stage.start([ear]);
	const one = node.ref("ear", "1");
	await one.tell({ type: "on" });
	await stage.time.advance(150);
	expect(begun).toBe(2);
	await one.tell({ type: "off" });
	await stage.time.advance(10_000);
	expect(begun).toBe(2);
	expect(await one.state()).toMatchObject({ value: "off", status: "active" });
});

test(`${WORK_RUNNING_MAX} pieces of work of a partition run at once; the next one begins when one ends`, async () => {
	const stage = new TimedStage();
	const running: ((receipt: string) => void)[] = [];
	const order = orders(() => new Promise((done) => running.push(done)));
	const { node } = await stage.start([order]);
	const ids = Array.from({ length: WORK_RUNNING_MAX + 1 }, (_, i) => String(i));
	await Promise.all(ids.map((id) => node.ref("order", id).tell({ type: "pay", sum: 1 })));
	await settled();
	expect(running).toHaveLength(WORK_RUNNING_MAX);
	running[0]?.("first");
	await settled();
	expect(running).toHaveLength(WORK_RUNNING_MAX + 1);
});

test("an outcome that the log cannot carry is a failure of the work", async () => {
	const stage = new TimedStage();
	const order = orders(async () => "x".repeat(1_100_000));
	const { node } = await stage.start([order]);
	const one = node.ref("order", "1");
	await one.tell({ type: "pay", sum: 1 });
	await stage.time.advance(1_000);
	expect((await one.state()).context.problem).toContain("the log takes 1000000");
});
