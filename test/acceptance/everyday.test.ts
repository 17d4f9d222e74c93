/**
 * What users of the published clients do every day, beyond calls and events: finding services by any id, tokens,
 * workspaces, visibility, large registrations, clients that come and go, a node that restarts.
 */
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { ClientProcess, type Connected } from "../kit/client-process.ts";
import { ROOT_TOKEN } from "../kit/node-process.ts";
import { makeWorkspace, onEachLog, type TestWorkspace } from "../kit/on-each-log.ts";
import { RawClient } from "../kit/raw-client.ts";

const LANGUAGES = ["python", "javascript"] as const;
type Language = (typeof LANGUAGES)[number];

/** Characters of a record field that make its registration leave in chunks, and a list of them come back in some. */
const LARGE_DOCS = 300_000;
const LARGE_SERVICES = 5;

interface Fields {
	readonly [name: string]: unknown;
}
interface ServiceFields extends Fields {
	readonly id: string;
}

onEachLog("everyday use", (node) => {
	let team: TestWorkspace;
	let elsewhere: TestWorkspace;
	let clients: Readonly<Record<Language, ClientProcess>>;

	beforeAll(async () => {
		team = await makeWorkspace(node(), "everyday");
		elsewhere = await makeWorkspace(node(), "elsewhere");
		clients = { python: ClientProcess.python(), javascript: ClientProcess.javascript() };
		for (const [language, client] of Object.entries(clients)) {
			await client.connect(`${language}-provider`, node().url, inWorkspace(team));
			await client.connect(`${language}-user`, node().url, inWorkspace(team));
			await client.connect(`${language}-stranger`, node().url, inWorkspace(elsewhere));
		}
	});
	afterAll(async () => {
		for (const client of Object.values(clients ?? {})) await client.stop();
	});

	describe.each(LANGUAGES)("with the %s client", (language) => {
		const provider = `${language}-provider`;
		const user = `${language}-user`;
		const stranger = `${language}-stranger`;
		const client = () => clients[language];
		const register = (id: string, config: Fields = {}, more: Fields = {}) =>
			client().run<string>("register", { name: provider, id, config, more });
		const find = (name: string, id: string, options: Fields = {}) =>
			client().run<ServiceFields>("find", { name, id, options });
		const manage = <T = unknown>(name: string, method: string, ...args: unknown[]) =>
			client().manage(name, method, ...args) as Promise<T>;
		const listed = async (name: string, ...args: unknown[]) =>
			(await manage<ServiceFields[]>(name, "list_services", ...args)).map(({ id }) => id).sort();
		const full = (service: string) => `${team.id}/${provider}:${service}`;

		test("a service is found by every form of its id, and called through each", async () => {
			const service = `forms-${language}`;
			expect(await register(service)).toBe(full(service));
			for (const path of [service, `${provider}:${service}`, `${team.id}/${service}`, full(service)]) {
				for (const id of [path, `${path}@*`]) {
					expect((await find(user, id)).id).toBe(full(service));
					expect(await client().call(user, id, "add", [2, 3])).toBe(5);
				}
			}
			await expect(find(user, `${service}@other-app`)).rejects.toThrow(/KeyError.*Service not found/s);
			await expect(find(user, `a/b/c:${service}`)).rejects.toThrow(/Invalid service id/);
		});

		test("nested methods are called by their path", async () => {
			const service = `nested-${language}`;
			await register(service);
			await find(user, service);
			expect(await client().call(user, service, "math.twice", [21])).toBe(42);
			expect(await client().call(user, service, "math.deep.negate", [7])).toBe(-7);
		});

		test("of two providers, the mode or the client's name decides", async () => {
			const service = `twin-${language}`;
			await register(service);
			await client().run("register", { name: user, id: service });
			await expect(find(user, service)).rejects.toThrow(/Multiple services found/);
			expect((await find(user, full(service))).id).toBe(full(service));
			const ids = [full(service), `${team.id}/${user}:${service}`].sort();
			expect(ids).toContain((await find(user, service, { mode: "random" })).id);
			const both = [
				await find(user, service, { mode: "first" }),
				await find(user, service, { mode: "last" }),
			];
			expect(both.map(({ id }) => id).sort()).toEqual(ids);
			await client().run("unregister", { name: user, id: service });
			expect((await find(user, service)).id).toBe(full(service));
		});

		test("public, protected, unlisted and shared services are seen and had by whom they should", async () => {
			const of = (kind: string) => `${kind}-${language}`;
			await register(of("public"), { visibility: "public" });
			await register(of("protected"), { visibility: "protected" });
			await register(of("unlisted"), { visibility: "unlisted" });
			const authorized_workspaces = [elsewhere.id];
			await register(of("shared"), { visibility: "protected", authorized_workspaces });
			const mine = (ids: string[]) => ids.filter((id) => /:(public|protected|unlisted|shared)-/.test(id));
			const own = (ids: string[]) => mine(ids).filter((id) => id.startsWith(`${team.id}/${provider}:`));

			const shown = ["protected", "public", "shared"].map((kind) => full(of(kind)));
			expect(own(await listed(user))).toEqual(shown);
			expect(own(await listed(user, team.id))).toEqual(shown);
			expect(own(await listed(user, { client_id: provider, visibility: "public" }))).toEqual([
				full(of("public")),
			]);
			expect(own(await listed(user, null, true))).toEqual([...shown, full(of("unlisted"))].sort());
			expect(await listed(user, `${provider}:${of("public")}`)).toEqual([full(of("public"))]);

			expect(own(await listed(stranger, team.id))).toEqual([full(of("public")), full(of("shared"))]);
			expect(own(await listed(stranger, `*/${of("public")}`))).toEqual([full(of("public"))]);
			expect(await listed(stranger, `*/${of("protected")}`)).toEqual([]);
			for (const kind of ["public", "unlisted", "shared"]) {
				await find(stranger, full(of(kind)));
				expect(await client().call(stranger, full(of(kind)), "add", [1, 2])).toBe(3);
			}
			await expect(find(stranger, full(of("protected")))).rejects.toThrow(/Permission denied/);
			await expect(manage(stranger, "get_service_info", full(of("protected")))).rejects.toThrow(/denied/);
			const info = await manage<{ config: Fields }>(stranger, "get_service_info", full(of("shared")));
			expect(info.config["authorized_workspaces"]).toBe(null);
		});

		test("an unregistered service is gone from lists and look-ups", async () => {
			const service = `brief-${language}`;
			await register(service);
			expect(await listed(user, { service_id: service })).toEqual([full(service)]);
			await client().run("unregister", { name: provider, id: service });
			expect(await listed(user, { service_id: service })).toEqual([]);
			await expect(find(user, service)).rejects.toThrow(/Service not found/);
		});

		test("a service's record has the fields that clients know, and no more of its maker than an id", async () => {
			const service = `record-${language}`;
			await register(service, { visibility: "public", flags: ["f"], custom: { a: 1 } }, { description: "d" });
			const info = await manage<Fields & { config: Fields }>(user, "get_service_info", service);
			expect(info).toMatchObject({ id: full(service), name: service, type: "generic", app_id: "*" });
			expect(Object.keys(info).sort()).toEqual(
				["app_id", "config", "description", "docs", "id", "name", "service_schema", "type"].sort(),
			);
			expect(info.config).toMatchObject({
				workspace: team.id,
				flags: ["f"],
				custom: { a: 1 },
				singleton: false,
			});
			expect(Object.keys(info.config["created_by"] as Fields)).toEqual(["id"]);
		});

		test("a new default service is set up once by the manager", async () => {
			const name = `default-of-${language}`;
			await client().connect(name, node().url, inWorkspace(team));
			await client().run("register", { name, id: "default" });
			expect(await client().run("order", { id: "default" })).toEqual([["setup", 0]]);
			await find(user, `${name}:default`);
			expect(await client().call(user, `${name}:default`, "add", [1, 1])).toBe(2);
			await client().run("disconnect", { name });
		});

		test("records too large for one frame are registered, and lists too large for one come back whole", async () => {
			const docs = "x".repeat(LARGE_DOCS);
			for (let i = 0; i < LARGE_SERVICES; i++) await register(`large-${i}-${language}`, {}, { docs });
			const services = await manage<Fields[]>(user, "list_services", { service_id: `large-*-${language}` });
			expect(services).toHaveLength(LARGE_SERVICES);
			for (const service of services) expect(service["docs"]).toBe(docs);
			const echoed = await manage<{ text: string }>(user, "echo", { text: docs.repeat(7) });
			expect(echoed.text).toBe(docs.repeat(7));
			for (let i = 0; i < LARGE_SERVICES; i++) {
				await client().run("unregister", { name: provider, id: `large-${i}-${language}` });
			}
		});

		test("echo, ping, status and log answer", async () => {
			expect(await manage(user, "echo", { a: [1, "two", null] })).toEqual({ a: [1, "two", null] });
			expect(await manage(user, "ping", provider)).toBe("pong");
			expect(await manage(user, "ping", `${team.id}/nobody`)).toMatch(
				/^Failed to ping client .*not connected/,
			);
			expect(await manage(user, "check_status")).toEqual({
				status: "ready",
				errors: null,
				user_permission: "rw",
			});
			expect(await manage(user, "log", "a note")).toBe(null);
			const ids = (await manage<ServiceFields[]>(user, "list_clients")).map(({ id }) => id);
			expect(ids).toEqual(expect.arrayContaining([`${team.id}/${provider}`, `${team.id}/${user}`]));
			await expect(manage(stranger, "list_clients", team.id)).rejects.toThrow(/Permission denied/);
			expect((await find(user, "~")).id).toBe("default");
			expect(await manage(user, "get_service_info", "~")).toMatchObject({ id: "~" });
		});

		test("a token is made, read and used by a second client, and useless once it is revoked", async () => {
			const admin = await connectAdmin();
			const config = { workspace: team.id, permission: "read_write", expires_in: 600 };
			const token = await manage<string>(admin, "generate_token", config);
			expect(await manage<Fields>(user, "parse_token", token)).toMatchObject({
				parent: "root",
				scope: { current_workspace: team.id, workspaces: { [team.id]: "rw" } },
			});
			const second = `second-${language}`;
			const joined: Connected = await client().connect(second, node().url, { token });
			expect([joined.workspace, joined.user["parent"]]).toEqual([team.id, "root"]);
			await client().run("disconnect", { name: second });
			expect(await manage(admin, "revoke_token", token)).toBe(null);
			await expect(client().connect(`third-${language}`, node().url, { token })).rejects.toThrow(/revoked/);
			await expect(manage(user, "parse_token", token)).rejects.toThrow(/revoked/);
			await expect(manage(user, "generate_token", {})).rejects.toThrow(/Only admin can generate token/);
			await client().run("disconnect", { name: admin });
		});

		test("a workspace is made, found, joined, overwritten and deleted with its clients", async () => {
			const admin = await connectAdmin();
			const id = `made-by-${language}-${node().driver}`;
			const record = { id, description: "first", persistent: true };
			expect(await manage(admin, "create_workspace", record)).toMatchObject({
				type: "workspace",
				...record,
				name: id,
				read_only: false,
				config: {},
			});
			await expect(manage(admin, "create_workspace", record)).rejects.toThrow(/Workspace already exists/);
			await manage(admin, "create_workspace", { ...record, description: "second" }, true);
			expect(await manage(admin, "get_workspace_info", id)).toMatchObject({ description: "second" });
			const found = await manage<ServiceFields[]>(admin, "list_workspaces", { id });
			expect(found).toMatchObject([{ id, description: "second" }]);
			await expect(manage(user, "get_workspace_info", id)).rejects.toThrow(/Permission denied/);

			const token = await manage<string>(admin, "generate_token", { workspace: id });
			const guest = await RawClient.connect(node().url, { clientId: "guest", workspace: id, token });
			expect(await manage(admin, "delete_workspace", id)).toBe(null);
			expect((await guest.closed).code).toBe(1008);
			expect(await manage(admin, "list_workspaces", { id })).toEqual([]);
			await expect(manage(admin, "get_workspace_info", id)).rejects.toThrow(/Workspace not found/);
			await client().run("disconnect", { name: admin });
		});

		test("an anonymous user has a workspace of its own and cannot make others", async () => {
			const name = `anonymous-${language}`;
			const { workspace, user: who } = await client().connect(name, node().url);
			expect(workspace).toBe(`ws-user-${who["id"]}`);
			expect(who["is_anonymous"]).toBe(true);
			await client().run("register", { name, id: "own", config: { visibility: "public" } });
			await find(user, `${workspace}/own`);
			expect(await client().call(user, `${workspace}/own`, "add", [4, 5])).toBe(9);
			await expect(manage(name, "create_workspace", { id: `not-${language}` })).rejects.toThrow(
				/Only registered user/,
			);
			await client().run("disconnect", { name });
		});

		test("a second client with a live one's id is refused; once the first is gone, it is let in", async () => {
			const name = `double-${language}`;
			const first = await RawClient.connect(node().url, { clientId: name, ...inWorkspace(team) });
			await expect(client().connect(name, node().url, inWorkspace(team))).rejects.toThrow(
				/Client already exists and is active/,
			);
			await first.leave();
			await vi.waitFor(() => client().connect(name, node().url, inWorkspace(team)), { timeout: 20_000 });
			expect(await manage(name, "echo", "in")).toBe("in");
			await client().run("disconnect", { name });
		});

		test("subscribers hear of clients and services that come and go, each once and with the ids clients expect", async () => {
			const types = ["client_connected", "client_disconnected", "service_added", "service_removed"];
			const observer = await RawClient.connect(node().url, {
				clientId: `observer-${language}`,
				...inWorkspace(team),
			});
			await observer.manage("subscribe", types);
			const name = `visitor-${language}`;
			await client().connect(name, node().url, inWorkspace(team));
			await client().run("register", { name, id: "kept" });
			await client().run("register", { name, id: "dropped" });
			await client().run("unregister", { name, id: "dropped" });
			await client().run("disconnect", { name });
			await observer.frames.first(({ main }) => main["type"] === "client_disconnected", "the goodbye");
			const heard = observer.frames.all.map(({ main }) => {
				const { id, workspace } = main["data"] as Fields;
				expect(Object.keys(main).sort()).toEqual(["data", "to", "type"]);
				expect(main["to"]).toBe("*");
				return [main["type"], id, workspace];
			});
			const peer = `${team.id}/${name}`;
			expect(heard).toEqual([
				["client_connected", peer, team.id],
				["service_added", `${peer}:kept`, undefined],
				["service_added", `${peer}:dropped`, undefined],
				["service_removed", `${peer}:dropped`, undefined],
				["client_disconnected", name, team.id],
			]);
			await observer.leave();
		});

		async function connectAdmin(): Promise<string> {
			const name = `admin-${language}`;
			await client().connect(name, node().url, { token: ROOT_TOKEN });
			return name;
		}
	});

	test("after a restart of the node both clients are back by themselves, and each serves the other", async () => {
		for (const language of LANGUAGES) {
			await clients[language].run("register", { name: `${language}-provider`, id: `stays-${language}` });
		}
		const crossed = [
			["python", "javascript"],
			["javascript", "python"],
		] as const;
		for (const [caller, callee] of crossed) {
			await clients[caller].run("find", { name: `${caller}-user`, id: `stays-${callee}` });
		}
		await node().terminate();
		await node().restart();
		for (const [caller, callee] of crossed) {
			// The proxy found before the restart goes on working, as soon as both ends are back.
			const call = () => clients[caller].call(`${caller}-user`, `stays-${callee}`, "add", [20, 22]);
			expect(await vi.waitFor(call, { timeout: 30_000, interval: 200 })).toBe(42);
			const again = await clients[caller].run<ServiceFields>("find", {
				name: `${caller}-user`,
				id: `stays-${callee}`,
			});
			expect(again.id).toBe(`${team.id}/${callee}-provider:stays-${callee}`);
		}
	});
});

function inWorkspace({ id, token }: TestWorkspace): { workspace: string; token: string } {
	return { workspace: id, token };
}
