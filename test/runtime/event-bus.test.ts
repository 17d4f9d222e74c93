/** The event bus over every log: two nodes on the memory log and on Kafka, one on the embedded log. */
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, inject, test, vi } from "vitest";
import { EVENT_BYTES_MAX } from "../../runtime/event-data.ts";
import { HANDLER_QUEUE_EVENTS_MAX } from "../../runtime/event-handlers.ts";
import type { EventData, JsonValue } from "../../runtime/index.ts";
import { type Buses, EVENT_LOGS, logEnds, startBuses } from "../kit/event-stage.ts";

/** Milliseconds within which an event is heard. */
const ARRIVES_MS = 2_000;
/** On a machine that is busy with other tests. */
const PATIENT_MS = 20_000;
const ROUNDS = { memory: 1_000, sqlite: 1_000, kafka: 20 };
const PROPERTY_RUNS = { memory: 200, sqlite: 200, kafka: 30 };

describe.each(EVENT_LOGS)("events between embedders, on the %s log", (driver) => {
	let buses: Buses;
	let names = 0;
	const fresh = () => `event-${++names}`;

	beforeAll(async () => {
		buses = await startBuses(driver, inject("kafkaBrokers"));
	});
	afterAll(() => buses?.stop());

	/** What `first` hears of an event. */
	async function listen(event: string) {
		const heard: EventData[] = [];
		await buses.first.bus.on(event, (data) => heard.push(data));
		return {
			heard,
			count: (count: number) =>
				vi.waitFor(() => expect(heard.length).toBe(count), { timeout: PATIENT_MS, interval: 2 }),
		};
	}

	test("scenario 1: the first event after an awaited subscription arrives, in every round", async () => {
		let slowestMs = 0;
		for (let round = 0; round < ROUNDS[driver]; round++) {
			const event = fresh();
			const arrived = Promise.withResolvers<EventData>();
			await buses.first.bus.on(event, arrived.resolve);
			const since = performance.now();
			await buses.second.bus.emit(event, { round });
			expect(await arrived.promise).toEqual({ round });
			slowestMs = Math.max(slowestMs, performance.now() - since);
			if (round % 2 === 0) await buses.first.bus.off(event);
		}
		expect(slowestMs).toBeLessThan(ARRIVES_MS);
	});

	test("scenario 2: a local event reaches local handlers of its process only, and no partition's end moves", async () => {
		const event = fresh();
		const local: EventData[] = [];
		const remote = await listen(event);
		const before = await logEnds(buses.first);
		buses.first.bus.onLocal(event, (data) => local.push(data));
		buses.first.bus.onceLocal(event, (data) => local.push(["once", data as JsonValue]));
		const waited = buses.first.bus.waitForLocal(event, { timeoutMs: PATIENT_MS, match: 2 });
		buses.first.bus.emitLocal(event, 1);
		buses.first.bus.emitLocal(event, 2);
		expect(await waited).toBe(2);
		expect(local).toEqual([1, ["once", 1], 2]);
		buses.first.bus.offLocal(event);
		buses.first.bus.emitLocal(event, 3);
		expect(local).toHaveLength(3);
		expect(await logEnds(buses.first)).toEqual(before);
		expect(remote.heard).toEqual([]);
	});

	test("scenario 3: any JSON value, text or bytes arrive with value and type as they were", async () => {
		const event = fresh();
		const { heard, count } = await listen(event);
		const sent: EventData[] = [
			"",
			"ünï — 漢字 🙂",
			"x".repeat(1024 * 1024),
			new Uint8Array(),
			new Uint8Array(1024 * 1024).fill(7),
		];
		sent.push(
			null,
			-0,
			5e-324,
			"null",
			{ __proto__: null, a: [1.5, { b: "" }] },
			JSON.parse('{"__proto__":1}'),
		);
		const seed = Math.floor(Math.random() * 2 ** 31);
		console.info(`scenario 3 on ${driver}: seed ${seed}`);
		const values = fc.oneof(
			fc.jsonValue({ stringUnit: "grapheme" }),
			fc.string({ unit: "binary" }),
			fc.uint8Array(),
		);
		sent.push(...(fc.sample(values, { seed, numRuns: PROPERTY_RUNS[driver] }) as EventData[]));
		await Promise.all(sent.map((data) => buses.second.bus.emit(event, data)));
		await count(sent.length);
		expect(heard).toEqual(sent);
	});

	test("scenario 4: with once, then on, and two events from another node, once runs 1 time and on 2 times", async () => {
		const event = fresh();
		const calls: string[] = [];
		const note = (name: string) => async (data: EventData) => calls.push(`${name} ${data}`);
		await buses.first.bus.once(event, note("once"));
		await buses.first.bus.on(event, note("on"));
		await buses.first.bus.once(event, note("other once"));
		await buses.second.bus.emit(event, 1);
		await buses.second.bus.emit(event, 2);
		await vi.waitFor(() => expect(calls).toContain("on 2"), { timeout: PATIENT_MS });
		expect(calls).toEqual(["once 1", "on 1", "other once 1", "on 2"]);
	});

	test("scenario 5: a waiter gets the event that matches; without one, the error names event and match", async () => {
		const event = fresh();
		const waited = buses.first.bus.waitFor(event, { timeoutMs: PATIENT_MS, match: { step: 2, in: ["a"] } });
		await vi.waitFor(() => {
			expect(buses.first.bus.status.events).toContainEqual({ event, handlers: 1, inForce: true });
		});
		await buses.second.bus.emit(event, { step: 1, in: ["a"] });
		await buses.second.bus.emit(event, "step 2");
		await buses.second.bus.emit(event, { step: 2, in: ["a"], more: true });
		expect(await waited).toEqual({ step: 2, in: ["a"], more: true });
		await expect(buses.first.bus.waitFor(event, { timeoutMs: 50, match: { step: 9 } })).rejects.toMatchObject(
			{
				code: "event.wait-timeout",
				message: `no event "${event}" that matches {"step":9} came within 50 ms`,
			},
		);
		await vi.waitFor(() => {
			expect(buses.first.bus.status.events.map((status) => status.event)).not.toContain(event);
		});
	});

	test("scenario 6: after the last handler was removed nothing is handled, and the interest is gone from the node's status", async () => {
		const event = fresh();
		const { heard, count } = await listen(event);
		const other = () => {};
		await buses.first.bus.on(event, other);
		await buses.first.bus.off(event, other);
		await buses.second.bus.emit(event, "before");
		await count(1);
		const interest = async () => {
			const asked = { kind: "query", timeoutMs: PATIENT_MS } as const;
			return {
				node: await buses.second.node.ask("interest/n1", { type: "interest.events" }, asked),
				event: await buses.second.node.ask(`event/${event}`, { type: "event.nodes" }, asked),
			};
		};
		expect(await interest()).toMatchObject({ node: expect.arrayContaining([event]), event: ["n1"] });
		await buses.first.bus.off(event);
		expect(await interest()).toMatchObject({ node: expect.not.arrayContaining([event]), event: [] });
		expect(buses.first.bus.status.events.map((status) => status.event)).not.toContain(event);
		await buses.second.bus.emit(event, "after");
		await buses.first.bus.on(event, (data) => heard.push(["again", data as string]));
		await buses.second.bus.emit(event, "end");
		await count(2);
		expect(heard).toEqual(["before", ["again", "end"]]);
	});

	test("handlers that take their time are called in the order of each emitter, one event after the other", async () => {
		const event = fresh();
		const handled: string[] = [];
		let inside = 0;
		await buses.first.bus.on(event, async (data, { node }) => {
			expect(++inside).toBe(1);
			await new Promise((resolve) => setImmediate(resolve));
			handled.push(`${node} ${data}`);
			inside--;
		});
		const count = 100;
		const emitters = [...new Set([buses.first, buses.second])];
		for (const { bus } of emitters) for (let n = 0; n < count; n++) void bus.emit(event, n);
		await vi.waitFor(() => expect(handled).toHaveLength(emitters.length * count), { timeout: PATIENT_MS });
		for (const { node } of emitters) {
			const own = handled.filter((line) => line.startsWith(`${node.name.id} `));
			expect(own).toEqual(Array.from({ length: count }, (_, n) => `${node.name.id} ${n}`));
		}
	});
});

