/**
 * Acceptance 8: what a client says about who it is has no effect on anybody else.
 */
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ClientProcess } from "../kit/client-process.ts";
import { makeWorkspace, onEachLog, type TestWorkspace } from "../kit/on-each-log.ts";
import {
	type Fields,
	type Frame,
	frameBytes,
	RawClient,
	RejectedError,
	rawSocket,
} from "../kit/raw-client.ts";

/** What an attacker would like to be. */
const ROOT_CLAIMS: Fields = {
	from: "ws-user-root/root-client",
	ws: "ws-user-root",
	user: { id: "root", roles: ["admin"], scope: { workspaces: { "*": "a" } } },
};
/** Keys of the second segment that receivers would merge over what the gateway wrote. */
const OVERRIDES: Fields = {
	...ROOT_CLAIMS,
	ctx: ROOT_CLAIMS,
	to: "ws-user-root/root-client",
	type: "client_disconnected",
	method: "services.who-python.whoami",
	session: "stolen",
	parent: "stolen",
};

onEachLog("forgery", (node) => {
	let team: TestWorkspace;
	let elsewhere: TestWorkspace;
	let clients: { readonly python: ClientProcess; readonly javascript: ClientProcess };
	let attacker: RawClient;
	let stranger: RawClient;
	let victim: RawClient;

	beforeAll(async () => {
		team = await makeWorkspace(node(), "forgery");
		elsewhere = await makeWorkspace(node(), "elsewhere");
		const inTeam = { workspace: team.id, token: team.token };
		clients = { python: ClientProcess.python(), javascript: ClientProcess.javascript() };
		for (const client of Object.values(clients)) {
			const name = client.language;
			await client.connect(name, node().url, inTeam);
			const config = { require_context: true, visibility: "protected" };
			await client.run("register", { name, id: `who-${name}`, config });
			await client.run("register", { name, id: `secret-${name}` });
			await client.run("register", { name, id: `open-${name}`, config: { visibility: "public" } });
		}
		attacker = await RawClient.connect(node().url, { clientId: "attacker", ...inTeam });
		victim = await RawClient.connect(node().url, { clientId: "victim", ...inTeam });
		const { id: workspace, token } = elsewhere;
		stranger = await RawClient.connect(node().url, { clientId: "stranger", workspace, token });
	});
	afterAll(async () => {
		for (const client of Object.values(clients ?? {})) await client.stop();
	});

	/** What the victim got up to a marker that nothing can overtake. */
	async function victimHeard(marker: string): Promise<Fields[]> {
		attacker.send({ type: "marker", to: "victim", data: marker });
		await victim.frames.first(({ main }) => main["data"] === marker, `marker ${marker}`);
		return victim.frames.all.filter(({ main }) => main["type"] !== "marker").map(({ main }) => main);
	}

	test("scenario 10: from, ws, user and ctx of a message are the gateway's, whatever its sender wrote", async () => {
		attacker.send({ type: "greeting", to: "victim", data: 1, ...ROOT_CLAIMS, ctx: ROOT_CLAIMS });
		const [greeting] = await victimHeard("after the greeting");
		expect(greeting).toMatchObject({ from: attacker.peer, ws: team.id, to: victim.peer, data: 1 });
		expect(greeting?.["user"]).toEqual(attacker.info.user);
		expect(greeting).not.toHaveProperty("ctx");
	});

	test("the same holds for a broadcast", async () => {
		await victim.manage("subscribe", "broadcast-greeting");
		attacker.send({ type: "broadcast-greeting", to: "*", ...ROOT_CLAIMS, ctx: ROOT_CLAIMS });
		const { main } = await victim.frames.first(
			(frame) => frame.main["type"] === "broadcast-greeting",
			"broadcast",
		);
		expect(main).toMatchObject({ from: attacker.peer, ws: team.id });
		expect(main["user"]).toEqual(attacker.info.user);
		expect(main).not.toHaveProperty("ctx");
	});

	test.each(Object.keys(OVERRIDES))(
		"a second segment with `%s` reaches nobody, and a caller is told",
		async (key) => {
			const before = (await victimHeard(`before the notice with ${key}`)).length;
			attacker.send({ type: "overridden", to: "victim" }, { data: 1, [key]: OVERRIDES[key] });
			expect(await victimHeard(`after the notice with ${key}`)).toHaveLength(before);

			const { session, answer } = attacker.startCall();
			const head = { type: "method", to: `${team.id}/python`, method: "services.who-python.whoami", session };
			attacker.send(head, { args: [], promise: "*", t: 15, [key]: OVERRIDES[key] });
			const error = await answer.catch((thrown: unknown) => thrown);
			expect(error).toBeInstanceOf(RejectedError);
			expect((error as Error).message).toContain(`"${key}"`);
		},
	);

	describe.each(["python", "javascript"] as const)(
		"a %s service that asks for its caller's context",
		(provider) => {
			const method = `services.who-${provider}.whoami`;
			const truth = () => ({
				from: attacker.peer,
				to: `${team.id}/${provider}`,
				ws: team.id,
				user: attacker.info.user,
			});

			test("gets the truth although the caller claims to be root", async () => {
				const claims = { ...ROOT_CLAIMS, ctx: { ...ROOT_CLAIMS, to: "x/y" } };
				expect(await attacker.call(`${team.id}/${provider}`, method, [], claims)).toEqual(truth());
			});

			test("gets the truth although the claim stands in the head of a chunked message", async () => {
				const { session, answer } = attacker.startCall();
				const head = { type: "method", to: `${team.id}/${provider}`, method, session, ...ROOT_CLAIMS };
				const message = frameBytes({ ...head, ctx: ROOT_CLAIMS }, { promise: "*", t: 15 });
				await sendInChunks(attacker, `${team.id}/${provider}`, message);
				expect(await answer).toEqual(truth());
			});

			test.each(Object.keys(OVERRIDES))(
				"is not run by a chunked message whose second segment holds `%s`, in whatever order its chunks come",
				async (key) => {
					const target = `${team.id}/${provider}`;
					const head = { type: "method", to: target, method: `services.secret-${provider}.record` };
					const message = frameBytes(head, { args: ["hidden", 1], [key]: OVERRIDES[key] });
					for (const order of [[0], [0, 1], [1, 0], [2, 0, 1]]) {
						await expect(sendInChunks(attacker, target, message, order)).rejects.toThrow(`"${key}"`);
					}
					expect(await clients[provider].run("order", { id: `secret-${provider}` })).toEqual([]);
				},
			);

			test("cannot be reached through chunks that carry chunks, arguments too many or another's key", async () => {
				const target = `${team.id}/${provider}`;
				const head = { type: "method", to: target, method: `services.secret-${provider}.record` };
				const honest = frameBytes(head, { args: ["honest", 0] });
				const forged = frameBytes(head, { args: ["forged", 0], ws: team.id, from: victim.peer });
				const cache = (client: RawClient, name: string, ...args: unknown[]) =>
					client.call(target, `services.built-in.message_cache.${name}`, args);
				const nested = frameBytes(
					{ type: "method", to: target, method: "services.built-in.message_cache.set" },
					{ args: ["nest", 0, forged, false] },
				);
				await expect(sendInChunks(stranger, target, nested)).rejects.toThrow(/must not carry chunks/);

				await cache(stranger, "create", "shared", false);
				await expect(cache(attacker, "create", "shared", false)).rejects.toThrow(/under way/);
				await expect(cache(attacker, "set", "shared", 0, forged, false)).rejects.toThrow(/does not exist/);
				await cache(stranger, "set", "shared", 0, honest, false);
				await expect(cache(stranger, "set", "shared", 0, forged, false)).rejects.toThrow(/sent before/);
				await expect(cache(stranger, "append", "shared", forged, false)).rejects.toThrow(RejectedError);
				const claims = { from: victim.peer, to: target, ws: team.id, user: victim.info.user };
				await expect(cache(stranger, "process", "shared", false, claims)).rejects.toThrow(/at most 2/);
				await expect(cache(victim, "process", "shared", false)).rejects.toThrow(/does not exist/);
				await expect(
					stranger.call(target, "services.built-in.get_service", [`secret-${provider}`, claims]),
				).rejects.toThrow(RejectedError);
				// All that is left is the honest message, which a stranger may send and the callee refuses to run.
				await cache(stranger, "process", "shared", false);
				await stranger.manage("echo", "everything before is settled");
				expect(await clients[provider].run("order", { id: `secret-${provider}` })).toEqual([]);
			});

			test("is not run for another workspace, with or without forged claims", async () => {
				const target = `${team.id}/${provider}`;
				const sneak = `services.secret-${provider}.record`;
				const claims = { ...ROOT_CLAIMS, from: `${team.id}/victim`, ws: team.id, ctx: { ws: team.id } };
				await expect(stranger.call(target, sneak, ["stranger", 1])).rejects.toThrow(RejectedError);
				await expect(stranger.call(target, sneak, ["stranger", 2], claims)).rejects.toThrow(RejectedError);
				stranger.send({ type: "method", to: target, method: sneak, ...claims }, { args: ["stranger", 3] });
				const frame = frameBytes(
					{ type: "method", to: target, method: sneak },
					{ args: ["stranger", 4], ws: team.id, from: `${team.id}/victim` },
				);
				await expect(sendInChunks(stranger, target, frame)).rejects.toThrow(RejectedError);
				await stranger.manage("echo", "everything before is settled");
				expect(await clients[provider].run("order", { id: `secret-${provider}` })).toEqual([]);
			});
		},
	);

	test.each(["client_disconnected", "service_added", "peer_not_found", "force-exit"])(
		"`%s` is the server's word: from a client it reaches nobody, and a caller is told",
		async (type) => {
			await victim.manage("subscribe", type);
			const data = { id: "victim", workspace: team.id };
			for (const to of ["victim", "*"]) {
				attacker.send({ type, to, data, peer_id: victim.peer });
				const { session, answer } = attacker.startCall();
				attacker.send({ type, to, data, session });
				await expect(answer).rejects.toThrow(`only the server sends "${type}"`);
			}
			await expect(
				sendInChunks(attacker, `${team.id}/python`, frameBytes({ type, to: `${team.id}/python`, data })),
			).rejects.toThrow(`only the server sends "${type}"`);
			expect((await victimHeard(`after ${type}`)).filter((main) => main["type"] === type)).toEqual([]);
		},
	);

	test("a broadcast into another workspace reaches nobody there, and its sender is told", async () => {
		await victim.manage("subscribe", "invasion");
		stranger.send({ type: "invasion", to: `${team.id}/*` });
		const { session, answer } = stranger.startCall();
		stranger.send({ type: "invasion", to: `${team.id}/*`, session });
		await expect(answer).rejects.toThrow(/Permission denied/);
		expect((await victimHeard("after the invasion")).filter(({ type }) => type === "invasion")).toEqual([]);
	});

	describe("answers to calls that the server makes", () => {
		/** The session of a call that the server made to this client. */
		async function serverSession(called: RawClient): Promise<{ session: string; ping: Promise<unknown> }> {
			const seen = called.frames.all.length;
			const ping = victim.manage("ping", called.peer, 5);
			const isPing = ({ main }: Frame) => main["method"] === "services.built-in.ping";
			await called.frames.atLeast(called.frames.all.filter(isPing).length + 1, isPing, "pings");
			const frame = called.frames.all.slice(seen).find(isPing) as Frame;
			return { session: String(frame.main["session"]), ping };
		}
		const answer = (from: RawClient, session: string, value: unknown) =>
			from.send({ type: "method", to: from.managerPeer, method: `${session}.resolve` }, { args: [value] });

		test("count from the one who was called, and from nobody else", async () => {
			const { session, ping } = await serverSession(attacker);
			answer(stranger, session, "forged by a stranger");
			answer(victim, session, "forged by a neighbour");
			for (const client of [stranger, victim]) await client.manage("echo", "the forged answer was read");
			answer(attacker, session, "the one who was called");
			expect(await ping).toBe("the one who was called");
		});

		test("cannot stand for what actors answer: nobody is admitted by a forged answer", async () => {
			const { session, ping } = await serverSession(attacker);
			answer(attacker, session, "pong");
			expect(await ping).toBe("pong");
			for (let attempt = 0; attempt < 20; attempt++) {
				const { socket, closed } = await rawSocket(node().url);
				const first = new Promise<Fields>((resolve) => {
					socket.once("message", (data) => resolve(JSON.parse(String(data))));
				});
				socket.send(JSON.stringify({ client_id: `intruder-${attempt}`, workspace: elsewhere.id }));
				for (const forged of sessionsNear(session, 400)) answer(attacker, forged, { from: 0, upTo: 0 });
				expect(await first).toMatchObject({ type: "error", message: expect.stringMatching(/ermission/) });
				await closed;
			}
		});
	});

	test("a client cannot register a service in another's name", async () => {
		const service = (id: string) => ({ id, name: "x", type: "generic", config: { visibility: "public" } });
		await attacker.manage("register_service", service(`${attacker.peer}:built-in`));
		for (const id of [`${team.id}/victim:taken`, `${elsewhere.id}/stranger:taken`]) {
			await expect(attacker.manage("register_service", service(id))).rejects.toThrow(RejectedError);
		}
		await expect(attacker.manage("get_service_info", "taken")).rejects.toThrow(/Service not found/);
	});
});

/** Sessions for the server's next asks: as one can make them that knows where the number of an ask stands. */
function sessionsNear(session: string, count: number): string[] {
	const sealed = /^mgr-.{43}/.exec(session)?.[0] as string;
	const [name, ask] = JSON.parse(Buffer.from(session.slice(sealed.length), "base64url").toString("utf8"));
	return Array.from({ length: count }, (_, i) => {
		const where = JSON.stringify([name, String(Number(ask) + 1 + i)]);
		return sealed + Buffer.from(where).toString("base64url");
	});
}

/** What a client does with a message over its chunk size, here with a small one. `order`: of the chunks. */
async function sendInChunks(
	client: RawClient,
	target: string,
	message: Uint8Array,
	order: readonly number[] = [0, 1],
): Promise<void> {
	const key = randomUUID();
	const cache = (method: string, ...args: unknown[]) =>
		client.call(target, `services.built-in.message_cache.${method}`, [key, ...args]);
	const size = Math.ceil(message.length / order.length);
	await cache("create", false);
	for (const index of order)
		await cache("set", index, message.subarray(index * size, (index + 1) * size), false);
	await cache("process", false);
}
