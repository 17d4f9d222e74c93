/**
 * A connection between a socket and parts that answer as the test says: what it lets in, and when it lets go.
 */
import { describe, expect, test } from "vitest";
import { ADMISSIONS_AT_ONCE_MAX, Admission } from "../../gateway/admission.ts";
import { Connection } from "../../gateway/connection.ts";
import type { GatewayParts } from "../../gateway/gateway.ts";
import { IN_FLIGHT_BYTES_MAX, IN_FLIGHT_FRAMES_MAX } from "../../gateway/in-flight.ts";
import { createMetrics } from "../../gateway/metrics.ts";
import { Router } from "../../gateway/router.ts";
import { GatewayOutlets } from "../../gateway/server.ts";
import { Tokens } from "../../gateway/tokens.ts";
import { MycelogError } from "../../persistence/errors.ts";
import { systemClock } from "../../runtime/clock.ts";
import { RefusedError } from "../../runtime/node.ts";
import { message } from "../kit/messages.ts";
import { frameBytes, readFrame } from "../kit/raw-client.ts";

const GRANTED = { from: 0, upTo: 0, recovered: false, seen: null, admission: { permission: "a" } };

/** One connection on a stage: `texts` and `closed` are what its client would see. */
class Scene {
	readonly texts: Record<string, unknown>[] = [];
	readonly metrics = createMetrics();
	readonly taken: (() => void)[] = [];
	closed: { code: number; reason: string } | undefined;
	frames = 0;
	/** First mailbox offset that is kept. */
	start = 0;
	readonly connection: Connection;

	readonly sent: Uint8Array[] = [];
	readonly submitted: unknown[] = [];
	/** What its actor is told. */
	readonly told: unknown[] = [];
	readonly unreported = new Set();
	now = 1_000_000;

	constructor(
		admit: () => Promise<unknown> = async () => GRANTED,
		messagesPerSecondMax = 1_000_000,
		admission = new Admission(),
	) {
		const socket = {
			send: (bytes: Uint8Array) => this.sent.push(bytes) > 0,
			sendText: (text: string) => this.texts.push(JSON.parse(text)) > 0,
			ping: () => {},
			bufferedBytes: () => 0,
			destroy: () => {},
			mistaken: () => false,
			close: (code: number, reason: string) => {
				this.closed = { code, reason };
			},
		};
		const route = () => {
			this.frames++;
			return new Promise<void>((resolve) => this.taken.push(resolve));
		};
		const parts = {
			node: {
				name: { text: "n~1" },
				ask: admit,
				submit: async (draft: unknown) => this.submitted.push(draft),
				tell: async (_: string, event: unknown) => this.told.push(event),
				report: async (_: string, event: unknown) => this.told.push(event),
				mailbox: () => ({ topic: "clients", partition: 0 }),
				log: { read: async () => [], bounds: async () => ({ start: this.start, end: 100 }) },
			},
			tokens: new Tokens({ secret: "a secret for tests", rootToken: undefined, now: Date.now }),
			router: { route, rejectionOf: Router.prototype.rejectionOf },
			outgoing: { bytes: () => Uint8Array.of(1) },
			metrics: this.metrics,
			clock: { now: () => this.now, after: systemClock.after.bind(systemClock) },
			logger: { debug() {}, info() {}, warn() {}, error() {} },
			options: { host: "h", port: 1, basePath: "", resumeWindowMs: 0, version: "1", messagesPerSecondMax },
			admission,
			handshaking: new Set(),
			unreported: this.unreported,
		};
		this.connection = new Connection("c", socket, parts as unknown as GatewayParts);
	}

	/** Resolves when the handshake has ended, one way or the other. */
	async hello(): Promise<this> {
		this.connection.text(JSON.stringify({ client_id: "me" }));
		while (this.texts.length === 0 && !this.closed) await new Promise((resolve) => setImmediate(resolve));
		return this;
	}

