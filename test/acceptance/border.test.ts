/**
 * What passes between workspaces: calls of services that a registry opens, what two clients say to each other after such
 * a call, and nothing else.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ClientProcess, pattern } from "../kit/client-process.ts";
import { metric } from "../kit/metric.ts";
import { askOperator, type HistoryLine } from "../kit/mycelog.ts";
import { makeWorkspace, onEachLog, type TestWorkspace } from "../kit/on-each-log.ts";
import { type Fields, type Frame, RawClient } from "../kit/raw-client.ts";

/** Above the clients' chunk size. */
const LARGE_BYTES = 1_000_000;

onEachLog("the border of a workspace", (node) => {
	let home: TestWorkspace;
	let abroad: TestWorkspace;
	let provider: RawClient;
	let stranger: RawClient;
	const connect = (of: TestWorkspace, clientId: string) =>
		RawClient.connect(node().url, { clientId, workspace: of.id, token: of.token });
	const register = (client: RawClient, id: string, config: Fields) =>
		client.manage("register_service", { id: `${client.peer}:${id}`, type: id, config });
	const refusedFrames = () =>
		metric(node().url, "mycelog_gateway_refused_frames_total", { reason: "border" });
	const refusal = /PermissionError: Target peer .* is not connected or offers nothing to workspace/;

	beforeAll(async () => {
		home = await makeWorkspace(node(), "home");
		abroad = await makeWorkspace(node(), "abroad");
		provider = await connect(home, "provider");
		await provider.serve("open", (_, [value]) => value);
		for (const [id, config] of Object.entries({
			unlisted: { visibility: "unlisted" },
			shared: { visibility: "protected", authorized_workspaces: [abroad.id] },
			secret: { visibility: "protected" },
		})) {
			await register(provider, id, config);
		}
		stranger = await connect(abroad, "stranger");
	});

	test("scenario 25: a protected service of another workspace is refused by name, a public one answers, and the refused call is in no mailbox", async () => {
		const { peer } = provider;
		for (const service of ["secret", "nothing"]) {
			await expect(stranger.call(peer, `services.${service}.f`, [`to ${service}`])).rejects.toThrow(refusal);
		}
		await expect(stranger.manage("get_service", `${peer}:secret`)).rejects.toThrow(
			`Permission denied for non-public service in workspace ${home.id}`,
		);
		for (const service of ["open", "unlisted", "shared"]) {
			expect(await stranger.call(peer, `services.${service}.f`, [service])).toBe(service);
		}
		const history = await askOperator<HistoryLine>(node(), "history", `client/${home.id}/provider`);
		const frames = [history].flat().filter(({ type }) => type === "frame");
		expect(JSON.stringify(frames)).not.toContain("to secret");
		const workspace = await askOperator<HistoryLine>(node(), "history", `workspace/${abroad.id}`);
		expect(JSON.stringify(workspace)).not.toContain(home.id);
	});

	test("a client nobody called, and one that offers nothing, cannot be told from one that is not there", async () => {
		const closed = await connect(home, "closed");
		for (const client of ["closed", "never-was"]) {
			const target = `${home.id}/${client}`;
			const text = `Target peer ${target} is not connected or offers nothing to workspace ${abroad.id}`;
			for (const method of ["services.x.f", "services.built-in.ping", "some-session.resolve"]) {
				await expect(stranger.call(target, method)).rejects.toThrow(text);
			}
		}
		await closed.leave();
	});

	test("events and callbacks reach another workspace's client only after a call between the two, and then both ways", async () => {
		const listener = await connect(home, "listener");
		await listener.serve("bell", () => "rung");
		const caller = await connect(abroad, "caller");
		const before = await refusedFrames();
		caller.send({ type: "too-early", to: listener.peer });
		caller.send({ type: "method", to: listener.peer, method: "guessed.resolve" }, { args: ["too early"] });
		listener.send({ type: "method", to: caller.peer, method: "guessed.resolve" }, { args: ["too early"] });
		expect(await caller.call(listener.peer, "services.bell.ring")).toBe("rung");
		await listener.manage("echo", "its own frame is judged");
		expect(await refusedFrames()).toBe(before + 3);
		caller.send({ type: "in-time", to: listener.peer });
		listener.send({ type: "method", to: caller.peer, method: "callback.f" }, { args: ["in time"] });
		listener.send({ type: "method", to: caller.peer, method: "services._rintf_a.f" }, { args: ["in time"] });
		await caller.frames.first(({ main }) => main["method"] === "services._rintf_a.f", "an object's method");
		await listener.frames.first(({ main }) => main["type"] === "in-time", "the event");
		await caller.frames.first(({ main }) => main["method"] === "callback.f", "the callback");
		for (const { frames } of [listener, caller]) expect(JSON.stringify(frames.all)).not.toContain("early");
		await caller.leave();
		await listener.leave();
	});

	test("an answer passes although the called client, or the caller, came back on a new connection meanwhile", async () => {
		const callee = await connect(home, "callee");
		for (const id of ["built-in", "slow"]) await register(callee, id, { visibility: "public" });
		const caller = await connect(abroad, "patient");
		const { session, answer } = caller.startCall();
		const call = { type: "method", to: callee.peer, method: "services.slow.f", session };
		caller.send(call, { args: [], promise: "*", t: 30 });
		const isCall = ({ main }: Frame) => main["method"] === "services.slow.f";
		await callee.frames.first(isCall, "the call");
		await callee.cut();
		const back = await RawClient.connect(node().url, {
			clientId: "callee",
			reconnectionToken: callee.info.reconnection_token,
		});
		back.send({ type: "method", to: caller.peer, method: `${session}.resolve` }, { args: ["late"] });
		expect(await answer).toBe("late");

		await caller.cut();
		const again = await RawClient.connect(node().url, {
			clientId: "patient",
			reconnectionToken: caller.info.reconnection_token,
		});
		again.send({ type: "goes-on", to: callee.peer });
		await back.frames.first(({ main }) => main["type"] === "goes-on", "a message of the talk that goes on");
		await again.leave();
		await back.leave();
	});

	test("a client that left and came back anew has met nobody", async () => {
		const first = await connect(home, "fresh");
		await first.serve("door", () => "open");
		const caller = await connect(abroad, "visitor");
		expect(await caller.call(first.peer, "services.door.f")).toBe("open");
		await first.leave();
		const second = await connect(home, "fresh");
		await expect(second.call(caller.peer, "session.f")).rejects.toThrow(refusal);
		await caller.leave();
		await second.leave();
	});

	describe.each([
		["python", "javascript"],
		["javascript", "python"],
	] as const)("a public %s service and a %s caller of another workspace", (providing, calling) => {
		let clients: readonly [ClientProcess, ClientProcess];
		const id = `public-${providing}`;
		const full = () => `${home.id}/${providing}:${id}`;

		beforeAll(async () => {
			clients = [ClientProcess[providing](), ClientProcess[calling]()];
			const [server, user] = clients;
			await server.connect(providing, node().url, { workspace: home.id, token: home.token });
			await server.run("register", { name: providing, id, config: { visibility: "public" } });
			await user.connect(calling, node().url, { workspace: abroad.id, token: abroad.token });
			await user.run("find", { name: calling, id: full() });
		});
		afterAll(async () => {
			for (const client of clients ?? []) await client.stop();
		});

		test("talk with callbacks, generators and large messages as within one workspace", async () => {
			const [, user] = clients;
			const large = await user.call(calling, full(), "echo", [pattern(LARGE_BYTES)]);
			expect(large).toMatchObject({ bytes: LARGE_BYTES });
			expect(await user.call(calling, full(), "add", [20, 22])).toBe(42);
			const visited = await user.run("visit", { name: calling, id: full(), items: [1, 2] });
			expect(visited).toEqual({ result: [10, 20], seen: [1, 2] });
			expect(await user.run("drain", { name: calling, id: full(), upto: 5 })).toEqual([0, 1, 2, 3, 4]);
		});
	});
});
