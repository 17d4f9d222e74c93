/**
 * Calls, registry and events between clients of one workspace that are connected to three different nodes.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { ClientProcess } from "../kit/client-process.ts";
import { useCluster } from "../kit/cluster.ts";
import { metric } from "../kit/metric.ts";
import { askOperator, type ReplayLine } from "../kit/mycelog.ts";
import type { NodeProcess } from "../kit/node-process.ts";
import { makeWorkspace, type TestWorkspace } from "../kit/on-each-log.ts";
import { RawClient } from "../kit/raw-client.ts";

const NODES = 3;
const CLIENTS_PER_NODE = 4;

describe("three nodes", () => {
	const nodes = useCluster(NODES);
	const node = (n: number) => nodes[n] as NodeProcess;
	const connected: RawClient[] = [];
	let team: TestWorkspace;

	const connect = async (
		n: number,
		clientId: string,
		more: object = { workspace: team.id, token: team.token },
	) => {
		const client = await RawClient.patiently(node(n).url, { clientId, ...more });
		connected.push(client);
		return client;
	};
	/** Which node process speaks for the client, as its actor has it in the log. */
	const nodeOf = async (peer: string) => {
		const { value } = await askOperator<ReplayLine>(node(0), "replay", `client/${peer}`);
		return (value as { context: { claim: { outlet: { node: string } } } }).context.claim.outlet.node;
	};
	/** Counted by whichever node owns the mailbox. */
	const drops = async (reason: string) => {
		const each = await Promise.all(nodes.map(({ url }) => metric(url, "mycelog_drops_total", { reason })));
		return each.reduce((sum, n) => sum + n, 0);
	};

	beforeAll(async () => {
		team = await makeWorkspace(node(0), "calls");
	});
	afterEach(async () => {
		for (const client of connected.splice(0)) await client.leave();
	});

	test("scenario 14: a call from a client of one node to a client of another is answered by that client, and the log knows both nodes", async () => {
		const provider = await connect(0, "provider");
		const caller = await connect(1, "caller");
		await provider.serve("work", (_, args, main) => [provider.peer, ...args, main["from"]]);
		const answer = await caller.call("provider", "services.work.anything", [42]);
		expect(answer).toEqual([provider.peer, 42, caller.peer]);
		const names = await Promise.all([provider, caller].map(({ peer }) => nodeOf(peer)));
		const ids = await Promise.all([0, 1].map(async (n) => (await node(n).health()).detail["node"]));
		expect(names.map((name) => name.slice(0, name.indexOf("~")))).toEqual(ids);
		expect(new Set(ids).size).toBe(2);
	});

	test("scenario 15: three nodes with four clients each: all call all, and 144 of 144 answers name the right client", async () => {
		const clients: RawClient[] = [];
		for (let i = 0; i < NODES * CLIENTS_PER_NODE; i++) {
			const client = await connect(i % NODES, `matrix-${i}`);
			await client.serve("who", (_, [asker]) => [client.info.client_id, asker]);
			clients.push(client);
		}
		const pairs = clients.flatMap((caller) => clients.map((callee) => ({ caller, callee })));
		const answers = await Promise.all(
			pairs.map(({ caller, callee }) => {
				return caller.call(callee.info.client_id, "services.who.are_you", [caller.info.client_id]);
			}),
		);
		expect(answers).toHaveLength((NODES * CLIENTS_PER_NODE) ** 2);
		expect(answers).toEqual(
			pairs.map(({ caller, callee }) => [callee.info.client_id, caller.info.client_id]),
		);
	});

	test("scenario 26: clients of one workspace on three nodes read equal lists and equal records", async () => {
		const clients = await Promise.all([0, 1, 2].map((n) => connect(n, `reader-${n}`)));
		await Promise.all(clients.map((client) => client.serve("same", () => null)));
		const read = (client: RawClient) =>
			Promise.all([
				client.manage("list_services"),
				client.manage("list_clients"),
				client.manage("get_summary"),
				client.manage("get_workspace_info"),
			]);
		const [first, ...others] = await Promise.all(clients.map(read));
		const ids = ((first?.[0] ?? []) as { id: string }[]).map(({ id }) => id);
		expect(ids).toEqual(expect.arrayContaining(clients.map(({ peer }) => `${peer}:same`)));
		for (const other of others) expect(other).toEqual(first);
		// What one has been told is done, all see: reads go to the one registry, not to copies of it.
		await clients[0]?.manage("unregister_service", `${clients[0].peer}:same`);
		const left = (await clients[2]?.manage("list_services")) as { id: string }[];
		expect(left.map(({ id }) => id)).toEqual(ids.filter((id) => id !== `${clients[0]?.peer}:same`));
	});

	test("scenario 28: when one of two anonymous clients leaves, the other one's session is untouched and it hears of it once", async () => {
		const stayer = await connect(0, "stayer", {});
		const token = (await stayer.manage("generate_token", {})) as string;
		const leaver = await connect(1, "leaver", { token });
		expect(leaver.workspace).toBe(stayer.workspace);
		await stayer.serve("kept", () => "still here");
		await stayer.manage("subscribe", ["client_disconnected", "marker"]);
		await leaver.leave();
		const isGoodbye = ({ main }: { main: Readonly<Record<string, unknown>> }) =>
			main["type"] === "client_disconnected";
		const goodbye = await stayer.frames.first(isGoodbye, "the goodbye");
		expect(goodbye.main["data"]).toEqual({ id: "leaver", workspace: stayer.workspace });
		stayer.send({ type: "marker", to: "*", data: 1 });
		await stayer.frames.first(({ main }) => main["type"] === "marker", "the marker");
		expect(stayer.frames.all.filter(isGoodbye)).toHaveLength(1);
		expect(await stayer.manage("check_status")).toMatchObject({ status: "ready" });
		expect(await stayer.manage("get_service_info", "kept")).toMatchObject({ id: `${stayer.peer}:kept` });
	});

	test("scenario 39: calls to a client that is gone fail within a second on every node; 52 notices to it are dropped and counted, and nobody is told", async () => {
		const gone = await connect(0, "gone");
		await gone.leave();
		const callers = await Promise.all([0, 1, 2].map((n) => connect(n, `caller-${n}`)));
		// The goodbye is in the log before anything that is asked after an answer to it.
		await expect
			.poll(() => callers[0]?.manage("get_summary"), { timeout: 20_000 })
			.not.toMatchObject({
				clients: expect.arrayContaining([gone.peer]),
			});
		const before = await drops("peer-gone");
		const started = performance.now();
		const calls = callers.flatMap((caller) =>
			Array.from({ length: 10 }, () => caller.call("gone", "services.x.y")),
		);
		for (const call of calls) await expect(call).rejects.toThrow(`Target peer ${gone.peer} is not connected`);
		expect(performance.now() - started).toBeLessThan(1_000);
		for (let i = 0; i < 52; i++) callers[i % NODES]?.send({ type: "notice", to: "gone", data: i });
		await expect.poll(() => drops("peer-gone"), { timeout: 10_000 }).toBe(before + 52);
		for (const caller of callers) {
			expect(await caller.manage("echo", "quiet")).toBe("quiet");
			expect(caller.frames.all).toEqual([]);
		}
	});

	test("scenario 22: ten clients that vanish in the middle of a call disturb no stable caller, and no node speaks of errors", async () => {
		const stable = await connect(0, "stable");
		const provider = await connect(2, "provider");
		await provider.serve("work", (_, [n]) => n);
		let going = true;
		const steady = (async () => {
			for (let n = 0; going; n++) expect(await stable.call("provider", "services.work.echo", [n])).toBe(n);
		})();
		for (let i = 0; i < 10; i++) {
			const victim = await RawClient.patiently(node(1).url, {
				clientId: `victim-${i}`,
				workspace: team.id,
				token: team.token,
			});
			await victim.serve("work", () => "never read");
			// In the middle of a call of its own, and of one to it.
			void victim.call("provider", "services.work.echo", ["unheard"]);
			void stable.call(`victim-${i}`, "services.work.echo", [i]);
			await victim.cut();
		}
		going = false;
		await steady;
		expect(nodes.map((each) => each.output().match(/ (ERROR|FATAL) .*/g))).toEqual([null, null, null]);
	});
});

