/** A node that restarts, for the synchronous API of the Python client; the others' restarts are in everyday.test.ts. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { ClientProcess } from "../kit/client-process.ts";
import { NodeProcess } from "../kit/node-process.ts";
import { makeWorkspace } from "../kit/on-each-log.ts";

const PATIENT_MS = 30_000;

let node: NodeProcess;
let client: ClientProcess;

beforeAll(async () => {
	node = await NodeProcess.start("sqlite");
	client = ClientProcess.pythonSync();
});
afterAll(async () => {
	await client?.stop();
	await node?.remove();
});

test("after a restart of the node the synchronous client is back by itself, with its services and what it subscribed to", async () => {
	const { id, token } = await makeWorkspace(node, "restart");
	for (const name of ["provider", "user"]) await client.connect(name, node.url, { workspace: id, token });
	await client.run("register", { name: "provider", id: "kept" });
	await client.run("find", { name: "user", id: "kept" });
	await client.manage("user", "subscribe", "news");
	await client.run("on", { name: "user", event: "news" });
	expect(await client.call("user", "kept", "add", [1, 2])).toBe(3);
	await node.terminate();
	await node.restart();
	const call = () => client.call("user", "kept", "add", [20, 22]).catch((error: Error) => error.message);
	await expect.poll(call, { timeout: PATIENT_MS }).toBe(42);
	expect(await client.manage("user", "get_service_info", "kept")).toMatchObject({
		id: `${id}/provider:kept`,
	});
	await client.run("emit", { name: "provider", message: { type: "news", to: "*", data: "after" } });
	expect(await client.heard("user", "news", 1)).toEqual([{ data: "after", from: `${id}/provider` }]);
});
