/** Services over plain HTTP: calls by GET and POST in JSON and msgpack, streams, lists, refusals. */
import { decode, decodeMulti, encode } from "@msgpack/msgpack";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ClientProcess } from "../kit/client-process.ts";
import { makeWorkspace, onEachLog, type TestWorkspace } from "../kit/on-each-log.ts";

onEachLog("services over HTTP", (node) => {
	let team: TestWorkspace;
	let other: TestWorkspace;
	let provider: ClientProcess;

	beforeAll(async () => {
		team = await makeWorkspace(node(), "http");
		other = await makeWorkspace(node(), "elsewhere");
		provider = ClientProcess.python();
		await provider.connect("provider", node().url, { workspace: team.id, token: team.token });
		await provider.run("register", { name: "provider", id: "open", config: { visibility: "public" } });
		await provider.run("register", { name: "provider", id: "closed" });
		const config = { visibility: "public", require_context: true };
		await provider.run("register", { name: "provider", id: "asking", config });
	});
	afterAll(() => provider?.stop());

	const at = (path: string) => `${node().url}/${path}`;
	const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
	const get = (path: string, headers: Record<string, string> = {}) => fetch(at(path), { headers });
	const post = (path: string, body: string | Uint8Array, headers: Record<string, string> = {}) =>
		fetch(at(path), { method: "POST", body, headers: { "content-type": "application/json", ...headers } });
	const bodyOf = async (response: Response) => ({ status: response.status, body: await response.json() });

	describe("a call", () => {
		test("by GET takes numbers, text and maps from the query", async () => {
			const add = await get(`${team.id}/services/open/add?a=2&b=0.5`);
			expect(await bodyOf(add)).toEqual({ status: 200, body: 2.5 });
			const echo = async (value: string) => {
				const response = await get(`${team.id}/services/open/echo?value=${encodeURIComponent(value)}`);
				return response.json();
			};
			expect(await echo("00012")).toBe(12);
			expect(await echo("true")).toBe("true");
			expect(await echo("[1,2]")).toBe("[1,2]");
			expect(await echo('{"deep":[1]}')).toEqual({ deep: [1] });
			expect(await echo("ü & /")).toBe("ü & /");
		});

		test("by POST takes arguments by name from a JSON body, with or without a charset", async () => {
			const body = JSON.stringify({ name: "Ada", mark: "?" });
			for (const type of ["application/json", "application/json; charset=utf-8"]) {
				const greeted = await post(`${team.id}/services/open/greet`, body, { "content-type": type });
				expect(await bodyOf(greeted)).toEqual({ status: 200, body: "Hello Ada?" });
			}
			const negated = await post(`${team.id}/services/open/math.deep.negate`, '{"number":4}');
			expect(await bodyOf(negated)).toEqual({ status: 200, body: -4 });
		});

		test("in msgpack carries bytes both ways, also more than one frame holds", async () => {
			const data = Uint8Array.from({ length: 3_000_000 }, (_, i) => i % 251);
			const headers = { "content-type": "application/msgpack" };
			const response = await post(`${team.id}/services/open/reverse`, encode({ data }), headers);
			if (response.status !== 200) throw new Error(await response.text());
			expect(response.headers.get("content-type")).toBe("application/msgpack");
			const reversed = decode(new Uint8Array(await response.arrayBuffer())) as Uint8Array;
			expect(Buffer.compare(Buffer.from(reversed), Buffer.from(data).reverse())).toBe(0);
		});

		test("tells the service who asks: nobody, or the token's user, whatever the arguments claim", async () => {
			const nobody = await (await get(`${team.id}/services/asking/whoami`)).json();
			expect(nobody).toMatchObject({
				ws: "ws-anonymous",
				user: { id: "anonymouz-http", is_anonymous: true },
			});
			const forged = JSON.stringify({ context: { user: { id: "root" }, ws: "public" } });
			const known = await post(`${team.id}/services/asking/whoami`, forged, bearer(team.token));
			expect(await known.json()).toMatchObject({ ws: team.id, user: { is_anonymous: false } });
		});

		test("of a generator is answered by a stream of its items", async () => {
			const json = await get(`${team.id}/services/open/count?upto=3`);
			expect(json.headers.get("content-type")).toBe("text/event-stream");
			expect(await json.text()).toBe("data: 0\n\ndata: 1\n\ndata: 2\n\ndata: [DONE]\n\n");
			const headers = { "content-type": "application/msgpack" };
			const packed = await post(`${team.id}/services/open/count`, encode({ upto: 3 }), headers);
			expect([...decodeMulti(new Uint8Array(await packed.arrayBuffer()))]).toEqual([0, 1, 2]);
		});

		test("of the manager is served as from a socket", async () => {
			const body = JSON.stringify({ config: { workspace: team.id } });
			const token = await post(
				`${team.id}/services/ws/get_service_info`,
				'{"service_id":"open"}',
				bearer(team.token),
			);
			expect(await token.json()).toMatchObject({ id: `${team.id}/provider:open` });
			const refused = await post(`${team.id}/services/ws/generate_token`, body, bearer(team.token));
			expect(await bodyOf(refused)).toMatchObject({
				status: 403,
				body: { success: false, detail: expect.stringContaining("Only admin can generate token") },
			});
		});
	});

	describe("a refusal", () => {
		test.each([
			["an unknown function", "open/nope", 404, "nope not found."],
			["an unknown service", "nosvc/add", 404, "Service not found"],
			["a protected service", "closed/add?a=1&b=2", 403, "Permission denied for non-public service"],
			["what the service raises", "open/fail?text=bad", 400, "ValueError: bad"],
			["an argument too few", "open/add?a=1", 400, "missing 1 required positional argument"],
		])("of %s has its status and says why", async (_, path, status, detail) => {
			const answer = await bodyOf(await get(`${team.id}/services/${path}`));
			expect(answer).toEqual({
				status,
				body: { success: false, detail: expect.stringContaining(detail) },
			});
		});

		test.each([
			["no JSON", "{", "application/json", 400],
			["a list", "[1]", "application/json", 400],
			["another type", "a=1", "application/x-www-form-urlencoded", 415],
		])("of a body that is %s", async (_, body, type, status) => {
			const answer = await post(`${team.id}/services/open/add`, body, { "content-type": type });
			expect(await bodyOf(answer)).toEqual({
				status,
				body: { success: false, detail: expect.any(String) },
			});
		});

		test("of bytes in JSON says how to get them", async () => {
			const args = encode({ data: Uint8Array.of(1) });
			const packed = { "content-type": "application/msgpack" };
			expect((await post(`${team.id}/services/open/reverse`, args, packed)).status).toBe(200);
			const answer = await get(`${team.id}/services/open/echo?value=1`, bearer("nonsense"));
			expect(await bodyOf(answer)).toEqual({
				status: 401,
				body: { success: false, detail: "Error decoding token headers." },
			});
		});

		test("a token opens its own workspace's protected services, no others, and nothing once it is revoked", async () => {
			const call = (token: string) => get(`${team.id}/services/closed/add?a=1&b=2`, bearer(token));
			expect(await bodyOf(await call(team.token))).toEqual({ status: 200, body: 3 });
			expect((await call(other.token)).status).toBe(403);
			const revoke = JSON.stringify({ token: other.token });
			expect((await post(`${other.id}/services/ws/revoke_token`, revoke, bearer(other.token))).status).toBe(
				200,
			);
			expect((await call(other.token)).status).toBe(401);
		});
	});

	test("services are listed as far as the caller may see them, and described one by one", async () => {
		const ids = async (headers: Record<string, string>) => {
			const services = (await (await get(`${team.id}/services/`, headers)).json()) as { id: string }[];
			return services
				.map(({ id }) => id)
				.filter((id) => id !== "provider:built-in")
				.sort();
		};
		expect(await ids({})).toEqual(["provider:asking", "provider:open"]);
		expect(await ids(bearer(team.token))).toContain("provider:closed");
		const record = await (await get(`${team.id}/services/open`)).json();
		expect(record).toMatchObject({ id: `${team.id}/provider:open`, config: { visibility: "public" } });
		const moved = await fetch(at(`${team.id}/services`), { redirect: "manual" });
		expect([moved.status, moved.headers.get("location")]).toEqual([307, `/${team.id}/services/`]);
	});

	test("a workspace tells about itself to those who may read it", async () => {
		const info = await bodyOf(await get(`${team.id}/info`, bearer(team.token)));
		expect(info).toMatchObject({ status: 200, body: { id: team.id, persistent: true } });
		expect((await get(`${team.id}/info`)).status).toBe(403);
	});

	test("pages of other origins may call, with their credentials", async () => {
		const origin = "https://example.org";
		const headers = { origin, "access-control-request-method": "POST" };
		const preflight = await fetch(at(`${team.id}/services/open/add`), { method: "OPTIONS", headers });
		expect(preflight.status).toBe(200);
		expect(preflight.headers.get("access-control-allow-methods")).toContain("POST");
		expect(preflight.headers.get("access-control-allow-headers")).toContain("Authorization");
		const answer = await get(`${team.id}/services/open/add?a=1&b=2`, { origin });
		expect(answer.headers.get("access-control-allow-origin")).toBe(origin);
		expect(answer.headers.get("access-control-allow-credentials")).toBe("true");
	});
});