describe("published clients on different nodes", () => {
	const nodes = useCluster(2);
	let python: ClientProcess;
	let javascript: ClientProcess;
	let team: TestWorkspace;

	beforeAll(async () => {
		const [a, b] = nodes as [NodeProcess, NodeProcess];
		team = await makeWorkspace(a, "published");
		python = ClientProcess.python();
		javascript = ClientProcess.javascript();
		const credentials = { workspace: team.id, token: team.token };
		await python.connect("python", a.url, credentials);
		await javascript.connect("javascript", b.url, credentials);
	});
	afterAll(async () => {
		await python?.stop();
		await javascript?.stop();
	});

	test.each([
		["python", "javascript"],
		["javascript", "python"],
	] as const)(
		"%s serves what %s calls: numbers, bytes, callbacks, generators, errors, 5 MB",
		async (server, client) => {
			const by = { python, javascript };
			await by[server].run("register", { name: server, id: "hello" });
			const id = `${server}:hello`;
			await by[client].run("find", { name: client, id });
			expect(await by[client].call(client, id, "add", [3, 4])).toBe(7);
			expect(await by[client].call(client, id, "math.deep.negate", [5])).toBe(-5);
			expect(await by[client].run("visit", { name: client, id, items: [1, 2, 3] })).toEqual({
				result: [10, 20, 30],
				seen: [1, 2, 3],
			});
			expect(await by[client].run("drain", { name: client, id, upto: 4 })).toEqual([0, 1, 2, 3]);
			await expect(by[client].call(client, id, "fail", ["on purpose"])).rejects.toThrow(/on purpose/);
			const large = await by[client].call(client, id, "reverse", [{ $pattern: 5_000_000 }]);
			expect(large).toMatchObject({ bytes: 5_000_000 });
		},
	);

	test("events of one node's client reach subscribers on the other", async () => {
		await javascript.run("on", { name: "javascript", event: "news" });
		await javascript.manage("javascript", "subscribe", ["news"]);
		await python.run("emit", { name: "python", message: { type: "news", to: "*", data: "from A" } });
		const heard = await javascript.heard("javascript", "news", 1);
		expect(heard).toEqual([{ data: "from A", from: `${team.id}/python` }]);
	});
});
