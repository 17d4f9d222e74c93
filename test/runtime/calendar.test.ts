/** Claims of time: deadlines, delays with a meaning of their own, recurring schedules, in virtual time. */
import { describe, expect, onTestFinished, test } from "vitest";
import { assign, cancel, raise, setup } from "xstate";
import {
	type DelayMeaning,
	MISSED_TICKS_MAX,
	type MissedTicks,
	type ScheduleParams,
	SEEN_EVERY_MS,
	TICK_LATE_MS,
} from "../../runtime/calendar.ts";
import { defineActor } from "../../runtime/define-actor.ts";
import { durableActions } from "../../runtime/durable-actions.ts";
import type { OnFailure } from "../../runtime/failures.ts";
import type { EventMeta } from "../../runtime/machine-behaviour.ts";
import { verify } from "../../runtime/verify.ts";
import { settled } from "../../testing/virtual-time.ts";
import { EMBEDDED_LOGS, EmbeddedStage, TimedStage } from "../kit/embedded.ts";

const MINUTE_MS = 60_000;
const DELAY_MS = 10 * MINUTE_MS;

/** Notes when its delay rang. */
function bell(meaning?: DelayMeaning) {
	const machine = setup({
		types: {
			context: {} as { rang: number[] },
			events: {} as { type: "arm" | "disarm" | "look"; meta: EventMeta },
		},
		delays: { patience: DELAY_MS },
		actions: {
			note: assign({
				rang: ({ context, event }) => [...context.rang, (event as { meta: EventMeta }).meta.timestamp],
			}),
		},
	}).createMachine({
		context: { rang: [] },
		initial: "idle",
		states: {
			idle: { on: { arm: "armed" } },
			armed: { on: { disarm: "idle" }, after: { patience: { target: "idle", actions: "note" } } },
		},
	});
	const delays = meaning ? { delays: { patience: meaning } } : {};
	return defineActor({ type: "bell", version: 1, machine, ...delays });
}

/** Armed at 0; up for `upMs`, down for `downMs`, then up for long: when it rang, from 0. */
async function rings(meaning: DelayMeaning | undefined, upMs: number, downMs: number): Promise<number[]> {
	const stage = new TimedStage();
	const { time } = stage;
	const start = time.now();
	const definition = bell(meaning);
	const first = await stage.start([definition]);
	await first.node.ref("bell", "1").tell({ type: "arm" });
	await time.advance(upMs);
	first.crash();
	await time.advance(downMs);
	const second = await stage.start([definition]);
	await time.advance(3 * DELAY_MS);
	const one = second.node.ref("bell", "1");
	const { rang } = (await one.state()).context;
	await time.advance(5_000);
	const { log, node } = second;
	const parts = { log, snapshots: stage.disk.open(), behaviours: node.node.behaviours, partitions: 1 };
	expect(await verify(parts, "bell/1")).toMatchObject({ ok: true, snapshot: "equal" });
	return rang.map((at) => at - start);
}

describe("a delay that its actor was away for", () => {
	test("is a moment by default: it rings at its time, or at once if that has passed", async () => {
		expect(await rings(undefined, 2 * MINUTE_MS, 3 * MINUTE_MS)).toEqual([DELAY_MS]);
		expect(await rings("deadline", 2 * MINUTE_MS, 60 * MINUTE_MS)).toEqual([62 * MINUTE_MS]);
	});

	test("may be remaining time: what was left when the actor was last seen is left still", async () => {
		// Seen last at 4 minutes; 6 are left.
		const [rang] = await rings("remaining", 4 * MINUTE_MS + 1_000, 60 * MINUTE_MS);
		const expected = 64 * MINUTE_MS + 1_000 + 6 * MINUTE_MS;
		expect(Math.abs((rang as number) - expected)).toBeLessThanOrEqual(SEEN_EVERY_MS);
		const [soon] = await rings("remaining", 4 * MINUTE_MS + 1_000, MINUTE_MS);
		expect(Math.abs((soon as number) - (DELAY_MS + MINUTE_MS))).toBeLessThanOrEqual(SEEN_EVERY_MS);
	});

	test("may begin again: the whole delay counts from the return", async () => {
		expect(await rings("restart", 2 * MINUTE_MS, 3 * MINUTE_MS)).toEqual([5 * MINUTE_MS + DELAY_MS]);
		expect(await rings("restart", 2 * MINUTE_MS, 60 * MINUTE_MS)).toEqual([62 * MINUTE_MS + DELAY_MS]);
	});

	test("rings as it was asked for where nobody was away", async () => {
		for (const meaning of ["deadline", "remaining", "restart"] as const) {
			const stage = new TimedStage();
			const start = stage.time.now();
			const { node } = await stage.start([bell(meaning)]);
			const one = node.ref("bell", "1");
			await one.tell({ type: "arm" });
			await stage.time.advance(MINUTE_MS);
			await one.tell({ type: "disarm" });
			await one.tell({ type: "arm" });
			await stage.time.advance(2 * DELAY_MS);
			expect((await one.state()).context.rang, meaning).toEqual([start + MINUTE_MS + DELAY_MS]);
		}
	});
});

