/**
 * Who a service sees when it is called over HTTP, and what it can do with that.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { ClientProcess } from "../kit/client-process.ts";
import { NodeProcess } from "../kit/node-process.ts";
import { makeWorkspace, type TestWorkspace } from "../kit/on-each-log.ts";
import { type Fields, RawClient } from "../kit/raw-client.ts";

/** Above the size from which messages go in chunks. */
const LARGE_CHARACTERS = 400_000;

let node: NodeProcess;
let team: TestWorkspace;
let other: TestWorkspace;
let clients: readonly ClientProcess[];

beforeAll(async () => {
	node = await NodeProcess.start("sqlite");
	team = await makeWorkspace(node, "callers");
	other = await makeWorkspace(node, "others");
	clients = [ClientProcess.python(), ClientProcess.javascript()];
	for (const client of clients) {
		const name = client.language;
		await client.connect(name, node.url, { workspace: team.id, token: team.token });
		await client.run("register", { name, id: `plain-${name}`, config: { visibility: "public" } });
		const config = { visibility: "public", require_context: true };
		await client.run("register", { name, id: `asking-${name}`, config });
	}
});
afterAll(async () => {
	for (const client of clients ?? []) await client.stop();
	await node?.remove();
});

function post(path: string, keywords: Fields, token?: string, signal?: AbortSignal): Promise<Response> {
	const headers = {
		"content-type": "application/json",
		...(token ? { authorization: `Bearer ${token}` } : {}),
	};
	return fetch(`${node.url}/${path}`, {
		method: "POST",
		headers,
		body: JSON.stringify(keywords),
		signal: signal ?? null,
	});
}

test.each(["python", "javascript"])(
	"a %s service sees the caller's own address, workspace and user, never the server's",
	async (name) => {
		const path = `${team.id}/services/asking-${name}/whoami`;
		const nobody = (await (await post(path, {})).json()) as Fields;
		expect(nobody).toMatchObject({
			ws: "ws-anonymous",
			user: { id: "anonymouz-http", roles: ["anonymous"] },
		});
		expect(nobody["from"]).toMatch(/^ws-anonymous\/client-[\w-]+$/);
		expect(nobody["to"]).toBe(`${team.id}/${name}`);
		const known = (await (await post(path, {}, other.token)).json()) as Fields;
		expect(known["from"]).toMatch(new RegExp(`^${other.id}/client-`));
		expect(known).toMatchObject({ ws: other.id, user: { scope: { workspaces: { [other.id]: "rw" } } } });
		const again = (await (await post(path, {}, other.token)).json()) as Fields;
		expect(again["from"]).not.toBe(known["from"]);
	},
);

test("a call whose arguments go in chunks comes from the caller too, not from root", async () => {
	const provider = await RawClient.connect(node.url, {
		clientId: "chunked",
		workspace: team.id,
		token: team.token,
	});
	const contexts: Fields[] = [];
	const complete = Promise.withResolvers<void>();
	const method = { _rtype: "method", _rtarget: "chunked", _rmethod: "services.open.f", _rpromise: "*" };
	await provider.serve("open", (_, __, main) => {
		if (main["method"] === "services.built-in.get_service") return { id: "open", config: {}, f: method };
		contexts.push(main);
		if (String(main["method"]).endsWith(".process")) complete.resolve();
		return null;
	});
	// The chunks are taken and never put together, so that no answer comes; who sends them is what counts.
	const path = `${team.id}/services/chunked:open/f`;
	const given = new AbortController();
	const answer = post(path, { data: "x".repeat(LARGE_CHARACTERS) }, undefined, given.signal);
	answer.catch(() => {});
	await complete.promise;
	given.abort();
	for (const { from, ws, user } of contexts) {
		expect([from, ws, (user as Fields)["id"]]).toEqual([
			expect.stringMatching(/^ws-anonymous\/client-/),
			"ws-anonymous",
			"anonymouz-http",
		]);
	}
	await provider.leave();
});

test.each(["python", "javascript"])(
	"large arguments and results of a %s service arrive whole",
	async (name) => {
		const value = "y".repeat(LARGE_CHARACTERS);
		const answer = await post(`${team.id}/services/plain-${name}/echo`, { value }, team.token);
		expect(answer.status).toBe(200);
		expect(await answer.json()).toBe(value);
	},
);

test("a provider cannot use its callers' rights: a method of another client that it hands out is not called", async () => {
	const victim = await RawClient.connect(node.url, {
		clientId: "victim",
		workspace: team.id,
		token: team.token,
	});
	const calls: unknown[] = [];
	await victim.serve("vault", (name) => calls.push(name));
	const evil = await RawClient.connect(node.url, {
		clientId: "evil",
		workspace: other.id,
		token: other.token,
	});
	const stolen = { _rtype: "method", _rtarget: victim.peer, _rmethod: "services.vault.open", _rpromise: "*" };
	await evil.serve("trap", () => ({ id: "trap", config: {}, f: stolen }));
	for (const token of [undefined, team.token]) {
		const answer = await post(`${other.id}/services/evil:trap/f`, {}, token);
		expect(answer.status).toBe(403);
		expect(await answer.text()).toContain(`${evil.peer} handed out a method of ${victim.peer}`);
	}
	expect(await victim.manage("echo", "still here")).toBe("still here");
	expect(calls).toEqual([]);
	for (const client of [victim, evil]) await client.leave();
});

test("nobody but the called client answers a call, and an address that looks like a caller's is nobody's", async () => {
	const stranger = await RawClient.connect(node.url, {
		clientId: "s",
		workspace: team.id,
		token: team.token,
	});
	const guess = `${team.id}/client-${"a".repeat(11)}-${"b".repeat(22)}`;
	await expect(stranger.call(guess, "services.built-in.ping", ["x"])).rejects.toThrow(/is not connected/);
	await stranger.leave();
});
