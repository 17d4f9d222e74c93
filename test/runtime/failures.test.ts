/** Claims of failures: what is parked, who hears of it, and how an actor that waits for help goes on. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { assign, fromPromise, setup } from "xstate";
import { defineActor } from "../../runtime/define-actor.ts";
import { durableActions } from "../../runtime/durable-actions.ts";
import type { OnFailure } from "../../runtime/failures.ts";
import { HELD_MESSAGES_MAX } from "../../runtime/hold.ts";
import type { EventMeta } from "../../runtime/machine-behaviour.ts";
import { verify } from "../../runtime/verify.ts";
import { settled } from "../../testing/virtual-time.ts";
import { EMBEDDED_LOGS, EmbeddedStage, TimedStage } from "../kit/embedded.ts";

/** Code that is broken until a test mends it: not pure, as code is that gets changed. */
const code = { broken: false, jobs: 0 };

function list(onFailure?: OnFailure) {
	const machine = setup({
		types: {
			context: {} as { items: number[] },
			events: {} as ({ type: "put"; n: number } | { type: "work" }) & { meta: EventMeta },
		},
		actions: durableActions,
		actors: {
			job: fromPromise<string>(async () => {
				code.jobs++;
				if (code.broken) throw new Error("no connection");
				return "done";
			}),
		},
	}).createMachine({
		context: { items: [] },
		initial: "idle",
		on: {
			put: {
				actions: [
					assign({
						items: ({ context, event }) => {
							if (event.n < 0 || (event.n === 0 && code.broken))
								throw new RangeError(`${event.n} is too small`);
							return [...context.items, event.n];
						},
					}),
					{ type: "reply", params: ({ context }) => ({ value: context.items.length }) },
				],
			},
		},
		states: { idle: { on: { work: "working" } }, working: { invoke: { src: "job", onDone: "idle" } } },
	});
	const retries = { attempts: 1, backoffMs: 1 };
	return defineActor({
		type: "list",
		version: 1,
		machine,
		retries,
		...(onFailure ? { onFailure } : undefined),
	});
}

beforeEach(() => {
	code.broken = false;
	code.jobs = 0;
});

describe.each(EMBEDDED_LOGS)("on the %s log", (driver) => {
	let stage: EmbeddedStage;
	beforeEach(() => {
		stage = new EmbeddedStage(driver);
	});
	afterEach(() => stage.remove());

	test("a message that fails is parked with all that is needed to mend it, whoever asked is told, the actor goes on", async () => {
		const node = await stage.start([list()]);
		const one = node.ref("list", "1");
		await one.tell({ type: "put", n: 1 });
		await expect(one.ask({ type: "put", n: -1 })).rejects.toThrow("RangeError: -1 is too small");
		expect(await one.ask({ type: "put", n: 2 })).toBe(2);
		const letters = [];
		for await (const letter of node.deadLetters({ address: one.address })) letters.push(letter);
		const { partition } = node.node.mailbox(one.address);
		expect(letters).toMatchObject([
			{
				address: "list/1",
				type: "put",
				topic: "actors",
				partition,
				cause: "RangeError: -1 is too small",
				stack: expect.stringContaining("failures.test.ts"),
				attempts: 2,
			},
		]);
		expect(letters[0]).not.toHaveProperty("paused");
	});

	test("who follows the dead letters hears of each as it is parked, and goes on behind it", async () => {
		const node = await stage.start([list()]);
		const heard: string[] = [];
		let position: readonly number[] = [];
		await node.ref("list", "0").tell({ type: "put", n: -1 });
		for await (const letter of node.deadLetters({ follow: AbortSignal.timeout(30_000) })) {
			heard.push(letter.address);
			position = letter.position;
			if (heard.length === 3) break;
			await node.ref("list", String(heard.length)).tell({ type: "put", n: -1 });
		}
		expect(heard).toEqual(["list/0", "list/1", "list/2"]);
		await node.ref("list", "3").tell({ type: "put", n: -1 });
		for await (const { address } of node.deadLetters({
			follow: AbortSignal.timeout(30_000),
			after: position,
		})) {
			expect(address).toBe("list/3");
			break;
		}
	});

	test("scenario 35: a poison record is parked with cause and origin, the next one is handled, and it can be driven again", async () => {
		code.broken = true;
		const node = await stage.start([list()]);
		const one = node.ref("list", "1");
		const offset = await one.tell({ type: "put", n: 0 }, { id: "zero" });
		expect(await one.ask({ type: "put", n: 1 })).toBe(1);
		const letters = node.deadLetters({ follow: AbortSignal.timeout(30_000) });
		const { value: letter } = await letters.next();
		await letters.return(undefined);
		const origin = { topic: "actors", partition: node.node.mailbox(one.address).partition, offset };
		expect(letter).toMatchObject({ ...origin, attempts: 2, cause: "RangeError: 0 is too small" });
		code.broken = false;
		await node.retryLetter(letter);
		// Its id counts as before.
		await node.retryLetter(letter);
		expect((await one.state()).context.items).toEqual([1, 0]);
	});

	test("an actor that pauses waits at the message that failed; those behind it are kept, and a restart changes nothing", async () => {
		code.broken = true;
		const first = await stage.start([list("pause")]);
		const one = first.ref("list", "1");
		for (const n of [1, 0, 2]) await one.tell({ type: "put", n });
		expect(await one.state()).toMatchObject({
			context: { items: [1] },
			paused: { failed: true, held: 2, cause: "RangeError: 0 is too small" },
		});
		await first.stop();
		const second = await stage.start([list("pause")]);
		const again = second.ref("list", "1");
		const asked = again.ask({ type: "put", n: 3 });
		expect((await again.state()).paused).toMatchObject({ held: 3 });
		await expect(again.resume()).rejects.toThrow("skip or retry it");
		code.broken = false;
		await again.retry();
		expect(await asked).toBe(4);
		const state = await again.state();
		expect(state.context.items).toEqual([1, 0, 2, 3]);
		expect(state.paused).toBeUndefined();
		await expect(again.retry()).rejects.toThrow("list/1 is not paused");
	});

	test("skip leaves the message that failed out, tells whoever asked, and goes on to the next one that fails", async () => {
		const node = await stage.start([list("pause")]);
		const one = node.ref("list", "1");
		const first = one.ask({ type: "put", n: -1 });
		const outcome = first.catch((error: Error) => error.message);
		for (const n of [1, -2, 2]) await one.tell({ type: "put", n });
		await one.skip();
		expect(await outcome).toContain("skipped after it failed: RangeError: -1");
		expect(await one.state()).toMatchObject({ context: { items: [1] }, paused: { held: 2 } });
		await one.skip();
		expect((await one.state()).context.items).toEqual([1, 2]);
		const letters = [];
		for await (const { cause, paused } of node.deadLetters()) letters.push([cause, paused]);
		expect(letters).toEqual([
			["RangeError: -1 is too small", true],
			["RangeError: -2 is too small", true],
		]);
	});

	test("an actor can be paused and resumed without a failure: nothing is lost, order holds", async () => {
		const node = await stage.start([list()]);
		const one = node.ref("list", "1");
		await one.tell({ type: "put", n: 1 });
		await one.pause();
		for (const n of [2, 3, -1, 4]) await one.tell({ type: "put", n });
		expect(await one.state()).toMatchObject({ context: { items: [1] }, paused: { failed: false, held: 4 } });
		await expect(one.skip()).rejects.toThrow("no message failed");
		await one.resume();
		expect((await one.state()).context.items).toEqual([1, 2, 3, 4]);
		const letters = [];
		for await (const { type, offset } of node.deadLetters()) letters.push([type, offset]);
		expect(letters).toEqual([["put", 4]]);
	});
});

