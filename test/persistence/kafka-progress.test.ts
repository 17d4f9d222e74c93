/** Claims of health by progress, with time and the broker in the test's hands. */
import { expect, test } from "vitest";
import {
	KafkaProgress,
	PROBE_EVERY_MS,
	PROBE_MS_MAX,
	PROBE_PAUSE_MS,
	READS_SILENT_MS,
} from "../../persistence/kafka-progress.ts";
import type { LogHealth } from "../../persistence/log.ts";
import { VirtualTime } from "../../testing/virtual-time.ts";

class Stage {
	readonly time = new VirtualTime(0);
	readonly statuses: string[] = [];
	readonly probedAt: number[] = [];
	/** What a probe meets. */
	broker: "answers" | "refuses" | "frozen" = "answers";
	readonly progress = new KafkaProgress((health) => this.statuses.push(health.status), {
		now: this.time.now,
		after: this.time.after,
		random: () => 0.5,
	});

	constructor() {
		this.progress.watch(async () => {
			this.probedAt.push(this.time.now());
			if (this.broker === "refuses") throw new Error("connection refused");
			while (this.broker === "frozen") await this.time.pause(10);
		});
	}

	get health(): LogHealth {
		return this.progress.health();
	}

	/** The driver's own requests, ten a second. */
	async work(ms: number, kinds: readonly ("wrote" | "read")[] = ["wrote", "read"]): Promise<void> {
		for (let past = 0; past < ms; past += 100) {
			for (const kind of kinds) this.progress[kind]();
			await this.time.advance(100);
		}
	}

	async until(status: LogHealth["status"], withinMs: number): Promise<number> {
		const since = this.time.now();
		while (this.health.status !== status) {
			expect(this.time.now() - since).toBeLessThan(withinMs);
			await this.time.advance(50);
		}
		return this.time.now() - since;
	}
}

test("a log that is in use is not probed, an idle one every 5 seconds", async () => {
	const stage = new Stage();
	await stage.work(20_000);
	expect(stage.probedAt).toEqual([]);
	await stage.work(60_000, ["read"]);
	expect(stage.probedAt.length).toBeGreaterThanOrEqual(60_000 / (PROBE_EVERY_MS + 500));
	expect(stage.probedAt.length).toBeLessThanOrEqual(60_000 / PROBE_EVERY_MS);
	expect(stage.progress.stats).toMatchObject({ succeeded: stage.probedAt.length, failed: 0, opened: 0 });
	expect(stage.statuses).toEqual([]);
});

test("a frozen broker makes the log degraded within one interval, and unavailable after three probes", async () => {
	const stage = new Stage();
	await stage.work(10_000);
	stage.broker = "frozen";
	const degradedMs = await stage.until("degraded", PROBE_EVERY_MS);
	expect(degradedMs).toBeGreaterThan(READS_SILENT_MS);
	expect(stage.health).toMatchObject({ stuck: true, cause: `no answer within ${PROBE_MS_MAX} ms` });
	await stage.until("unavailable", 3 * (PROBE_MS_MAX + PROBE_PAUSE_MS));
	expect(stage.health).toMatchObject({ retry: { attempts: 3 } });
	expect(stage.progress.shut).toBeDefined();
	// One after the other, however many are judged.
	expect(stage.probedAt).toHaveLength(1);
});

test("a broker that refuses is known within seconds, tried at 1, 2, 4 … seconds, and all goes on when it answers", async () => {
	const stage = new Stage();
	await stage.work(10_000);
	stage.broker = "refuses";
	stage.progress.failed("connection refused");
	expect(stage.health).toMatchObject({ status: "degraded", stuck: false });
	expect(stage.progress.stats.breaker).toBe("closed");
	await stage.until("unavailable", 4_000);
	expect(stage.progress.stats.breaker).toBe("open");
	const { shut } = stage.progress;
	let open = false;
	void shut?.then(() => {
		open = true;
	});
	const before = stage.probedAt.length;
	await stage.time.advance(64_000);
	const trials = stage.probedAt.slice(before - 1);
	const waits = trials.slice(1).map((at, i) => Math.round((at - (trials[i] as number)) / 1_000));
	expect(waits).toEqual([1, 2, 4, 8, 16, 30]);
	expect(open).toBe(false);
	stage.broker = "answers";
	await stage.until("healthy", 31_000);
	expect(open).toBe(true);
	expect(stage.progress.shut).toBeUndefined();
	expect(stage.statuses).toEqual(["degraded", "unavailable", "healthy"]);
	expect(stage.progress.stats).toMatchObject({ opened: 1, breaker: "closed" });
});

test("a group that is heard again after a silence brings the trial forward, one that never fell silent does not", async () => {
	const stage = new Stage();
	stage.broker = "refuses";
	const beat = async (ms: number) => {
		for (let past = 0; past < ms; past += 300) {
			stage.progress.heard();
			await stage.time.advance(300);
		}
	};
	await stage.until("unavailable", 20_000);
	await beat(40_000);
	const spaced = stage.probedAt.slice(2).map((at) => at - (stage.probedAt[2] as number));
	expect(spaced.map((ms) => Math.round(ms / 1_000))).toEqual([0, 1, 3, 7, 15, 31]);
	await stage.time.advance(3_000);
	stage.broker = "answers";
	stage.progress.heard();
	expect(await stage.until("healthy", 1_000)).toBeLessThan(1_000);
});

test("some requests that fail while others succeed make the log degraded, never unavailable", async () => {
	const stage = new Stage();
	for (let i = 0; i < 300; i++) {
		stage.progress.failed("not the leader");
		await stage.work(100);
	}
	expect(stage.health).toMatchObject({ status: "degraded", cause: "not the leader", stuck: false });
	await stage.work(6_000);
	expect(stage.health).toEqual({ status: "healthy" });
	expect(stage.statuses).toEqual(["degraded", "healthy"]);
});

test("a probe whose own way is blocked counts for nothing while other requests get on", async () => {
	const stage = new Stage();
	stage.broker = "refuses";
	for (let i = 0; i < 100; i++) {
		stage.progress.failed("not the leader");
		stage.progress.wrote();
		stage.progress.read();
		await stage.time.advance(1_000);
		await stage.work(100);
	}
	expect(stage.statuses).not.toContain("unavailable");
});

test("reads alone are no progress: a log that takes no appends becomes unavailable", async () => {
	const stage = new Stage();
	stage.broker = "refuses";
	await stage.work(15_000, ["read"]);
	expect(stage.health.status).toBe("unavailable");
});

test("who waits for a log that is left alone goes on when the watch ends", async () => {
	const stage = new Stage();
	stage.broker = "refuses";
	await stage.until("unavailable", 20_000);
	const { shut } = stage.progress;
	stage.progress.end();
	await shut;
	expect(stage.progress.shut).toBeUndefined();
});