/** Notes when its ticks were due. */
function clockwork() {
	const machine = setup({
		types: {
			context: {} as { ticks: number[] },
			events: {} as (
				| { type: "set"; params: ScheduleParams }
				| { type: "tick"; dueAt: number }
				| { type: "stop" }
			) & {
				meta: EventMeta;
			},
		},
		actions: durableActions,
	}).createMachine({
		context: { ticks: [] },
		on: {
			set: { actions: { type: "schedule", params: ({ event }) => event.params } },
			tick: {
				actions: assign({
					ticks: ({ context, event }) => [...context.ticks, event.dueAt ?? event.meta.timestamp],
				}),
			},
			stop: { actions: cancel("s") },
		},
	});
	return defineActor({ type: "clock", version: 1, machine });
}

const tick = { id: "s", event: { type: "tick" } } as const;

describe("a recurring schedule", () => {
	test("ticks at its times until it is cancelled, without drift", async () => {
		const stage = new TimedStage();
		const start = stage.time.now();
		const { node } = await stage.start([clockwork()]);
		const one = node.ref("clock", "1");
		await one.tell({ type: "set", params: { ...tick, everyMs: 1_000 } });
		await stage.time.advance(3_500);
		await one.tell({ type: "stop" });
		await stage.time.advance(10_000);
		const { ticks } = (await one.state()).context;
		expect(ticks.map((at) => at - start)).toEqual([1_000, 2_000, 3_000]);
	});

	test.each<[MissedTicks | undefined, number[]]>([
		[undefined, [1, 7, 8, 9]],
		["once", [1, 7, 8, 9]],
		["all", [1, 2, 3, 4, 5, 6, 7, 8, 9]],
		["skip", [1, 8, 9]],
	])("of which ticks were missed: %s", async (missed, expected) => {
		const stage = new TimedStage();
		const { time } = stage;
		const start = time.now();
		const definition = clockwork();
		const first = await stage.start([definition]);
		const params = { ...tick, everyMs: MINUTE_MS, ...(missed ? { missed } : undefined) };
		await first.node.ref("clock", "1").tell({ type: "set", params });
		await time.advance(1.5 * MINUTE_MS);
		first.crash();
		await time.advance(6 * MINUTE_MS);
		const second = await stage.start([definition]);
		await time.advance(2 * MINUTE_MS);
		const { ticks } = (await second.node.ref("clock", "1").state()).context;
		expect(ticks.map((at) => (at - start) / MINUTE_MS)).toEqual(expected);
	});

	test(`makes up for ${MISSED_TICKS_MAX} ticks at most, the newest`, async () => {
		const stage = new TimedStage();
		const start = stage.time.now();
		const first = await stage.start([clockwork()]);
		await first.node
			.ref("clock", "1")
			.tell({ type: "set", params: { ...tick, everyMs: 1_000, missed: "all" } });
		await settled();
		first.crash();
		await stage.time.advance(5_000_500);
		const second = await stage.start([clockwork()]);
		await stage.time.advance(0);
		const { ticks } = (await second.node.ref("clock", "1").state()).context;
		expect(ticks).toHaveLength(MISSED_TICKS_MAX);
		expect(ticks.at(-1)).toBe(start + 5_000_000);
	});

	test("follows the clocks of a time zone over the change to summer time", async () => {
		const stage = new TimedStage();
		const day = Date.UTC(2026, 2, 27, 12);
		await stage.time.advance(day - stage.time.now());
		const { node } = await stage.start([clockwork()]);
		const one = node.ref("clock", "1");
		await one.tell({ type: "set", params: { ...tick, cron: "0 9 * * *", timezone: "Europe/Stockholm" } });
		await stage.time.advance(3 * 24 * 3_600_000);
		const { ticks } = (await one.state()).context;
		expect(ticks.map((at) => new Date(at).toISOString())).toEqual([
			"2026-03-28T08:00:00.000Z",
			"2026-03-29T07:00:00.000Z",
			"2026-03-30T07:00:00.000Z",
		]);
	});

	test("of a crontab makes up for the newest missed tick once", async () => {
		const stage = new TimedStage();
		const day = Date.UTC(2026, 5, 1);
		await stage.time.advance(day - stage.time.now());
		const first = await stage.start([clockwork()]);
		await first.node.ref("clock", "1").tell({ type: "set", params: { ...tick, cron: "30 * * * *" } });
		await settled();
		first.crash();
		await stage.time.advance(5 * 3_600_000);
		const second = await stage.start([clockwork()]);
		await stage.time.advance(3_600_000);
		const { ticks } = (await second.node.ref("clock", "1").state()).context;
		expect(ticks.map((at) => (at - day) / 3_600_000)).toEqual([4.5, 5.5]);
	});

	test.each<[string, Partial<ScheduleParams>]>([
		["no time at all", {}],
		["ticks without a pause", { everyMs: 0 }],
		["a crontab that is none", { cron: "every day" }],
		["a time zone that is none", { cron: "* * * * *", timezone: "Atlantis" }],
	])("with %s fails the message that asks for it", async (_, params) => {
		const stage = new TimedStage();
		const { node } = await stage.start([clockwork()]);
		const one = node.ref("clock", "1");
		const set = { type: "set", params: { ...tick, ...params } } as const;
		await expect(one.ask(set, { timeout: 1_000 })).rejects.toThrow();
		expect((await one.state()).context.ticks).toEqual([]);
	});
});

