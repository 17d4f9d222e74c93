/** The published clients over HTTP instead of a WebSocket, and what others can say in their name: nothing. */
import { decodeMulti, encode } from "@msgpack/msgpack";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ClientProcess, pattern } from "../kit/client-process.ts";
import { CutProxy } from "../kit/cut-proxy.ts";
import { connectRoot, makeWorkspace, onEachLog, type TestWorkspace } from "../kit/on-each-log.ts";
import { RawClient } from "../kit/raw-client.ts";

const LARGE_BYTES = 1_500_000;
const NOTICES = 200;
const HTTP = { transport: "http" };

const LANGUAGES = ["python", "javascript"] as const;

onEachLog("clients over HTTP", (node) => {
	const clients = {} as Record<(typeof LANGUAGES)[number], ClientProcess>;
	let team: TestWorkspace;
	let elsewhere: TestWorkspace;
	const member = () => ({ workspace: team.id, token: team.token });

	beforeAll(async () => {
		team = await makeWorkspace(node(), "stream");
		elsewhere = await makeWorkspace(node(), "elsewhere");
		clients.python = ClientProcess.python();
		clients.javascript = ClientProcess.javascript();
	});
	afterAll(() => Promise.all(Object.values(clients).map((client) => client.stop())));

	describe.each(LANGUAGES)("with the %s client", (language) => {
		const client = () => clients[language];
		const server = `${language}-server`;
		const user = `${language}-user`;
		const service = `over-http-${language}`;

		test("a service is registered over HTTP, and called over a WebSocket and over HTTP", async () => {
			const joined = await client().connect(server, node().url, { ...member(), ...HTTP });
			expect(joined.workspace).toBe(team.id);
			await client().run("register", { name: server, id: service, config: { visibility: "public" } });
			await client().connect(`${user}-ws`, node().url, member());
			await client().connect(user, node().url, { ...member(), ...HTTP });
			for (const name of [`${user}-ws`, user]) {
				await client().run("find", { name, id: service });
				expect(await client().call(name, service, "add", [2, 3])).toBe(5);
				await expect(client().call(name, service, "fail", ["bad luck"])).rejects.toThrow(/bad luck/);
			}
			const plain = await fetch(`${node().url}/${team.id}/services/${service}/add?a=1&b=2`);
			expect(await plain.json()).toBe(3);
		});

		test("callbacks, generators and values larger than a frame pass both ways", async () => {
			const visited = await client().run("visit", { name: user, id: service, items: [1, 2, 3] });
			expect(visited).toEqual({ result: [10, 20, 30], seen: [1, 2, 3] });
			expect(await client().run("drain", { name: user, id: service, upto: 4 })).toEqual([0, 1, 2, 3]);
			const reversed = await client().call(user, service, "reverse", [pattern(LARGE_BYTES)]);
			expect(reversed).toMatchObject({ bytes: LARGE_BYTES });
		});

		test("the manager answers, and events of the workspace arrive", async () => {
			expect(await client().manage(user, "echo", { a: [1, null] })).toEqual({ a: [1, null] });
			await client().run("on", { name: user, event: "notice" });
			await client().run("notices", { name: server, event: "notice", to: user, first: 0, count: 3 });
			const heard = await client().heard(user, "notice", 3);
			expect(heard.map(({ data }) => data).sort()).toEqual([0, 1, 2]);
			expect(new Set(heard.map(({ from }) => from))).toEqual(new Set([`${team.id}/${server}`]));
		});

		test("without a token it has a workspace of its own", async () => {
			const name = `${language}-nobody`;
			const { workspace, user: who } = await client().connect(name, node().url, HTTP);
			expect([workspace, who["is_anonymous"]]).toEqual([`ws-user-${who["id"]}`, true]);
			await client().run("find", { name, id: `${team.id}/${service}` });
			expect(await client().call(name, `${team.id}/${service}`, "add", [20, 22])).toBe(42);
			await client().run("disconnect", { name });
		});

		test("a cut stream is taken up again by the client, which has missed nothing", async () => {
			const network = await CutProxy.to(node().url);
			const name = `${language}-cut`;
			await client().connect(name, network.url, { ...member(), ...HTTP });
			for (const event of ["notice", "last"]) await client().run("on", { name, event });
			const sender = await RawClient.connect(node().url, { clientId: `${name}-sender`, ...member() });
			const send = (first: number, upTo: number) => {
				for (let seq = first; seq < upTo; seq++) sender.send({ type: "notice", to: name, data: seq });
			};
			send(0, NOTICES);
			await client().heard(name, "notice", NOTICES);
			// What the node writes from here on, the network has taken and the client never sees.
			network.swallow();
			send(NOTICES, 2 * NOTICES);
			await sender.roundTrip();
			await network.cut();
			send(2 * NOTICES, 3 * NOTICES);
			sender.send({ type: "last", to: name });
			await network.mend();
			await client().heard(name, "last", 1);
			const heard = (await client().heard(name, "notice", 3 * NOTICES)).map(({ data }) => data);
			expect(new Set(heard)).toEqual(new Set(Array.from({ length: 3 * NOTICES }, (_, seq) => seq)));
			// Repeats are of what came shortly before the cut, and come in order.
			expect(heard.slice(heard.lastIndexOf(NOTICES))).toEqual(
				Array.from({ length: 2 * NOTICES }, (_, i) => NOTICES + i),
			);
			await sender.leave();
			await client().run("disconnect", { name });
			await network.cut();
		});
	});

	describe("a POST", () => {
		const post = (at: TestWorkspace, client: string, headers: Record<string, string> = {}) =>
			fetch(`${node().url}/rpc?client_id=${client}&workspace=${at.id}`, {
				method: "POST",
				headers: { "content-type": "application/msgpack", ...headers },
				body: encode({ type: "notice", to: "listener", data: "forged" }),
			});
		const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

		test("in the name of somebody else's stream is refused, without a token, with another's, with a good one of the same workspace", async () => {
			const listener = await RawClient.connect(node().url, { clientId: "listener", ...member() });
			const root = await connectRoot(node());
			const neighbour = (await root.manage("generate_token", { workspace: team.id })) as string;
			await root.leave();
			const forged = [
				await post(team, "python-server"),
				await post(team, "python-server", bearer(elsewhere.token)),
				await post(team, "python-server", bearer(neighbour)),
				await post(team, "python-server", bearer("nonsense")),
				await post(team, "python-server", { cookie: "stream=x" }),
			];
			expect(forged.map(({ status }) => status)).toEqual([403, 403, 403, 403, 403]);
			expect((await post(team, "nobody", bearer(team.token))).status).toBe(400);
			// The same token as the stream's: the client itself.
			expect((await post(team, "python-server", bearer(team.token))).status).toBe(200);
			const heard = await listener.frames.first(({ main }) => main["data"] === "forged", "the right one");
			expect(heard.main["from"]).toBe(`${team.id}/python-server`);
			expect(listener.frames.all.filter(({ main }) => main["data"] === "forged")).toHaveLength(1);
			await listener.leave();
		});

		test("of a client without a token needs the stream's cookie as soon as it has shown it", async () => {
			const stream = await fetch(`${node().url}/rpc?client_id=cookie-client`);
			const reader = stream.body?.getReader() as ReadableStreamDefaultReader<Uint8Array>;
			const { value } = await reader.read();
			const [info] = [...decodeMulti((value as Uint8Array).subarray(4))] as [{ workspace: string }];
			const own = { id: info.workspace, token: "" };
			const cookie = (stream.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
			expect((await post(own, "cookie-client")).status).toBe(200);
			expect((await post(own, "cookie-client", { cookie })).status).toBe(200);
			expect((await post(own, "cookie-client")).status).toBe(403);
			expect((await post(own, "cookie-client", { cookie: `${cookie}x` })).status).toBe(403);
			await reader.cancel();
		});
	});

	test("a stream that is not granted is an error with the right status, not a stream", async () => {
		const ask = async (query: string, headers: Record<string, string> = {}) => {
			const response = await fetch(`${node().url}/rpc?${query}`, { headers });
			return { status: response.status, body: await response.json() };
		};
		const detail = (text: string) => ({ success: false, detail: expect.stringContaining(text) });
		expect(await ask("")).toEqual({ status: 400, body: detail("client_id") });
		expect(await ask("client_id=a", { authorization: "Bearer nonsense" })).toEqual({
			status: 401,
			body: detail("Error decoding token"),
		});
		expect(await ask(`client_id=a&workspace=${team.id}`)).toEqual({
			status: 403,
			body: detail("Permission denied"),
		});
		expect(await ask("client_id=a&reconnection_token=x~1")).toMatchObject({ status: 401 });
		const busy = { authorization: `Bearer ${team.token}` };
		expect(await ask("client_id=python-server", busy)).toEqual({
			status: 403,
			body: detail("Client already exists and is active"),
		});
	});
});
