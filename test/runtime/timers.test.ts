/** Claims of the partition's deadlines: in order, once each, in bounded memory. */
import { expect, test } from "vitest";
import { DELAY_MS_MAX } from "../../runtime/clock.ts";
import { Timers } from "../../runtime/timers.ts";
import { Random } from "../../testing/random.ts";
import { VirtualTime } from "../../testing/virtual-time.ts";

function setUp() {
	const time = new VirtualTime(0);
	const due: [string, number][] = [];
	const timers = new Timers(time, (address) => due.push([address, time.now()]));
	return { time, due, timers };
}

test("deadlines come in order of time, each once, past ones at once", async () => {
	const { time, due, timers } = setUp();
	await time.advance(100);
	for (const [address, at] of [
		["c", 300],
		["a", 150],
		["late", 20],
		["b", 200],
	] as const)
		timers.watch(address, at);
	await time.advance(1_000);
	expect(due).toEqual([
		["late", 100],
		["a", 150],
		["b", 200],
		["c", 300],
	]);
});

test("an earlier deadline of the same actor takes the place of a later one", async () => {
	const { time, due, timers } = setUp();
	timers.watch("a", 500);
	timers.watch("a", 100);
	timers.watch("a", 300);
	await time.advance(1_000);
	expect(due).toEqual([["a", 100]]);
});

test("an actor that is told of its far deadline with every message takes no more memory for it", () => {
	const { timers } = setUp();
	for (let i = 0; i < 10_000; i++) timers.watch("busy", 86_400_000);
	expect(timers.size).toBe(1);
});

test("an actor with a far and many near deadlines keeps the heap small, and both ring", async () => {
	const time = new VirtualTime(0);
	const rang: number[] = [];
	const timers: Timers = new Timers(time, () => {
		rang.push(time.now());
		// As the partition does: the next one is looked for when one was due.
		if (time.now() < 1_000_000) timers.watch("a", 1_000_000);
	});
	for (let at = 1_000; at < 1_000_000; at += 1_000) {
		timers.watch("a", at);
		await time.advance(1_000);
		expect(timers.size).toBeLessThanOrEqual(68);
	}
	await time.advance(1_000);
	expect(rang).toHaveLength(1_000);
});

test("deadlines drawn by chance ring in order, never early, and none after a stop", async () => {
	const random = new Random(7);
	const { time, due, timers } = setUp();
	const wanted = Array.from({ length: 500 }, (_, i) => [`a${i}`, random.between(0, 10_000)] as const);
	for (const [address, at] of wanted) timers.watch(address, at);
	await time.advance(8_000);
	timers.stop();
	timers.watch("after the stop", 8_500);
	await time.advance(5_000);
	const expected = wanted.filter(([, at]) => at <= 8_000).sort(([, one], [, other]) => one - other);
	expect(
		due.map(([, at]) => at),
		"SEED=7",
	).toEqual(expected.map(([, at]) => at));
	expect(new Set(due.map(([address]) => address))).toEqual(new Set(expected.map(([address]) => address)));
});

test("a deadline further off than a clock can wait is looked at again, and rings at its time", async () => {
	const time = new VirtualTime(0);
	const due: number[] = [];
	const short = {
		now: time.now,
		after: (delayMs: number, callback: () => void) => time.after(Math.min(delayMs, DELAY_MS_MAX), callback),
	};
	const timers = new Timers(short, () => due.push(time.now()));
	timers.watch("far", DELAY_MS_MAX * 2.5);
	await time.advance(DELAY_MS_MAX * 3);
	expect(due).toEqual([DELAY_MS_MAX * 2.5]);
});
