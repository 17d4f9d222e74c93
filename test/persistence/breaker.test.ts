/** Claims of the breaker in front of a log that does not answer, with time and chance in the test's hands. */
import { describe, expect, test } from "vitest";
import {
	BACK_OFF_JITTER,
	BACK_OFF_MS_FIRST,
	BACK_OFF_MS_MAX,
	Breaker,
	FAILED_PROBES_MAX,
} from "../../persistence/breaker.ts";

class Stage {
	now = 0;
	/** 0.5: the back-off as it is. */
	chance = 0.5;
	readonly breaker = new Breaker({ now: () => this.now, random: () => this.chance });

	failProbes(count: number): void {
		for (let i = 0; i < count; i++) {
			expect(this.breaker.admitsProbe()).toBe(true);
			this.breaker.failed();
		}
	}

	/** Milliseconds until it lets a trial through. */
	untilTrial(): number {
		const { nextTryMs } = this.breaker;
		this.now += nextTryMs - 1;
		expect(this.breaker.admitsProbe()).toBe(false);
		this.now += 1;
		expect(this.breaker.admitsProbe()).toBe(true);
		return nextTryMs;
	}
}

describe("scenario 42: a breaker", () => {
	test("is open after 3 failed probes in a row, not after 2 and one that succeeded", () => {
		expect(FAILED_PROBES_MAX).toBe(3);
		const { breaker, ...stage } = new Stage();
		expect(stage.now).toBe(0);
		for (let round = 0; round < 5; round++) {
			breaker.failed();
			breaker.failed();
			expect(breaker.state).toBe("closed");
			breaker.succeeded();
			expect(breaker.failures).toBe(0);
		}
		for (let i = 0; i < 3; i++) breaker.failed();
		expect(breaker.state).toBe("open");
		expect(breaker.failures).toBe(3);
	});

	test("is tried again after 1, 2, 4, 8, 16, 30, 30 … seconds", () => {
		const stage = new Stage();
		stage.failProbes(3);
		const waits: number[] = [];
		for (let i = 0; i < 8; i++) {
			waits.push(stage.untilTrial());
			stage.breaker.failed();
		}
		expect(waits).toEqual([1, 2, 4, 8, 16, 30, 30, 30].map((seconds) => seconds * 1_000));
		expect(stage.breaker.failures).toBe(3 + 8);
	});

	test("waits a fifth less or more, as chance has it", () => {
		for (const [chance, factor] of [
			[0, 1 - BACK_OFF_JITTER],
			[0.25, 1 - BACK_OFF_JITTER / 2],
			[0.75, 1 + BACK_OFF_JITTER / 2],
		] as const) {
			const stage = new Stage();
			stage.chance = chance;
			stage.failProbes(3);
			expect(stage.untilTrial()).toBeCloseTo(BACK_OFF_MS_FIRST * factor);
			for (let i = 0; i < 6; i++) {
				stage.breaker.failed();
				if (i < 5) stage.untilTrial();
			}
			expect(stage.untilTrial()).toBeCloseTo(BACK_OFF_MS_MAX * factor);
		}
	});

	test("lets one trial through while half-open, and no second one", () => {
		const stage = new Stage();
		stage.failProbes(3);
		stage.untilTrial();
		expect(stage.breaker.state).toBe("half-open");
		expect(stage.breaker.admitsProbe()).toBe(false);
		stage.breaker.failed();
		expect(stage.breaker.state).toBe("open");
		expect(stage.breaker.admitsProbe()).toBe(false);
	});

	test("closes with a trial that succeeds, and the next outage begins at 1 second again", () => {
		const stage = new Stage();
		stage.failProbes(3);
		for (let i = 0; i < 4; i++) {
			stage.untilTrial();
			stage.breaker.failed();
		}
		expect(stage.untilTrial()).toBe(16_000);
		stage.breaker.succeeded();
		expect(stage.breaker.state).toBe("closed");
		expect(stage.breaker.failures).toBe(0);
		stage.failProbes(3);
		expect(stage.untilTrial()).toBe(BACK_OFF_MS_FIRST);
	});

	test("need not wait where there is a sign of life, and begins with 1 second again after a trial that was in vain", () => {
		const stage = new Stage();
		stage.failProbes(3);
		for (let i = 0; i < 3; i++) {
			stage.untilTrial();
			stage.breaker.failed();
		}
		expect(stage.breaker.nextTryMs).toBe(8_000);
		stage.breaker.hurry();
		expect(stage.breaker.admitsProbe()).toBe(true);
		stage.breaker.hurry();
		expect(stage.breaker.state).toBe("half-open");
		stage.breaker.failed();
		expect(stage.untilTrial()).toBe(1_000);
		stage.breaker.failed();
		expect(stage.untilTrial()).toBe(2_000);
	});

	test("takes no notice of late answers while open", () => {
		const stage = new Stage();
		stage.failProbes(3);
		stage.breaker.succeeded();
		stage.breaker.failed();
		expect(stage.breaker.state).toBe("open");
		expect(stage.breaker.failures).toBe(3);
		expect(stage.untilTrial()).toBe(BACK_OFF_MS_FIRST);
	});
});
