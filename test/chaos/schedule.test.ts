/** The schedule of a round: a seed repeats it, and many seeds leave no kind of fault out. */
import { expect, test } from "vitest";
import { Random } from "../../testing/random.ts";
import { type Fault, scheduleOf } from "./schedule.ts";

const options = { forMs: 9_000, broker: true };

test("the same seed makes the same schedule", () => {
	expect(scheduleOf(new Random(7), options)).toEqual(scheduleOf(new Random(7), options));
	expect(scheduleOf(new Random(7), options)).not.toEqual(scheduleOf(new Random(8), options));
});

test("the rounds of the lane strike with every kind of fault, many times", () => {
	const times = new Map<Fault["kind"], number>();
	for (let seed = 1; seed <= 100; seed++) {
		for (const { fault } of scheduleOf(new Random(seed), options)) {
			times.set(fault.kind, (times.get(fault.kind) ?? 0) + 1);
		}
	}
	const kinds: Fault["kind"][] = [
		"kill",
		"freeze",
		"stop",
		"join",
		"twin",
		"blackout",
		"broker-kill",
		"broker-freeze",
	];
	expect([...times.keys()].sort()).toEqual(kinds.sort());
	for (const [kind, count] of times) expect(count, kind).toBeGreaterThan(20);
});
