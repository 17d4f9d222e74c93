/**
 * Sessions of clients that are cut off: what stays for the resume window, what ends with it, and who hears of it.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { metric } from "../kit/metric.ts";
import { LOGS, NodeProcess } from "../kit/node-process.ts";
import { makeWorkspace, type TestWorkspace } from "../kit/on-each-log.ts";
import { type Frame, RawClient, RejectedError } from "../kit/raw-client.ts";

/** The window that the node is given: long enough to come back within, milliseconds. */
const WINDOW_MS = 4_000;
/** Less than a call of the server may take, so that an answer within it is the window's; milliseconds. */
const CALL_MS = 30_000;

let node: NodeProcess;
let team: TestWorkspace;
let other: TestWorkspace;
let watcher: RawClient;
const connect = (clientId: string, of = team) =>
	RawClient.connect(node.url, { clientId, workspace: of.id, token: of.token });
const resume = ({ info }: RawClient) =>
	RawClient.connect(node.url, { clientId: info.client_id, reconnectionToken: info.reconnection_token });
const services = async (client: string) => {
	const listed = (await watcher.manage("list_services", { client_id: client })) as { id: string }[];
	return listed.map(({ id }) => id.slice(id.indexOf(":") + 1)).sort();
};
const leavings = (client: string) =>
	watcher.frames.all.filter(({ main }) => isLeaving(main, client)).map(({ main }) => main["data"]);
function isLeaving(main: Frame["main"], client: string): boolean {
	return main["type"] === "client_disconnected" && (main["data"] as { id: string }).id === client;
}
const heardOf = (client: string) =>
	watcher.frames.first(({ main }) => isLeaving(main, client), `the leaving of ${client}`);

beforeAll(async () => {
	node = await NodeProcess.start(LOGS[0], ["--resume-window-ms", String(WINDOW_MS)]);
	team = await makeWorkspace(node, "sessions");
	other = await makeWorkspace(node, "elsewhere");
	watcher = await connect("watcher");
	await watcher.manage("subscribe", "client_disconnected");
});
afterAll(() => node?.remove());

test("services survive a short cut, and are removed once, told once, when the window has passed", async () => {
	const first = await connect("provider");
	await first.serve("math", (_, [value]) => value);
	expect(await services("provider")).toEqual(["built-in", "math"]);
	for (let i = 0, client = first; i < 3; i++) {
		await client.cut();
		const back = await resume(client);
		expect(back.info.recovered).toBe(true);
		expect(await services("provider")).toEqual(["built-in", "math"]);
		client = back;
		if (i === 2) await client.cut();
	}
	expect(leavings("provider")).toEqual([]);
	const cutAt = performance.now();
	await heardOf("provider");
	// The node sees the end of the socket a moment after it.
	expect(performance.now() - cutAt).toBeGreaterThan(WINDOW_MS / 2);
	expect(await services("provider")).toEqual([]);
	// Another client's whole life later there is still one.
	await (await connect("marker")).leave();
	await heardOf("marker");
	expect(leavings("provider")).toEqual([{ id: "provider", workspace: team.id }]);
});

test("whoever waits for a client that is cut off and never comes back is told at the end of its window: callers of both workspaces, the manager's own and over HTTP", async () => {
	const provider = await connect("gone");
	await provider.serve("open", (_, [value]) => value);
	const neighbour = await connect("neighbour");
	const stranger = await connect("stranger", other);
	// So that its next call needs no verdict on a service that ends meanwhile.
	expect(await stranger.call(provider.peer, "services.open.f", [1])).toBe(1);
	const connections = () => metric(node.url, "mycelog_gateway_connections");
	const before = await connections();
	await provider.cut();
	// What reaches a socket that has just died was delivered, as far as the node can know.
	await expect.poll(connections, { timeout: 10_000 }).toBe(before - 1);
	const since = performance.now();
	const waiting = {
		neighbour: neighbour.call("gone", "services.open.f", [1]),
		stranger: stranger.call(provider.peer, "services.open.f", [2]),
		manager: neighbour.manage("get_service", `${provider.peer}:open`, { timeout: CALL_MS / 1_000 }),
	};
	const overHttp = fetch(`${node.url}/${team.id}/services/gone:open/f?value=1`, {
		headers: { authorization: `Bearer ${team.token}` },
		signal: AbortSignal.timeout(CALL_MS),
	});
	const text = `Target peer ${provider.peer} is not connected`;
	for (const [who, answer] of Object.entries(waiting)) {
		const error = await answer.catch((thrown: unknown) => thrown);
		expect(error, who).toBeInstanceOf(RejectedError);
		expect((error as Error).message, who).toContain(text);
	}
	const answered = await overHttp;
	expect(answered.status).toBeGreaterThanOrEqual(400);
	expect(await answered.text()).toContain("is not connected");
	expect(performance.now() - since).toBeLessThan(CALL_MS);
	await heardOf("gone");
});

test("calls that waited are given to the client that comes back in time, once, and answered by it", async () => {
	const provider = await connect("returning");
	await provider.serve("open", (_, [value]) => value);
	const caller = await connect("caller");
	await provider.cut();
	const answers = [1, 2, 3].map((value) => caller.call("returning", "services.open.f", [value]));
	await caller.manage("echo", "the calls are in the mailbox");
	const back = await resume(provider);
	const isCall = ({ main }: Frame) => main["method"] === "services.open.f";
	const calls = await back.frames.atLeast(3, isCall, "the calls");
	for (const { main, extra } of calls) {
		const { from: to, session } = main;
		back.send({ type: "method", to, method: `${session}.resolve` }, { args: extra["args"] });
	}
	expect(await Promise.all(answers)).toEqual([1, 2, 3]);
	await back.leave();
	await heardOf("returning");
	expect([...caller.answers.values()].filter((count) => count > 1)).toEqual([]);
});

test("a client that says goodbye is gone at once, told once", async () => {
	const polite = await connect("polite");
	const since = performance.now();
	await polite.leave();
	await heardOf("polite");
	expect(performance.now() - since).toBeLessThan(WINDOW_MS);
	await (await connect("last")).leave();
	await heardOf("last");
	expect(leavings("polite")).toHaveLength(1);
});
