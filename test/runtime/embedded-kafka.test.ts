/** Claims of embedded nodes that share a Kafka log: an actor is the same from each of them, and outlives the one that has it. */
import { expect, test } from "vitest";
import { assign, fromPromise, setup } from "xstate";
import { defineActor } from "../../runtime/define-actor.ts";
import { durableActions } from "../../runtime/durable-actions.ts";
import type { EventMeta } from "../../runtime/machine-behaviour.ts";
import { SharedLog } from "../kit/embedded-kafka.ts";

const PATIENCE = { timeout: 30_000 } as const;

/** Counts, and does one job by code whose keys a test sees. */
function worker(keys: string[], job: (key: string) => Promise<string>) {
	const machine = setup({
		types: {
			context: {} as { total: number; result: string },
			events: {} as ({ type: "add"; n: number } | { type: "work" }) & { meta: EventMeta },
		},
		actions: durableActions,
		actors: {
			job: fromPromise<string>(({ self }) => {
				const { sessionId } = self as unknown as { sessionId: string };
				keys.push(sessionId);
				return job(sessionId);
			}),
		},
	}).createMachine({
		context: { total: 0, result: "" },
		initial: "idle",
		on: {
			add: {
				actions: [
					assign({
						total: ({ context, event }) => {
							if (event.n < 0) throw new RangeError("too small");
							return context.total + event.n;
						},
					}),
					{ type: "reply", params: ({ context }) => ({ value: context.total }) },
				],
			},
		},
		states: {
			idle: { on: { work: "working" } },
			working: {
				invoke: {
					src: "job",
					onDone: { target: "idle", actions: assign({ result: ({ event }) => event.output }) },
				},
			},
		},
	});
	return defineActor({ type: "worker", version: 1, machine, onFailure: "pause" });
}

test("two nodes on Kafka: ids, work, pause and history are the same from both, and go on when one leaves", async () => {
	const log = new SharedLog();
	const keys: string[] = [];
	const one = await log.start("one", [worker(keys, () => new Promise(() => {}))]);
	const two = await log.start("two", [worker(keys, async (key) => `done under ${key}`)]);
	const names = ["a", "b", "c", "d", "e", "f"];
	for (const [i, name] of names.entries()) {
		const here = one.ref("worker", name);
		const there = two.ref("worker", name);
		expect(await here.ask({ type: "add", n: i }, { id: "first", ...PATIENCE })).toBe(i);
		expect(await there.ask({ type: "add", n: i }, { id: "first", ...PATIENCE })).toBe(i);
		expect(await there.ask({ type: "add", n: 1 }, PATIENCE)).toBe(i + 1);
		await here.tell({ type: "work" });
	}
	await one.ref("worker", "a").tell({ type: "add", n: -1 });
	for await (const { address, paused } of two.deadLetters({ follow: AbortSignal.timeout(30_000) })) {
		expect([address, paused]).toEqual(["worker/a", true]);
		break;
	}
	await two.ref("worker", "a").skip(PATIENCE);
	await one.stop();
	for (const [i, name] of names.entries()) {
		const ref = two.ref("worker", name);
		const done = { total: i + 1, result: `done under worker/${name}:1` };
		await expect.poll(async () => (await ref.state(PATIENCE)).context, PATIENCE).toEqual(done);
		const types: string[] = [];
		for await (const { type } of ref.history()) types.push(type);
		expect(types.slice(0, 4)).toEqual(["add", "add", "add", "work"]);
	}
	expect(new Set(keys)).toEqual(new Set(names.map((name) => `worker/${name}:1`)));
});
