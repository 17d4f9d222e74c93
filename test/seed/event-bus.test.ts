/**
 * The seed's eight event-bus tests under their names, with what they must show: a node that subscribes and a node that
 * emits are two operating system processes over a Kafka prefix that nobody used before.
 */
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { EventData, EventStatus } from "../../runtime/index.ts";
import { EventProcess } from "../kit/event-processes.ts";

const ROUNDS = 1_000;
/** Rounds that run beside each other. */
const LANES = 50;
const PATIENT_MS = 20_000;
const RANDOM_VALUES = 100;

describe("test_kafka_event_bus", () => {
	let here: EventProcess;
	let there: EventProcess;

	beforeAll(async () => {
		[here, there] = await EventProcess.startTwo();
	});
	afterAll(() => Promise.all([here?.stop(), there?.stop()]));

	const inForce = async (event: string) => {
		const { events } = await here.run<{ events: readonly EventStatus[] }>("status");
		return events.find((status) => status.event === event)?.inForce === true;
	};

	test(`test_kafka_event_emission, scenario 1: the first event after an awaited subscription arrives, ${ROUNDS} times in ${ROUNDS}`, async () => {
		const emitting: Promise<unknown>[] = [];
		here.onSubscribed = (event) => emitting.push(there.run("emit", event, event));
		const lanes = Array.from({ length: LANES }, (_, lane) =>
			here.run("rounds", `lane ${lane}`, ROUNDS / LANES),
		);
		await Promise.all(lanes);
		expect(await Promise.all(emitting)).toHaveLength(ROUNDS);
		// The kinds of handlers at one emitter: each gets the event once.
		await there.run("on", "both");
		await there.run("onLocal", "both");
		await there.run("emit", "both", { data: "test" });
		expect(await there.heard("on", "both", 1)).toEqual([{ data: "test" }]);
		expect(await there.heard("local", "both", 1)).toEqual([{ data: "test" }]);
	}, 120_000);

	test("test_kafka_local_event_handling, scenario 2: a local event reaches local handlers only, and no partition's end moves", async () => {
		await there.run("on", "inside");
		await here.run("on", "inside");
		await here.run("onLocal", "inside");
		const before = await here.run("ends");
		await here.run("emitLocal", "inside", { n: 1 });
		expect(await here.heard("local", "inside", 1)).toEqual([{ n: 1 }]);
		expect(await here.run("ends")).toEqual(before);
		// Behind it, an event for everybody: what came before would have been heard by then.
		await here.run("emit", "inside", "end");
		for (const process of [here, there]) expect(await process.heard("on", "inside", 1)).toEqual(["end"]);
	});

	test("test_kafka_remote_event_handling: emitter and subscriber are two processes, and the event comes once", async () => {
		expect(here.pid).not.toBe(there.pid);
		await here.run("on", "remote");
		await there.run("emit", "remote", { step: 1 });
		await there.run("emit", "remote", { step: 2 });
		expect(await here.heard("on", "remote", 2)).toEqual([{ step: 1 }, { step: 2 }]);
		expect(await there.heard("on", "remote")).toEqual([]);
	});

	test("test_kafka_string_event_handling: empty, non-ASCII and 1 MiB texts stay as they are; lone surrogates are refused by name", async () => {
		const texts = ["", "ünï — 漢字 🙂", "{}", "null", "é".repeat(512 * 1024)];
		await here.run("on", "texts");
		for (const text of texts) await there.run("emit", "texts", text);
		expect(await here.heard("on", "texts", texts.length)).toEqual(texts);
		await expect(there.run("emit", "texts", "\udc00")).rejects.toMatchObject({ code: "event.not-sendable" });
	});

	test("test_kafka_binary_event_handling, scenario 3: bytes and JSON values of every kind, empty ones too, stay as they are", async () => {
		const seed = Math.floor(Math.random() * 2 ** 31);
		console.info(`test_kafka_binary_event_handling: seed ${seed}`);
		const some = fc.oneof(fc.uint8Array({ maxLength: 3_000 }), fc.jsonValue());
		const values = fc.sample(some, { seed, numRuns: RANDOM_VALUES }) as EventData[];
		const sent = [
			new Uint8Array(),
			null,
			0,
			false,
			[],
			{},
			Uint8Array.from({ length: 256 }, (_, i) => i),
			...values,
		];
		await here.run("on", "bytes");
		await Promise.all(sent.map((data) => there.run("emit", "bytes", data)));
		const heard = await here.heard("on", "bytes", sent.length);
		expect(heard).toEqual(sent);
		expect(heard[0]).toBeInstanceOf(Uint8Array);
	});

	test("test_kafka_wait_for_event, scenario 5: a waiter gets the match of another node; without one the error names event and match", async () => {
		const waited = here.run("waitFor", "step", PATIENT_MS, { step: 2 });
		await vi.waitFor(async () => expect(await inForce("step")).toBe(true), { timeout: PATIENT_MS });
		await there.run("emit", "step", { step: 1 });
		await there.run("emit", "step", { step: 2, more: "x" });
		expect(await waited).toEqual({ step: 2, more: "x" });
		const late = here.run("waitFor", "step", 200, { step: 3 });
		await expect(late).rejects.toMatchObject({
			code: "event.wait-timeout",
			message: 'no event "step" that matches {"step":3} came within 200 ms',
		});
		await vi.waitFor(async () => expect(await here.run("ask", "event/step", "event.nodes")).toEqual([]), {
			timeout: PATIENT_MS,
		});
	});

	test("test_kafka_event_off, scenario 6: after the last off nothing is handled, and the interest is gone from the log", async () => {
		await here.run("on", "ended");
		await there.run("emit", "ended", 1);
		await here.heard("on", "ended", 1);
		expect(await there.run("ask", "interest/n1", "interest.events")).toContain("ended");
		await here.run("off", "ended");
		expect(await there.run("ask", "interest/n1", "interest.events")).not.toContain("ended");
		expect(await there.run("ask", "event/ended", "event.nodes")).toEqual([]);
		await there.run("emit", "ended", 2);
		await here.run("on", "ended-end");
		await there.run("emit", "ended-end", 0);
		await here.heard("on", "ended-end", 1);
		expect(await here.heard("on", "ended")).toEqual([1]);
	});

	test("test_kafka_once_event_handling, scenario 4: once and on, once and once, and late ones: each once fires for the first event alone", async () => {
		await here.run("once", "single");
		await here.run("on", "single");
		await here.run("once", "single");
		await here.run("onceLate", "single");
		await there.run("emit", "single", "first");
		await there.run("emit", "single", "second");
		expect(await here.heard("on", "single", 2)).toEqual(["first", "second"]);
		expect(await here.heard("once", "single", 3)).toEqual(["first", "first", "first"]);
	});
});