test("a schedule for one moment and a delayed raise ring once, over a restart", async () => {
	const stage = new TimedStage();
	const { time } = stage;
	const start = time.now();
	const machine = setup({
		types: { context: {} as { rang: string[] }, events: {} as { type: "go" | "a" | "b" } },
		actions: {
			...durableActions,
			note: assign({ rang: ({ context, event }) => [...context.rang, event.type] }),
		},
	}).createMachine({
		context: { rang: [] },
		on: {
			go: {
				actions: [
					raise({ type: "a" }, { delay: 2 * MINUTE_MS }),
					{ type: "schedule", params: { id: "b", event: { type: "b" }, at: start + MINUTE_MS } },
				],
			},
			a: { actions: "note" },
			b: { actions: "note" },
		},
	});
	const definition = defineActor({ type: "once", version: 1, machine });
	const first = await stage.start([definition]);
	await first.node.ref("once", "1").tell({ type: "go" });
	await time.advance(1_000);
	first.crash();
	const second = await stage.start([definition]);
	await time.advance(10 * MINUTE_MS);
	expect((await second.node.ref("once", "1").state()).context.rang).toEqual(["b", "a"]);
	expect(TICK_LATE_MS).toBeLessThan(MINUTE_MS);
});

test.each(EMBEDDED_LOGS)("a schedule goes on after a restart on the %s log", async (driver) => {
	const stage = new EmbeddedStage(driver);
	onTestFinished(() => stage.remove());
	const first = await stage.start([clockwork()]);
	await first.ref("clock", "1").tell({ type: "set", params: { ...tick, everyMs: 100, missed: "all" } });
	const ticks = async (of: typeof first) => (await of.ref("clock", "1").state()).context.ticks;
	await expect.poll(async () => (await ticks(first)).length).toBeGreaterThan(1);
	await first.stop();
	const second = await stage.start([clockwork()]);
	const before = (await ticks(second)).length;
	await expect.poll(async () => (await ticks(second)).length).toBeGreaterThan(before + 1);
	const due = await ticks(second);
	expect(due).toEqual(due.map((_, i) => (due[0] as number) + i * 100));
});

/** Its ticks and its delay fail as long as a test wants. */
function moody(mood: { bad: boolean }, onFailure: OnFailure) {
	const machine = setup({
		types: {
			context: {} as { ticks: number; late: number },
			events: {} as { type: "go" | "tick" | "unplug" },
		},
		actions: { ...durableActions },
		delays: { patience: 2_500 },
	}).createMachine({
		context: { ticks: 0, late: 0 },
		initial: "idle",
		on: {
			tick: {
				actions: assign({
					ticks: ({ context }) => {
						if (mood.bad) throw new Error("not now");
						return context.ticks + 1;
					},
				}),
			},
		},
		states: {
			idle: {
				on: {
					go: {
						target: "waiting",
						actions: { type: "schedule", params: { id: "s", event: { type: "tick" }, everyMs: 1_000 } },
					},
				},
			},
			waiting: {
				after: {
					patience: {
						target: "idle",
						actions: assign({
							late: ({ context }) => {
								if (mood.bad) throw new Error("never");
								return context.late + 1;
							},
						}),
					},
				},
			},
		},
	});
	return defineActor({ type: "moody", version: 1, machine, onFailure, delays: { patience: "restart" } });
}

describe("a timer whose event fails", () => {
	test("is parked; its schedule ticks on, and its delay does not come again after a restart", async () => {
		const stage = new TimedStage();
		const mood = { bad: true };
		const first = await stage.start([moody(mood, "skip")]);
		await first.node.ref("moody", "1").tell({ type: "go" });
		await stage.time.advance(3_200);
		// Three ticks and the delay.
		expect(first.node.node.metrics.deadLetters).toBe(4);
		first.crash();
		const second = await stage.start([moody(mood, "skip")]);
		// Only now: the fold of what was there fails as it did.
		mood.bad = false;
		await stage.time.advance(10_000);
		const { context, value } = await second.node.ref("moody", "1").state();
		expect([context.late, value]).toEqual([0, "waiting"]);
		expect(context.ticks).toBeGreaterThanOrEqual(9);
	});

	test("in an actor that pauses: skip leaves that tick out and the schedule goes on", async () => {
		const stage = new TimedStage();
		const mood = { bad: true };
		const { node } = await stage.start([moody(mood, "pause")]);
		const one = node.ref("moody", "1");
		await one.tell({ type: "go" });
		await stage.time.advance(1_200);
		expect((await one.state()).paused).toMatchObject({ failed: true, held: 1 });
		mood.bad = false;
		await one.skip();
		await stage.time.advance(5_000);
		const { context, paused } = await one.state();
		expect(paused).toBeUndefined();
		expect(context).toMatchObject({ ticks: 5, late: 1 });
	});
});
