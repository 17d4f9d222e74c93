/**
 * Acceptance 1, 3 and 10: published clients find and call each other's services; order, loss and gone clients.
 */
import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bytes, ClientProcess, pattern } from "../kit/client-process.ts";
import { makeWorkspace, onEachLog, type TestWorkspace } from "../kit/on-each-log.ts";
import { RawClient } from "../kit/raw-client.ts";

const FIVE_MEGABYTES = 5 * 1024 * 1024;
const CALLS = 10_000;
/** Milliseconds within which a caller learns that nobody is there. */
const GONE_MS_MAX = 1_000;

const pairs = [
	{ provider: "python", consumer: "javascript" },
	{ provider: "javascript", consumer: "python" },
] as const;

onEachLog("services", (node) => {
	let team: TestWorkspace;
	let clients: { readonly python: ClientProcess; readonly javascript: ClientProcess };

	beforeAll(async () => {
		team = await makeWorkspace(node(), "calls");
		clients = { python: ClientProcess.python(), javascript: ClientProcess.javascript() };
		const options = { workspace: team.id, token: team.token, method_timeout: 120 };
		for (const client of Object.values(clients)) {
			await client.connect(client.language, node().url, options);
			await client.run("register", { name: client.language, id: `hello-${client.language}` });
		}
	});
	afterAll(async () => {
		for (const client of Object.values(clients ?? {})) await client.stop();
	});

	describe.each(pairs)("a $provider service and its $consumer caller", ({ provider, consumer }) => {
		const id = `hello-${provider}`;
		const call = (method: string, args: readonly unknown[], kwargs?: object) =>
			clients[consumer].call(consumer, id, method, args, kwargs);

		test("the service is found by its bare name and by its full id", async () => {
			const full = `${team.id}/${provider}:${id}`;
			const byName = await clients[consumer].run<{ id: string; methods: string[] }>("find", {
				name: consumer,
				id,
			});
			expect(byName.id).toBe(full);
			expect(byName.methods).toEqual([
				"add",
				"count",
				"each",
				"echo",
				"fail",
				"greet",
				"hang",
				"record",
				"reverse",
				"setup",
				"weight",
			]);
			const byId = await clients[consumer].run("find", { name: consumer, id: full });
			expect(byId).toEqual(byName);
		});

		test("ints, nested values and bytes arrive as they are", async () => {
			expect(await call("add", [20, 22])).toBe(42);
			const nested = { list: [1, -2, 2 ** 40], text: "Grüße", nothing: null, yes: true };
			expect(await call("echo", [nested])).toEqual(nested);
			expect(await call("reverse", [bytes(Uint8Array.of(0, 1, 128, 255))])).toEqual(
				bytes(Uint8Array.of(255, 128, 1, 0)),
			);
		});

		test("5 MB travel to the service and back unchanged", async () => {
			const sent = Uint8Array.from({ length: FIVE_MEGABYTES }, (_, index) => index % 251);
			const $sha256 = createHash("sha256").update(sent).digest("hex");
			expect(await call("echo", [pattern(FIVE_MEGABYTES)])).toEqual({ $sha256, bytes: FIVE_MEGABYTES });
		});

		test("keyword arguments reach the parameters of their names", async () => {
			expect(await call("greet", [], { mark: "?", name: "Ada" })).toBe("Hello Ada?");
		});

		test("a callback is called for each item, in order, and its results come back", async () => {
			const items = [3, 1, 2];
			expect(await clients[consumer].run("visit", { name: consumer, id, items })).toEqual({
				result: [30, 10, 20],
				seen: [3, 1, 2],
			});
		});

		test("a generator yields every item once and ends", async () => {
			expect(await clients[consumer].run("drain", { name: consumer, id, upto: 25 })).toEqual(
				Array.from({ length: 25 }, (_, index) => index),
			);
		});

		test("an exception reaches the caller with its text", async () => {
			await expect(call("fail", ["the cat sat on it"])).rejects.toThrow(/the cat sat on it/);
		});
	});

	test("10,000 calls in flight from each of two callers keep their order and are answered once", async () => {
		const callee = clients.javascript;
		await callee.run("register", { name: "javascript", id: "flooded" });
		await clients.python.run("find", { name: "python", id: "flooded" });
		const raw = await RawClient.connect(node().url, { clientId: "raw-flood", ...credentials(team) });

		const fromPython = clients.python.run("flood", {
			name: "python",
			id: "flooded",
			sender: "python",
			count: CALLS,
		});
		const fromRaw = Promise.all(
			Array.from({ length: CALLS }, (_, seq) => {
				const target = `${team.id}/javascript`;
				return raw.call(target, "services.flooded.record", ["raw", seq]);
			}),
		);
		const doubled = Array.from({ length: CALLS }, (_, seq) => seq * 2);
		expect(await fromRaw).toEqual(doubled);
		expect(await fromPython).toEqual(doubled);

		const order = await callee.run<[string, number][]>("order", { id: "flooded" });
		const seen = (sender: string) => order.filter(([from]) => from === sender).map(([, seq]) => seq);
		const rising = Array.from({ length: CALLS }, (_, seq) => seq);
		expect(seen("raw")).toEqual(rising);
		expect(seen("python")).toEqual(rising);
		expect(order).toHaveLength(2 * CALLS);

		// Anything doubled on the way would have to come before this answer.
		await raw.manage("echo", "end");
		expect(new Set(raw.answers.values())).toEqual(new Set([1]));
		expect(raw.answers.size).toBe(CALLS + 1);
		await raw.leave();
	}, 150_000);

	describe.each(pairs)("a $provider client that is gone, called from $consumer", ({ provider, consumer }) => {
		test("a call to it is rejected in under a second", async () => {
			const name = `leaver-of-${consumer}`;
			await clients[provider].connect(name, node().url, { workspace: team.id, token: team.token });
			await clients[provider].run("register", { name, id: name });
			await clients[consumer].run("find", { name: consumer, id: name });
			expect(await clients[consumer].call(consumer, name, "add", [1, 1])).toBe(2);
			await clients[provider].run("disconnect", { name });
			await expectRejectedSoon(() => clients[consumer].call(consumer, name, "add", [1, 1]));
		});

		test("a call under way when it leaves is rejected in under a second", async () => {
			const name = `quitter-of-${consumer}`;
			await clients[provider].connect(name, node().url, { workspace: team.id, token: team.token });
			await clients[provider].run("register", { name, id: name });
			await clients[consumer].run("find", { name: consumer, id: name });
			const underWay = clients[consumer].call(consumer, name, "hang", []);
			underWay.catch(() => {});
			// Both go from one client to the other: when this is answered, the call before it has arrived.
			expect(await clients[consumer].call(consumer, name, "add", [1, 1])).toBe(2);
			await clients[provider].run("disconnect", { name });
			await expectRejectedSoon(() => underWay);
		});
	});

	test("a call to a client that never was is rejected in under a second, with its address", async () => {
		const raw = await RawClient.connect(node().url, { clientId: "raw-lonely", ...credentials(team) });
		const error = await expectRejectedSoon(() => raw.call("nobody-here", "services.hello.add", [1, 1]));
		expect(error.message).toContain(`Target peer ${team.id}/nobody-here is not connected`);
		await raw.leave();
	});
});

function credentials({ id, token }: TestWorkspace): { workspace: string; token: string } {
	return { workspace: id, token };
}

async function expectRejectedSoon(call: () => Promise<unknown>): Promise<Error> {
	const startedAt = performance.now();
	const outcome = await call().then(
		(value) => ({ value }),
		(error: Error) => error,
	);
	expect(outcome).toBeInstanceOf(Error);
	expect(performance.now() - startedAt).toBeLessThan(GONE_MS_MAX);
	return outcome as Error;
}