describe("the event bus", () => {
	let buses: Buses;
	beforeAll(async () => {
		buses = await startBuses("memory", "");
	});
	afterAll(() => buses?.stop());

	test.each([
		["lone", "\ud800", "data has a lone surrogate"],
		["lone inside", { a: ["\udfff"] }, "data.a[0] has a lone surrogate"],
		["undefined", undefined, "data is undefined"],
		["undefined inside", { a: { b: undefined } }, "data.a.b is undefined"],
		["not a number", { a: Number.NaN }, "data.a is NaN"],
		["a function", { f: () => {} }, "data.f is a function"],
		["a date", [new Date(0)], "data[0] is a Date"],
	])("refuses what would not arrive as it is: %s", async (_, data, problem) => {
		await expect(buses.first.bus.emit("unsendable", data as EventData)).rejects.toMatchObject({
			code: "event.not-sendable",
			message: `an event cannot carry this: ${problem}`,
		});
	});

	test("refuses data over the limit, with the limit named, and names that are none", async () => {
		await expect(buses.first.bus.emit("large", new Uint8Array(EVENT_BYTES_MAX + 1))).rejects.toMatchObject({
			code: "event.too-large",
			details: { limit: EVENT_BYTES_MAX },
		});
		for (const name of ["", "x".repeat(201), "\ud800"]) {
			await expect(buses.first.bus.emit(name, 1)).rejects.toMatchObject({ code: "event.invalid-name" });
			await expect(buses.first.bus.on(name, () => {})).rejects.toMatchObject({ code: "event.invalid-name" });
		}
	});

	test("takes names with any characters, and keeps those apart that begin alike", async () => {
		const heard: string[] = [];
		const events = ["a/b:c*d._ e", "a/b", "a", "*", "é".repeat(200)];
		for (const event of events) await buses.first.bus.on(event, () => heard.push(event));
		for (const event of events) await buses.second.bus.emit(event, 1);
		await vi.waitFor(() => expect(heard.length).toBeGreaterThanOrEqual(events.length));
		expect(heard.sort()).toEqual([...events].sort());
	});

	test("an emitted event reaches each kind of handler once: on everywhere, onLocal at its emitter", async () => {
		const calls: string[] = [];
		buses.first.bus.onLocal("kinds", () => calls.push("first local"));
		buses.second.bus.onLocal("kinds", () => calls.push("second local"));
		await buses.first.bus.on("kinds", () => calls.push("first"));
		await buses.second.bus.on("kinds", () => calls.push("second"));
		await buses.second.bus.emit("kinds", 1);
		await vi.waitFor(() => expect(calls.length).toBeGreaterThanOrEqual(3));
		expect(calls.sort()).toEqual(["first", "second", "second local"]);
	});

	test("a handler that throws is told of and disturbs no other, and the log stays healthy", async () => {
		const heard: EventData[] = [];
		await buses.first.bus.on("throwing", () => {
			throw new Error("handler's own fault");
		});
		await buses.first.bus.on("throwing", (data) => heard.push(data));
		for (const n of [1, 2, 3]) await buses.second.bus.emit("throwing", n);
		await vi.waitFor(() => expect(heard).toEqual([1, 2, 3]));
		const lines = buses.first.logger.lines.filter(
			({ message }) => message === "a handler of an event failed",
		);
		expect(lines).toHaveLength(3);
		expect(buses.first.log.health()).toEqual({ status: "healthy" });
	});

	test("a handler that does not keep up loses what its queue does not take, counted and told once", async () => {
		const release = Promise.withResolvers<void>();
		let handled = 0;
		buses.first.bus.onLocal("slow", async () => {
			await release.promise;
			handled++;
		});
		for (let n = 0; n < HANDLER_QUEUE_EVENTS_MAX + 11; n++) buses.first.bus.emitLocal("slow", n);
		expect(buses.first.bus.status.dropped).toBe(10);
		release.resolve();
		await vi.waitFor(() => expect(handled).toBe(HANDLER_QUEUE_EVENTS_MAX + 1), { timeout: PATIENT_MS });
		const told = buses.first.logger.lines.filter(({ message }) => /does not keep up/.test(message));
		expect(told).toHaveLength(1);
	});

	test("10,000 waits that end leave no handler and no interest", async () => {
		const waits = Array.from({ length: 10_000 }, (_, n) =>
			buses.first.bus.waitFor(`wait-${n % 100}`, { timeoutMs: PATIENT_MS, match: (data) => data === n }),
		);
		await vi.waitFor(() => {
			expect(buses.first.bus.status.events.filter(({ inForce }) => inForce).length).toBeGreaterThanOrEqual(
				10,
			);
		});
		for (let n = 0; n < waits.length; n++) void buses.second.bus.emit(`wait-${n % 100}`, n);
		expect(await Promise.all(waits)).toEqual(waits.map((_, n) => n));
		await vi.waitFor(() => {
			expect(buses.first.bus.status.events.filter(({ event }) => event.startsWith("wait-"))).toEqual([]);
		});
	});
});
