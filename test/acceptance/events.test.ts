/**
 * Acceptance 2: subscribe, emit, once and off between published clients, with exact counts.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bytes, ClientProcess } from "../kit/client-process.ts";
import { makeWorkspace, onEachLog, type TestWorkspace } from "../kit/on-each-log.ts";
import { RawClient } from "../kit/raw-client.ts";

const JSON_DATA = { step: 3, nested: { list: [1, 2.5, null], text: "ünï" } };
const BINARY_DATA = bytes(Uint8Array.from({ length: 300 }, (_, index) => index % 256));

/**
 * How many of three messages a once handler hears. The Python client (0.21.47) marks it under a name that Python
 * mangles inside classes, looks for the plain name and so never takes the handler off.
 */
const HEARD_ONCE = { javascript: [1], python: [1, 2, 3] } as const;

const pairs = [
	{ emitter: "python", listener: "javascript" },
	{ emitter: "javascript", listener: "python" },
] as const;

onEachLog("events", (node) => {
	let team: TestWorkspace;
	let clients: { readonly python: ClientProcess; readonly javascript: ClientProcess };

	beforeAll(async () => {
		team = await makeWorkspace(node(), "events");
		clients = { python: ClientProcess.python(), javascript: ClientProcess.javascript() };
		for (const client of Object.values(clients)) {
			await client.connect(client.language, node().url, { workspace: team.id, token: team.token });
		}
	});
	afterAll(async () => {
		for (const client of Object.values(clients ?? {})) await client.stop();
	});

	describe.each(pairs)("from $emitter to $listener", ({ emitter, listener }) => {
		const from = () => `${team.id}/${emitter}`;
		const named = (event: string) => `${event}-of-${emitter}`;
		const listen = async (event: string, once = false) => {
			await clients[listener].manage(listener, "subscribe", named(event));
			await clients[listener].run("on", { name: listener, event: named(event), once });
		};
		const emit = (event: string, data: unknown) =>
			clients[emitter].run("emit", { name: emitter, message: { type: named(event), to: "*", data } });
		const heard = (event: string, count = 0) => clients[listener].heard(listener, named(event), count);

		test("JSON, string and binary data arrive as sent, once each and in order", async () => {
			await listen("news");
			await emit("news", JSON_DATA);
			await emit("news", "a plain string");
			await emit("news", BINARY_DATA);
			await listen("news-end");
			await emit("news-end", null);
			await heard("news-end", 1);
			expect(await heard("news")).toEqual([
				{ data: JSON_DATA, from: from() },
				{ data: "a plain string", from: from() },
				{ data: BINARY_DATA, from: from() },
			]);
		});

		test("a once handler hears as many of three as its client lets it, a plain one all", async () => {
			await listen("single", true);
			await listen("plain");
			for (const seq of [1, 2, 3]) {
				await emit("single", seq);
				await emit("plain", seq);
			}
			expect((await heard("plain", 3)).map(({ data }) => data)).toEqual([1, 2, 3]);
			expect((await heard("single")).map(({ data }) => data)).toEqual(HEARD_ONCE[listener]);
		});

		test("after off the handler hears nothing more", async () => {
			await listen("stopped");
			await listen("after-stop");
			await emit("stopped", "before");
			await heard("stopped", 1);
			await clients[listener].run("off", { name: listener, event: named("stopped") });
			await emit("stopped", "after");
			await emit("after-stop", "end");
			await heard("after-stop", 1);
			expect(await heard("stopped")).toEqual([{ data: "before", from: from() }]);
		});

		test("a message to the listener alone needs no subscription and reaches nobody else", async () => {
			const bystander = await RawClient.connect(node().url, {
				clientId: `bystander-${emitter}`,
				workspace: team.id,
				token: team.token,
			});
			await clients[listener].run("on", { name: listener, event: named("direct") });
			const message = { type: named("direct"), to: listener, data: "for you" };
			await clients[emitter].run("emit", { name: emitter, message });
			expect(await heard("direct", 1)).toEqual([{ data: "for you", from: from() }]);
			await bystander.manage("echo", "end");
			expect(bystander.frames.all).toEqual([]);
			await bystander.leave();
		});
	});

	test("only subscribers get a broadcast, and none after unsubscribe", async () => {
		const credentials = { workspace: team.id, token: team.token };
		const subscriber = await RawClient.connect(node().url, { clientId: "raw-subscriber", ...credentials });
		const other = await RawClient.connect(node().url, { clientId: "raw-other", ...credentials });
		expect(await subscriber.manage("subscribe", ["weather", "end"])).toBe(true);
		await other.manage("subscribe", "end");
		other.send({ type: "weather", to: "*", data: 1 });
		await subscriber.frames.first(({ main }) => main["data"] === 1, "the first broadcast");
		expect(await subscriber.manage("unsubscribe", "weather")).toBe(true);
		other.send({ type: "weather", to: "*", data: 2 });
		other.send({ type: "end", to: "*", data: 3 });
		for (const client of [subscriber, other]) {
			await client.frames.first(({ main }) => main["data"] === 3, "the last broadcast");
		}
		expect(subscriber.frames.all.map(({ main }) => main["data"])).toEqual([1, 3]);
		expect(other.frames.all.map(({ main }) => main["data"])).toEqual([3]);
		await subscriber.leave();
		await other.leave();
	});
});