test("a paused actor and its re-fold are equal, snapshots included", async () => {
	const stage = new TimedStage();
	const { node, log } = await stage.start([list("pause")]);
	const one = node.ref("list", "1");
	for (const n of [1, -1, 2]) await one.tell({ type: "put", n });
	await settled();
	const parts = { log, snapshots: stage.disk.open(), behaviours: node.node.behaviours, partitions: 1 };
	await stage.time.advance(5_000);
	expect(await verify(parts, "list/1")).toMatchObject({ ok: true, snapshot: "equal" });
	await one.skip();
	await stage.time.advance(5_000);
	expect(await verify(parts, "list/1")).toMatchObject({ ok: true, snapshot: "equal" });
});

test("repeats under one id are kept once by a paused actor, and each of them is answered", async () => {
	const stage = new TimedStage();
	const { node } = await stage.start([list()]);
	const one = node.ref("list", "1");
	await one.pause();
	const asked = [1, 2, 3].map(() => one.ask({ type: "put", n: 7 }, { id: "seven" }));
	await settled();
	expect((await one.state()).paused?.held).toBe(1);
	await one.resume();
	expect(await Promise.all(asked)).toEqual([1, 1, 1]);
	expect((await one.state()).context.items).toEqual([7]);
});

test("work that failed for good is run once more by retry", async () => {
	code.broken = true;
	const stage = new TimedStage();
	const { node } = await stage.start([list("pause")]);
	const one = node.ref("list", "1");
	await one.tell({ type: "work" });
	await settled();
	await one.tell({ type: "put", n: 1 });
	expect(await one.state()).toMatchObject({
		value: "working",
		paused: { failed: true, cause: "Error: no connection" },
	});
	code.broken = false;
	await one.retry();
	await settled();
	expect(code.jobs).toBe(2);
	expect(await one.state()).toMatchObject({ value: "idle", context: { items: [1] } });
});

test(`a paused actor keeps ${HELD_MESSAGES_MAX} messages; further ones are parked`, async () => {
	const stage = new TimedStage();
	const { node } = await stage.start([list()]);
	const one = node.ref("list", "1");
	await one.pause();
	await Promise.all(Array.from({ length: HELD_MESSAGES_MAX + 1 }, (_, n) => one.tell({ type: "put", n })));
	await settled();
	expect((await one.state()).paused?.held).toBe(HELD_MESSAGES_MAX);
	expect(node.node.metrics.deadLetters).toBe(1);
	await one.resume();
	expect((await one.state()).context.items).toHaveLength(HELD_MESSAGES_MAX);
});

test("an actor that is paused, fails or works for long does not hold up its neighbours in the partition", async () => {
	code.broken = true;
	const stage = new TimedStage();
	const never = setup({ actors: { never: fromPromise(() => new Promise(() => {})) } }).createMachine({
		invoke: { src: "never" },
	});
	const slow = defineActor({ type: "slow", version: 1, machine: never });
	const { node } = await stage.start([list("pause"), slow]);
	await node.ref("slow", "1").tell({ type: "start" } as never);
	await node.ref("list", "failing").tell({ type: "put", n: -1 });
	await node.ref("list", "paused").pause();
	for (let n = 1; n <= 100; n++) {
		await node.ref("list", "failing").tell({ type: "put", n });
		await node.ref("list", "paused").tell({ type: "put", n });
		await node.ref("list", "neighbour").tell({ type: "put", n });
	}
	// One partition has them all, and no time has passed.
	expect((await node.ref("list", "neighbour").state()).context.items).toHaveLength(100);
});
