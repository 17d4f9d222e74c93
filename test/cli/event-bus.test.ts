/** The event bus of a node that is embedded whole, with its gateway: as the page on it says. */
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { createMycelog, type Mycelog } from "../../cli/node.ts";
import { mycelog as command } from "../kit/mycelog.ts";
import { collectingLogger, temporaryDirectory } from "../kit/runtime-node.ts";

const directory = temporaryDirectory();
let node: Mycelog;

async function start(): Promise<Mycelog> {
	const options = { dataDir: directory.path, nodeId: "n1", host: "127.0.0.1", port: 0 };
	const started = await createMycelog(options, { environment: {}, logger: collectingLogger() });
	await started.start();
	await started.ready();
	return started;
}

beforeAll(async () => {
	node = await start();
});
afterAll(async () => {
	await node.stop();
	directory.remove();
});

test("events go from emit to on, waitFor and onLocal, and their interest can be looked at with the command", async () => {
	const heard: unknown[] = [];
	await node.events.on("order.paid", (data, { node }) => heard.push([data, node]));
	node.events.onLocal("order.paid", (data) => heard.push(["local", data]));
	const waited = node.events.waitFor("order.shipped", { match: { order: 7 }, timeoutMs: 20_000 });
	await node.events.emit("order.paid", { order: 7 });
	await vi.waitFor(() => {
		expect(node.events.status.events).toContainEqual({ event: "order.shipped", handlers: 1, inForce: true });
	});
	await node.events.emit("order.shipped", { order: 7, by: "sea" });
	expect(await waited).toEqual({ order: 7, by: "sea" });
	await vi.waitFor(() => expect(heard).toHaveLength(2));
	expect(heard).toEqual(
		expect.arrayContaining([
			[{ order: 7 }, "n1"],
			["local", { order: 7 }],
		]),
	);
	const { stdout } = await command(["replay", "interest/n1", "--json", "--data-dir", directory.path]);
	expect(JSON.parse(stdout).value.context.events).toMatchObject({ "order.paid": true });
});

test("what it wanted ends with the process: after a restart nothing is handled that nobody asked for anew", async () => {
	await node.stop();
	node = await start();
	expect(node.events.status.events).toEqual([]);
	await vi.waitFor(async () => {
		const asked = { kind: "query", timeoutMs: 20_000 } as const;
		expect(await node.node.ask("event/order.paid", { type: "event.nodes" }, asked)).toEqual([]);
	});
	const heard: unknown[] = [];
	await node.events.once("order.paid", (data) => heard.push(data));
	for (const order of [8, 9]) await node.events.emit("order.paid", { order });
	await node.events.emit("end", null);
	await vi.waitFor(() => expect(node.events.status.events).toEqual([]));
	expect(heard).toEqual([{ order: 8 }]);
});
