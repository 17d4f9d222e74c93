/** The reservation example: it runs by one command, and its reminders and its end come in time, whatever restarts. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { type ReservationTimes, reservationWith } from "../../examples/reservation.ts";
import type { EmbeddedNode } from "../../runtime/embedded-node.ts";
import { settled } from "../../testing/virtual-time.ts";
import { EmbeddedStage, TimedStage } from "../kit/embedded.ts";

const MINUTE_MS = 60_000;
const TIMES: ReservationTimes = { payMs: 60 * MINUTE_MS, remindEveryMs: 25 * MINUTE_MS };

type Reservations = EmbeddedNode<readonly [ReturnType<typeof reservationWith>]>;

/** What followers have heard until now: minutes since `start`, and the news. */
async function heard(node: Reservations, id: string, start: number): Promise<unknown[]> {
	const news: unknown[] = [];
	for await (const { timestamp, effects } of node.ref("reservation", id).history()) {
		for (const effect of effects) {
			if (effect.type === "emit") news.push([(timestamp - start) / MINUTE_MS, effect.event.type]);
		}
	}
	return news;
}

test("node examples/reservation.ts shows a payment, a cancellation, a reminder, a restart and an end", () => {
	const file = fileURLToPath(new URL("../../examples/reservation.ts", import.meta.url));
	const { stdout, stderr, status } = spawnSync(process.execPath, [file], {
		encoding: "utf8",
		timeout: 60_000,
	});
	expect(status, stderr).toBe(0);
	expect(stdout.trim().split("\n")).toEqual([
		"ben wants to pay: paid",
		"cem wants to cancel: cancelled",
		"ann is reminded",
		"the node stops, and starts again",
		"time is up: ann's reservation is gone",
		"ann wants to pay: its time is up",
		"ben: paid, 0 reminders",
		"cem: cancelled, 0 reminders",
	]);
});

test("a reservation that is not paid is reminded of every 25 minutes and gone after 60; then nothing comes", async () => {
	const stage = new TimedStage();
	const start = stage.time.now();
	const { node } = await stage.start([reservationWith(TIMES)]);
	await node.ref("reservation", "1").tell({ type: "reserve", guest: "ann" });
	await stage.time.advance(24 * 60 * MINUTE_MS);
	expect(await heard(node, "1", start)).toEqual([
		[25, "reminded"],
		[50, "reminded"],
		[60, "gone"],
	]);
});

test.each(["pay", "cancel"] as const)(
	"after %s comes neither reminder nor end, and it is done once",
	async (type) => {
		const stage = new TimedStage();
		const start = stage.time.now();
		const { node } = await stage.start([reservationWith(TIMES)]);
		const one = node.ref("reservation", "1");
		await one.tell({ type: "reserve", guest: "ann" });
		await stage.time.advance(30 * MINUTE_MS);
		const answers: string[] = [];
		for (let i = 0; i < 2; i++) {
			one.ask<string>({ type }).then(
				(answer) => answers.push(answer),
				(error: Error) => answers.push(error.message),
			);
			await settled();
		}
		const done = type === "pay" ? "paid" : "cancelled";
		expect(answers).toEqual([done, `it is ${done}`]);
		await stage.time.advance(24 * 60 * MINUTE_MS);
		expect(await heard(node, "1", start)).toEqual([[25, "reminded"]]);
		expect((await one.state()).value).toBe(done);
	},
);

test.each([
	[30, 20, [25, "reminded"], [50, "reminded"], [60, "gone"]],
	[30, 25, [25, "reminded"], [55, "reminded"], [60, "gone"]],
	[30, 300, [25, "reminded"], [330, "gone"]],
])(
	"a crash after %i minutes, for %i: a reminder that was missed comes once, the end does not move",
	async (upMinutes, downMinutes, ...news) => {
		const stage = new TimedStage();
		const start = stage.time.now();
		const first = await stage.start([reservationWith(TIMES)]);
		await first.node.ref("reservation", "1").tell({ type: "reserve", guest: "ann" });
		await stage.time.advance(upMinutes * MINUTE_MS);
		first.crash();
		await stage.time.advance(downMinutes * MINUTE_MS);
		const { node } = await stage.start([reservationWith(TIMES)]);
		await stage.time.advance(24 * 60 * MINUTE_MS);
		expect(await heard(node, "1", start)).toEqual(news);
	},
);

test("on SQLite, a node that is restarted between a reminder and the end has neither twice nor forgets one", async () => {
	const stage = new EmbeddedStage("sqlite");
	onTestFinished(() => stage.remove());
	// Long enough that the restart ends before the time is up.
	const times = { payMs: 5_000, remindEveryMs: 2_000 };
	const first = await stage.start([reservationWith(times)]);
	const before = first.ref("reservation", "1");
	await before.tell({ type: "reserve", guest: "ann" });
	let next = 0;
	for await (const { event, offset } of before.emitted()) {
		expect(event).toEqual({ type: "reminded", guest: "ann", count: 1 });
		next = offset + 1;
		break;
	}
	await first.stop();
	const second = await stage.start([reservationWith(times)]);
	const after = second.ref("reservation", "1");
	expect((await after.state()).value).toBe("held");
	const news: unknown[] = [];
	for await (const { event } of after.emitted({ from: next })) {
		news.push(event);
		if (event.type === "gone") break;
	}
	expect(news).toEqual([
		{ type: "reminded", guest: "ann", count: 2 },
		{ type: "gone", guest: "ann" },
	]);
	await expect(after.ask({ type: "pay" })).rejects.toThrow("its time is up");
	let reserved = 0;
	let gone = 0;
	for await (const { timestamp, type, state } of after.history()) {
		if (type === "reserve") reserved = timestamp;
		if (state === "expired" && gone === 0) gone = timestamp;
	}
	expect(gone - reserved).toBeGreaterThanOrEqual(times.payMs);
});