	async count(name: "shed" | "handshakes"): Promise<Record<string, number>> {
		const { values } = await this.metrics[name].get();
		return Object.fromEntries(values.map(({ labels, value }) => [Object.values(labels)[0], value]));
	}
}

describe("what a connection may have under way", () => {
	test("is bounded in bytes: the one that sends more is told and closed, once", async () => {
		const scene = await new Scene().hello();
		const frame = new Uint8Array(1024 * 1024);
		for (let sent = 0; sent < IN_FLIGHT_BYTES_MAX; sent += frame.length) scene.connection.binary(frame);
		expect(scene.closed).toBeUndefined();
		for (let i = 0; i < 3; i++) scene.connection.binary(frame);
		expect(scene.frames).toBe(IN_FLIGHT_BYTES_MAX / frame.length + 1);
		expect(scene.closed?.code).toBe(1008);
		expect(scene.texts.slice(1)).toEqual([{ type: "error", message: scene.closed?.reason }]);
		expect(await scene.count("shed")).toEqual({ "in-flight": 1 });
	});

	test("is bounded in frames, and frames that were taken do not count", async () => {
		const scene = await new Scene().hello();
		const frame = new Uint8Array(1);
		for (let i = 0; i < IN_FLIGHT_FRAMES_MAX; i++) scene.connection.binary(frame);
		for (const take of scene.taken.splice(0, 1_000)) take();
		await new Promise((resolve) => setImmediate(resolve));
		for (let i = 0; i < 1_000; i++) scene.connection.binary(frame);
		expect(scene.closed).toBeUndefined();
		scene.connection.binary(frame);
		expect(scene.closed?.code).toBe(1008);
	});
});

describe("what a connection may send a second", () => {
	const PER_SECOND = 100;
	const call = frameBytes({ type: "method", to: "peer", method: "m", session: "s1" }, { args: [] });
	const notice = frameBytes({ type: "notice", to: "peer" });
	const scene = () => new Scene(undefined, PER_SECOND).hello();
	const send = ({ connection }: Scene, count: number, bytes = call) => {
		for (let i = 0; i < count; i++) connection.binary(bytes);
	};

	test("is bounded: calls above it are answered so on the socket, notices are dropped", async () => {
		const busy = await scene();
		send(busy, PER_SECOND);
		expect([busy.frames, busy.sent]).toEqual([PER_SECOND, []]);
		send(busy, 1);
		send(busy, 1, notice);
		expect(busy.frames).toBe(PER_SECOND);
		const [reject, ...more] = busy.sent.map(readFrame);
		expect(more).toEqual([]);
		expect(reject?.main).toMatchObject({ from: "peer", method: "s1.reject" });
		const text = "RuntimeError: Rate limit exceeded: more than 100 messages a second";
		expect(reject?.extra["args"]).toMatchObject([{ _rtype: "error", _rvalue: text }]);
		expect(busy.closed).toBeUndefined();
	});

	test("comes back with time, up to a burst of ten seconds' worth", async () => {
		const busy = await scene();
		send(busy, PER_SECOND + 10);
		busy.now += 500;
		send(busy, PER_SECOND / 2 + 10);
		expect(busy.frames).toBe(1.5 * PER_SECOND);
		busy.now += 3_600_000;
		send(busy, 10 * PER_SECOND + 10);
		expect(busy.frames).toBe(11.5 * PER_SECOND);
	});

	test("ends the connection with 1008 when a client goes on regardless", async () => {
		const spammer = await scene();
		send(spammer, 2 * PER_SECOND);
		expect(spammer.closed).toBeUndefined();
		send(spammer, 1);
		const reason = "Rate limit exceeded: more than 100 messages a second";
		expect(spammer.closed).toEqual({ code: 1008, reason });
		expect(spammer.texts.slice(1)).toEqual([{ type: "error", message: reason }]);
		expect(await spammer.count("shed")).toEqual({ rate: 1 });
	});
});

