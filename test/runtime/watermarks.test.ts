/** Claims of dedupe: repeats are recognised however late, by the records alone, in bounded memory. */
import { expect, test } from "vitest";
import { NOTHING_SEEN, PROCESS_SOURCES_MAX, Watermarks } from "../../runtime/watermarks.ts";
import { Random } from "../../testing/random.ts";

const origin = (source: string, major: number, minor = 0) => ({ source, major, minor });

test("what is not above the newest of its source was seen; looking alone changes nothing", () => {
	const seen = new Watermarks();
	expect(seen.isRepeat(origin("actors/1", 5, 2))).toBe(false);
	expect(seen.seen(origin("actors/1", 5, 2), 0)).toBe(false);
	for (const [major, minor] of [
		[5, 2],
		[5, 1],
		[4, 9],
	] as const) {
		expect(seen.isRepeat(origin("actors/1", major, minor))).toBe(true);
		expect(seen.seen(origin("actors/1", major, minor), 1)).toBe(true);
	}
	expect(seen.isRepeat(origin("actors/1", 5, 3))).toBe(false);
	expect(seen.seen(origin("actors/2", 0), 2)).toBe(false);
	expect(seen.seen(origin("actors/1", 6), 3)).toBe(false);
});

test("marks that were stored and read again know the same, and none are a short text", () => {
	expect(new Watermarks().encode()).toBe(NOTHING_SEEN);
	const seen = new Watermarks();
	seen.seen(origin("n1~a", 7), 3);
	seen.seen(origin("clients/0", 2, 1), 4);
	const read = Watermarks.decode(seen.encode());
	expect(read.encode()).toBe(seen.encode());
	expect([read.isRepeat(origin("n1~a", 7)), read.isRepeat(origin("clients/0", 2, 2))]).toEqual([true, false]);
});

test("node processes are remembered in a bounded number, the longest silent forgotten first; partitions never", () => {
	const seen = new Watermarks();
	seen.seen(origin("actors/0", 1), 0);
	for (let boot = 0; boot < PROCESS_SOURCES_MAX; boot++) seen.seen(origin(`n~${boot}`, 1), 1 + boot);
	seen.seen(origin("n~0", 2), 10_000);
	seen.seen(origin("n~new", 1), 10_001);
	expect(seen.isRepeat(origin("n~1", 1))).toBe(false);
	expect([origin("n~0", 2), origin("n~2", 1), origin("actors/0", 1)].map((o) => seen.isRepeat(o))).toEqual([
		true,
		true,
		true,
	]);
	expect(JSON.parse(seen.encode())).toHaveLength(PROCESS_SOURCES_MAX + 1);
});

test("a fold from a stored state drops what a fold from the start drops, over thousands of processes", () => {
	const random = new Random(42);
	const records = Array.from({ length: 20_000 }, (_, offset) => {
		const boot = Math.floor(offset / 10) - random.between(0, 300);
		return { origin: origin(`n~${boot}`, random.between(0, 5)), offset };
	});
	const whole = new Watermarks();
	let parts = new Watermarks();
	for (const [i, { origin: of, offset }] of records.entries()) {
		expect(parts.seen(of, offset), `SEED=42, record ${i}`).toBe(whole.seen(of, offset));
		if (i % 777 === 0) parts = Watermarks.decode(parts.encode());
	}
});