describe("a client that comes back", () => {
	const resumed = async () => ({ ...GRANTED, from: 10, upTo: 20, recovered: true });
	const holes = async ({ metrics }: Scene) => (await metrics.holes.get()).values[0]?.value;

	test("is told that it has everything", async () => {
		const scene = await new Scene(resumed).hello();
		expect(scene.texts[0]).toMatchObject({ type: "connection_info", recovered: true });
		expect(await holes(scene)).toBe(0);
	});

	test("after the log let go of its messages is let in, and told that it has not", async () => {
		const scene = new Scene(resumed);
		scene.start = 11;
		await scene.hello();
		expect(scene.texts[0]).toMatchObject({ type: "connection_info", recovered: false });
		expect(await holes(scene)).toBe(1);
		expect(scene.closed).toBeUndefined();
	});

	test("is not given again, the next time, what it was given or was for others", async () => {
		const scene = await new Scene(resumed).hello();
		scene.connection.pong("info");
		while (scene.unreported.size === 0) await new Promise((resolve) => setImmediate(resolve));
		scene.connection.report();
		expect(scene.told).toMatchObject([{ type: "client.acked", acked: 19 }]);
		scene.connection.closed(false);
		expect(scene.told.at(-1)).toMatchObject({ type: "client.cut", acked: 19 });
	});

	test("after hours without a message is not given what others got in all that time: marks say how far its mailbox was", async () => {
		const scene = await new Scene().hello();
		scene.connection.pong("info");
		await new Promise((resolve) => setImmediate(resolve));
		scene.connection.mark();
		expect(scene.submitted).toMatchObject([{ kind: "frame", type: "mark" }]);
		const { to } = scene.submitted[0] as { to: string };
		scene.connection.deliver(message(to, { type: "mark" }, { kind: "frame", offset: 5_000 }));
		scene.connection.report();
		expect(scene.told).toMatchObject([{ type: "client.acked", acked: 5_000 }]);
		expect(scene.sent).toEqual([]);
		// It has got on since: no need for another one.
		scene.connection.mark();
		expect(scene.submitted).toHaveLength(1);
		scene.connection.mark();
		expect(scene.submitted).toHaveLength(2);
	});

	test("has marks behind frames that it has not acknowledged count for nothing", async () => {
		const scene = await new Scene().hello();
		scene.connection.pong("info");
		await new Promise((resolve) => setImmediate(resolve));
		const to = "client/w/me";
		scene.connection.deliver(message(to, { type: "event" }, { kind: "frame", offset: 10 }));
		scene.connection.deliver(message(to, { type: "mark" }, { kind: "frame", offset: 11 }));
		scene.connection.closed(false);
		expect(scene.told).toMatchObject([{ type: "client.cut", acked: -1 }]);
	});

	test("after its session ended is told that it has a new one", async () => {
		const scene = await new Scene().hello();
		expect(scene.texts[0]).toMatchObject({ type: "connection_info", recovered: false });
	});
});

describe("a client that could be let in later", () => {
	test.each([
		["the log does not answer", new MycelogError("log.unreachable", "x"), 1013, "busy"],
		["the actors take too long", new MycelogError("actor.ask-timeout", "x"), 1013, "busy"],
		["the node is about to stop", new MycelogError("log.closed", "x"), 1013, "busy"],
		["nobody knows why", new Error("x"), 1001, "error"],
	])("gets no error text, which would make it give up for good, when %s", async (_, error, code, outcome) => {
		const scene = await new Scene(() => Promise.reject(error)).hello();
		expect(scene.texts).toEqual([]);
		expect(scene.closed?.code).toBe(code);
		expect(await scene.count("handshakes")).toEqual({ [outcome]: 1 });
		// It may have been let in all the same, late: its actor must not keep its place for a socket that is gone.
		scene.connection.closed(true);
		expect(scene.told).toMatchObject([{ type: "client.cut", connection: "c" }]);
	});

	test("and one that was refused by its actor has no place that could be given back", async () => {
		const scene = await new Scene(() => Promise.reject(new RefusedError("no"))).hello();
		scene.connection.closed(true);
		expect(scene.told).toEqual([]);
	});
});

test("a connection that is asked after and is not there is told to its client's actor as gone", async () => {
	const outlets = new GatewayOutlets();
	const scene = await new Scene().hello();
	outlets.connections.set("here", scene.connection);
	const gone: string[] = [];
	outlets.onGone = (address, connection) => gone.push(`${address} ${connection}`);
	const probe = { type: "probe", address: "client/ws/me" };
	outlets.signal("here", probe);
	outlets.signal("elsewhere", { type: "superseded" });
	expect(gone).toEqual([]);
	outlets.signal("elsewhere", probe);
	expect(gone).toEqual(["client/ws/me elsewhere"]);
	scene.connection.closed(false);
});

test("a connection whose claim was told lost is sent away, to come back at once", async () => {
	const outlets = new GatewayOutlets();
	const [lost, other] = [await new Scene().hello(), await new Scene().hello()];
	outlets.connections.set("lost", lost.connection);
	outlets.connections.set("other", other.connection);
	outlets.signal("lost", { type: "lost" });
	// 1001 without an error text: the published clients reconnect.
	expect(lost.closed?.code).toBe(1001);
	expect(lost.texts.map(({ type }) => type)).toEqual(["connection_info"]);
	expect(other.closed).toBeUndefined();
});

test("clients are let in some at a time, in the order in which they came; one that went away meanwhile is skipped", async () => {
	const admission = new Admission();
	const asked: Scene[] = [];
	const letIn: (() => void)[] = [];
	const scenes = Array.from({ length: ADMISSIONS_AT_ONCE_MAX + 3 }, () => {
		const scene: Scene = new Scene(
			() => {
				asked.push(scene);
				return new Promise((resolve) => letIn.push(() => resolve(GRANTED)));
			},
			undefined,
			admission,
		);
		return scene;
	});
	/** What is asked for has come, and nothing more comes after it. */
	const settled = async (count: () => number, wanted: number) => {
		await expect.poll(count, { timeout: 10_000 }).toBeGreaterThanOrEqual(wanted);
		for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
	};
	for (const { connection } of scenes) connection.text(JSON.stringify({ client_id: "me" }));
	await settled(() => asked.length, ADMISSIONS_AT_ONCE_MAX);
	expect(asked).toEqual(scenes.slice(0, ADMISSIONS_AT_ONCE_MAX));
	scenes[ADMISSIONS_AT_ONCE_MAX]?.connection.closed(false);
	for (const grant of letIn.splice(0)) grant();
	await settled(() => asked.length, scenes.length - 1);
	expect(asked.slice(ADMISSIONS_AT_ONCE_MAX)).toEqual(scenes.slice(ADMISSIONS_AT_ONCE_MAX + 1));
	for (const grant of letIn.splice(0)) grant();
	const told = () => scenes.map(({ texts }) => texts.length);
	await settled(() => told().reduce((sum, count) => sum + count, 0), scenes.length - 1);
	expect(told()).toEqual(scenes.map((_, n) => (n === ADMISSIONS_AT_ONCE_MAX ? 0 : 1)));
});

test("a client whose turn comes too late is asked to come again", async () => {
	const admission = new Admission();
	for (let i = 0; i < ADMISSIONS_AT_ONCE_MAX; i++) await admission.turn();
	const scene = new Scene(undefined, undefined, admission);
	scene.connection.text(JSON.stringify({ client_id: "me" }));
	scene.now += 15_001;
	admission.done();
	while (!scene.closed) await new Promise((resolve) => setImmediate(resolve));
	expect([scene.closed.code, scene.texts]).toEqual([1013, []]);
});
