/**
 * The manager's methods one by one, before real workspace and directory actors but without a log or sockets.
 */
import { describe, expect, test } from "vitest";
import { ManagerStage } from "../kit/manager-stage.ts";
import { root, user } from "../kit/users.ts";

const ann = user("ann");
const bob = user("bob");

describe("the manager object", () => {
	test("has a method that points back for everything the manager can do, and stays small", () => {
		const stage = new ManagerStage();
		const object = stage.object();
		expect(object["config"]).toMatchObject({
			visibility: "public",
			require_context: true,
			hypha_version: "1",
		});
		for (const name of stage.methods) {
			expect(object[name]).toMatchObject({
				_rtype: "method",
				_rtarget: "*/manager-test",
				_rmethod: `services.default.${name}`,
				_rpromise: "*",
			});
		}
		expect(JSON.stringify(object).length).toBeLessThan(10_000);
	});

	test("can be fetched as a service", async () => {
		const stage = new ManagerStage();
		expect(await stage.call(ann, "get_service", { service_id: "~" })).toEqual(stage.object());
	});

	test("names what this server does not offer", async () => {
		const stage = new ManagerStage();
		await expect(stage.call(ann, "search_services", { query: "x" })).rejects.toThrow(
			"NotImplementedError: search_services is not offered by this server",
		);
	});
});

describe("services", () => {
	test("a service is registered, found, listed, described and removed", async () => {
		const stage = new ManagerStage();
		stage.connect("ws-user-ann", "ann-client", ann);
		const service = { id: "ws-user-ann/ann-client:hello", config: { visibility: "public" } };
		expect(await stage.call(ann, "register_service", { service })).toBeNull();
		const info = await stage.call(ann, "get_service_info", { service_id: "hello" });
		expect(info).toMatchObject({ id: "ws-user-ann/ann-client:hello", config: { visibility: "public" } });
		const ids = async (who: typeof ann, query?: unknown) =>
			((await stage.call(who, "list_services", { query })) as { id: string }[]).map(({ id }) => id);
		const all = ["ws-user-ann/ann-client:built-in", "ws-user-ann/ann-client:hello"];
		expect(await ids(ann)).toEqual(all);
		expect(await ids(bob, "ws-user-ann")).toEqual(all);
		expect(await ids(bob, "*/hello")).toEqual(["ws-user-ann/ann-client:hello"]);
		expect(await ids(bob, { id: "hello", workspace: "*" })).toEqual(["ws-user-ann/ann-client:hello"]);
		expect(await ids(bob, { type: "built-in", workspace: "ws-user-*" })).toEqual([all[0]]);
		expect(await stage.call(ann, "unregister_service", { service_id: "hello" })).toBeNull();
		await expect(stage.call(ann, "get_service_info", { service_id: "hello" })).rejects.toThrow(
			"KeyError: 'Service not found: ws-user-ann/*:hello@*'",
		);
	});

	test("a fetched service has its full id, its place and absolute targets", async () => {
		const stage = new ManagerStage();
		stage.connect("ws-user-ann", "ann-client", ann);
		const service = { id: "ann-client:hello", config: { visibility: "public" } };
		await stage.call(ann, "register_service", { service });
		const method = {
			_rtype: "method",
			_rtarget: "ann-client",
			_rmethod: "services.hello.hi",
			_rpromise: "*",
		};
		stage.onClient(({ method: called, args }) => {
			expect([called, args]).toEqual(["services.built-in.get_service", ["hello"]]);
			return { id: "hello", config: { visibility: "public" }, hi: method, deep: [{ hi: method }] };
		});
		const absolute = { ...method, _rtarget: "ws-user-ann/ann-client" };
		expect(await stage.call(bob, "get_service", { service_id: "ws-user-ann/hello", config: {} })).toEqual({
			id: "ws-user-ann/ann-client:hello",
			config: {
				visibility: "public",
				workspace: "ws-user-ann",
				url: "http://127.0.0.1:1/ws-user-ann/services/ann-client:hello",
			},
			hi: absolute,
			deep: [{ hi: absolute }],
		});
	});

	test("a new default service's setup is called once, and its failure undoes nothing", async () => {
		const stage = new ManagerStage();
		stage.connect("ws-user-ann", "ann-client", ann);
		const called: string[] = [];
		stage.onClient(({ method }) => {
			called.push(method);
			if (method === "services.default.setup") throw new Error("broken");
			return { id: "default", setup: { _rtype: "method" } };
		});
		const service = { id: "ann-client:default" };
		expect(await stage.call(ann, "register_service", { service })).toBeNull();
		expect(await stage.call(ann, "register_service", { service })).toBeNull();
		expect(called).toEqual(["services.built-in.get_service", "services.default.setup"]);
	});

	test.each([
		[{ query: { nonsense: 1 } }, "ValueError: Invalid query keys: {'nonsense'}"],
		[{ query: "a/b c:d" }, "ValueError: Invalid query value for query: a/b c:d"],
		[
			{ query: { workspace: "*", visibility: "protected" } },
			"AssertionError: Only public services can be listed across all workspaces.",
		],
	])("a query that cannot be is refused: %j", async (args, text) => {
		await expect(new ManagerStage().call(ann, "list_services", args)).rejects.toMatchObject({
			message: text,
		});
	});
});

describe("clients", () => {
	test("ping answers pong, or says why not without failing", async () => {
		const stage = new ManagerStage();
		stage.connect("ws-user-ann", "ann-client", ann);
		stage.onClient(({ client }) => {
			if (client === "ann-client") return "pong";
			throw new Error("nobody there");
		});
		expect(await stage.call(ann, "ping", { client_id: "ann-client" })).toBe("pong");
		expect(await stage.call(ann, "ping", { client_id: "ws-user-ann/nobody", timeout: 1 })).toBe(
			"Failed to ping client ws-user-ann/nobody: nobody there",
		);
		await expect(stage.call(bob, "ping", { client_id: "ws-user-ann/ann-client" })).rejects.toThrow(
			"PermissionError: Permission denied for workspace ws-user-ann",
		);
	});

	test("clients are listed with their users for readers", async () => {
		const stage = new ManagerStage();
		stage.connect("ws-user-ann", "ann-client", ann);
		expect(await stage.call(ann, "list_clients")).toMatchObject([
			{ id: "ws-user-ann/ann-client", user: { id: "ann" } },
		]);
		await expect(stage.call(bob, "list_clients", { workspace: "ws-user-ann" })).rejects.toThrow(
			/^PermissionError/,
		);
	});

	test("subscribe, unsubscribe, echo and log answer as upstream does", async () => {
		const stage = new ManagerStage();
		stage.connect("ws-user-ann", "ann-client", ann);
		expect(await stage.call(ann, "subscribe", { event_type: ["a", "b"] })).toBe(true);
		expect(await stage.call(ann, "unsubscribe", { event_type: "never" })).toBe(true);
		expect(await stage.call(ann, "echo", { data: { a: [1] } })).toEqual({ a: [1] });
		expect(await stage.call(ann, "log", { msg: "hello" })).toBeNull();
	});
});

describe("workspaces", () => {
	test("a workspace that was made is in the maker's next list, and gone after its deletion", async () => {
		const stage = new ManagerStage();
		stage.connect("ws-user-ann", "ann-client", ann);
		const config = { name: "my-lab", description: "d" };
		expect(await stage.call(ann, "create_workspace", { config })).toMatchObject({
			id: "my-lab",
			owners: ["ann"],
		});
		const ids = async () =>
			((await stage.call(ann, "list_workspaces")) as { id: string }[]).map(({ id }) => id);
		expect(await ids()).toEqual(["my-lab", "ws-user-ann"]);
		expect(await stage.call(ann, "get_workspace_info", { workspace: "my-lab" })).toMatchObject({
			description: "d",
		});
		await expect(stage.call(bob, "get_workspace_info", { workspace: "my-lab" })).rejects.toThrow(
			/^PermissionError/,
		);
		expect(await stage.call(ann, "delete_workspace", { workspace: "my-lab" })).toBeNull();
		expect(await ids()).toEqual(["ws-user-ann"]);
		await expect(stage.call(ann, "get_workspace_info", { workspace: "my-lab" })).rejects.toThrow(
			"KeyError: 'Workspace not found: my-lab'",
		);
	});

	test("a name that could be no workspace reaches no actor", async () => {
		const stage = new ManagerStage();
		for (const workspace of ["a/b", "A-b", "x".repeat(500)]) {
			await expect(stage.call(ann, "get_workspace_info", { workspace })).rejects.toThrow(
				/^ValueError: Invalid workspace name/,
			);
		}
		await expect(stage.call(ann, "create_workspace", { config: { id: "noh" } })).rejects.toThrow(
			"ValueError: Workspace name must contain at least one hyphen (e.g. my-workspace).",
		);
		expect(await stage.call(root(), "create_workspace", { config: { id: "noh" } })).toMatchObject({
			id: "noh",
		});
	});

	test("status, settings and summary are those of the caller's workspace", async () => {
		const stage = new ManagerStage();
		stage.connect("ws-user-ann", "ann-client", ann);
		expect(await stage.call(ann, "check_status")).toEqual({
			status: "ready",
			errors: null,
			user_permission: "a",
		});
		expect(await stage.call(ann, "set_env", { key: "K", value: "V" })).toBeNull();
		expect(await stage.call(ann, "get_env", { key: "K" })).toBe("V");
		expect(await stage.call(ann, "get_env")).toEqual({ K: "V" });
		const item = { bookmark_type: "workspace", id: "my-lab" };
		expect(await stage.call(ann, "bookmark", { item })).toBeNull();
		expect(await stage.call(ann, "get_workspace_info")).toMatchObject({ config: { bookmarks: [item] } });
		expect(await stage.call(ann, "unbookmark", { item })).toBeNull();
		expect(await stage.call(ann, "get_summary")).toMatchObject({ client_count: 1, service_count: 1 });
	});
});

describe("tokens", () => {
	const generate = (stage: ManagerStage, who: typeof ann, config: Record<string, unknown> = {}) =>
		stage.call(who, "generate_token", { config }) as Promise<string>;

	test("a token is made, read and revoked", async () => {
		const stage = new ManagerStage();
		stage.connect("ws-user-ann", "ann-client", ann);
		const token = await generate(stage, ann, { permission: "read" });
		expect(await stage.call(ann, "parse_token", { token })).toMatchObject({
			parent: "ann",
			scope: { current_workspace: "ws-user-ann", workspaces: { "ws-user-ann": "r" } },
		});
		expect(await stage.call(ann, "revoke_token", { token })).toBeNull();
		await expect(stage.call(ann, "parse_token", { token })).rejects.toThrow(
			"ValueError: Token has been revoked",
		);
	});

	test("no token holds more than the one that asks for it", async () => {
		const stage = new ManagerStage();
		stage.connect("ws-user-ann", "ann-client", ann);
		const reader = user("child", { "ws-user-ann": "r" }, { parent: "ann" });
		await expect(
			generate(stage, reader, { workspace: "ws-user-ann", permission: "read_write" }),
		).rejects.toThrow("PermissionError: Only admin can generate token.");
		await expect(generate(stage, bob, { workspace: "ws-user-ann" })).rejects.toThrow(
			"PermissionError: You do not have any permission for workspace: ws-user-ann",
		);
	});

	test.each([
		[{ extra_scopes: ["ws:public#a"] }, "ValueError: Invalid extra scope: ws:public#a"],
		[{ extra_scopes: ["x ws:public#a"] }, "ValueError: Invalid extra scope: x ws:public#a"],
		[{ client_id: "x ws:public#a" }, /^ValueError: Invalid client_id/],
		[{ email: "a@b.org" }, "PermissionError: Only callers with the 'admin' role may set TokenConfig.email"],
		[{ permission: "rw" }, /^ValueError: permission must be one of/],
		[{ expires_in: "1" }, "ValueError: expires_in must be a number of seconds"],
	])("what would smuggle rights into a token is refused: %j", async (config, text) => {
		const stage = new ManagerStage();
		stage.connect("ws-user-ann", "ann-client", ann);
		await expect(generate(stage, ann, config)).rejects.toThrow(text);
	});

	test("another user's token cannot be revoked without admin permission where it is good for", async () => {
		const stage = new ManagerStage();
		stage.connect("ws-user-ann", "ann-client", ann);
		const token = await generate(stage, ann);
		await expect(stage.call(bob, "revoke_token", { token })).rejects.toThrow(
			"PermissionError: Permission denied for workspace ws-user-ann",
		);
		await expect(stage.call(bob, "parse_token", { token })).rejects.toThrow(
			"PermissionError: Token is not authorized for workspace 'ws-user-bob'",
		);
	});
});

describe("the workspace's history", () => {
	test("what a user logged is given back to that user, by type and time, and counted", async () => {
		const stage = new ManagerStage();
		stage.connect("ws-user-ann", "ann-client", ann);
		stage.now = Date.UTC(2026, 0, 1);
		expect(await stage.call(ann, "log", { msg: "hello" })).toBeNull();
		stage.now += 1_000;
		expect(await stage.call(ann, "log_event", { event_type: "ev1", data: { a: 1 } })).toBeNull();
		const logged = { id: 1, event_type: "log", data: "hello", timestamp: "2026-01-01T00:00:00.000" };
		const event = { id: 2, event_type: "ev1", data: { a: 1 }, timestamp: "2026-01-01T00:00:01.000" };
		const who = { workspace: "ws-user-ann", user_id: "ann" };
		expect(await stage.call(ann, "get_events")).toEqual([
			{ ...logged, ...who },
			{ ...event, ...who },
		]);
		expect(await stage.call(ann, "get_events", { event_type: "ev1" })).toEqual([{ ...event, ...who }]);
		const early = { end_time: "2026-01-01T00:00:00.500" };
		expect(await stage.call(ann, "get_events", early)).toEqual([{ ...logged, ...who }]);
		expect(await stage.call(ann, "get_events", { start_time: "2026-01-01T01:00:01+01:00" })).toEqual([
			{ ...event, ...who },
		]);
		expect(await stage.call(ann, "get_event_stats")).toEqual([
			{ event_type: "log", count: 1 },
			{ event_type: "ev1", count: 1 },
		]);
		await expect(stage.call(ann, "get_events", { start_time: "soon" })).rejects.toThrow(
			"ValueError: start_time must be a time in ISO 8601",
		);
		await expect(stage.call(ann, "log_event", { event_type: "two words" })).rejects.toThrow(/^ValueError/);
	});

	test("the newest entries are kept, within a number of them and of characters", async () => {
		const stage = new ManagerStage();
		stage.connect("ws-user-ann", "ann-client", ann);
		const large = "x".repeat(60_000);
		for (let n = 1; n <= 6; n++) await stage.call(ann, "log_event", { event_type: `e${n}`, data: large });
		const kept = (await stage.call(ann, "get_events")) as { event_type: string }[];
		expect(kept.map(({ event_type }) => event_type)).toEqual(["e3", "e4", "e5", "e6"]);
		await expect(stage.call(ann, "log", { msg: "x".repeat(70_000) })).rejects.toThrow(/too large/);
	});
});

describe("service types", () => {
	test("a type is kept, found by both forms of its id, listed and replaced", async () => {
		const stage = new ManagerStage();
		stage.connect("ws-user-ann", "ann-client", ann);
		const definition = { f: { type: "function" } };
		const type = { id: "tt", name: "TT", definition, description: null, config: {}, docs: null };
		const given = { id: "tt", name: "TT", definition };
		expect(await stage.call(ann, "register_service_type", { type_info: given })).toEqual(type);
		const full = { ...type, id: "ws-user-ann/tt" };
		expect(await stage.call(ann, "get_service_type", { type_id: "tt" })).toEqual(full);
		expect(await stage.call(ann, "get_service_type", { type_id: "ws-user-ann/tt" })).toEqual(full);
		await stage.call(ann, "register_service_type", { type_info: { ...given, name: "T2" } });
		expect(await stage.call(ann, "list_service_types")).toEqual([{ ...type, name: "T2" }]);
		expect(await stage.call(ann, "get_workspace_info")).toMatchObject({
			service_types: { tt: { name: "T2" } },
		});
	});

	test("others may neither read nor write them, and what is no type is refused", async () => {
		const stage = new ManagerStage();
		stage.connect("ws-user-ann", "ann-client", ann);
		const reader = user("reader", { "ws-user-ann": "r" });
		await expect(stage.call(bob, "list_service_types", { workspace: "ws-user-ann" })).rejects.toThrow(
			"PermissionError: Permission denied for workspace ws-user-ann",
		);
		expect(await stage.call(reader, "list_service_types", { workspace: "ws-user-ann" })).toEqual([]);
		await expect(stage.call(ann, "get_service_type", { type_id: "none" })).rejects.toThrow(
			"KeyError: 'Service type not found: ws-user-ann/none'",
		);
		await expect(stage.call(ann, "register_service_type", { type_info: { id: "a/b" } })).rejects.toThrow(
			"ValueError: Invalid service type id: a/b",
		);
		await expect(stage.call(ann, "register_service_type", { type_info: { id: "ab" } })).rejects.toThrow(
			"ValueError: definition must be a map",
		);
	});
});

describe("upkeep of a workspace", () => {
	const kicked = (workspace: string, client: string, reason: string) => ({
		type: "tell",
		to: `client/${workspace}/${client}`,
		event: { type: "client.kicked", reason },
	});

	test("an admin shows a client out, others may not", async () => {
		const stage = new ManagerStage();
		stage.connect("ws-user-ann", "ann-client", ann);
		stage.connect("ws-user-ann", "guest", ann);
		const client_id = "ws-user-ann/guest";
		await expect(stage.call(bob, "kickout_client", { client_id })).rejects.toThrow(/^PermissionError/);
		expect(stage.take()).toEqual([]);
		expect(await stage.call(ann, "kickout_client", { client_id, reason: "too loud" })).toBeNull();
		expect(stage.take()).toEqual([kicked("ws-user-ann", "guest", "too loud")]);
		await expect(stage.call(ann, "kickout_client", { client_id: "nobody" })).rejects.toThrow(
			"KeyError: 'Client not found: ws-user-ann/nobody'",
		);
	});

	test("cleanup shows out who answers no ping, and ends a temporary workspace without clients", async () => {
		const stage = new ManagerStage();
		stage.connect("ws-user-ann", "ann-client", ann);
		stage.connect("ws-user-ann", "dead", ann);
		stage.onClient(({ client }) => {
			if (client === "dead") throw new Error("no answer");
			return "pong";
		});
		await expect(stage.call(bob, "cleanup", { workspace: "ws-user-ann" })).rejects.toThrow(
			/^PermissionError/,
		);
		expect(await stage.call(ann, "cleanup")).toEqual({ removed_clients: ["ws-user-ann/dead"] });
		expect(stage.take()).toEqual([kicked("ws-user-ann", "dead", "it did not answer a ping")]);
		await stage.call(ann, "create_workspace", { config: { id: "ann-temporary" } });
		expect(await stage.call(ann, "cleanup", { workspace: "ann-temporary" })).toEqual({
			removed_workspace: "ann-temporary",
		});
		await stage.call(ann, "create_workspace", { config: { id: "ann-kept", persistent: true } });
		expect(await stage.call(ann, "cleanup", { workspace: "ann-kept" })).toEqual({});
	});
});

describe("admin-utils", () => {
	const admin = (stage: ManagerStage, name: string, args: Record<string, unknown> = {}, who = root()) =>
		stage.call(who, name, args, "admin-utils");

	test("is had by the operator alone, by every form of its id, and listed for nobody else", async () => {
		const stage = new ManagerStage();
		for (const service_id of [
			"admin-utils",
			"ws-user-root/admin-utils",
			"ws-user-root/manager-test:admin-utils",
		]) {
			expect(await stage.call(root(), "get_service", { service_id })).toMatchObject({
				id: "ws-user-root/manager-test:admin-utils",
				kickout_client: { _rtarget: "*/manager-test", _rmethod: "services.admin-utils.kickout_client" },
			});
		}
		const service_id = "ws-user-root/admin-utils";
		expect(await stage.call(root(), "get_service_info", { service_id })).toMatchObject({
			type: "admin-utils",
		});
		const denied = "PermissionError: Permission denied for workspace ws-user-root";
		await expect(stage.call(ann, "get_service", { service_id })).rejects.toThrow(denied);
		await expect(admin(stage, "list_servers", {}, ann)).rejects.toThrow(denied);
		expect(await stage.call(root(), "list_services")).toMatchObject([{ type: "admin-utils" }]);
		expect(await stage.call(ann, "list_services", { query: "ws-user-root" })).toEqual([]);
	});

	test("names nodes and all workspaces, shows clients out, and unloads workspaces with a word to subscribers", async () => {
		const stage = new ManagerStage();
		stage.connect("ws-user-ann", "ann-client", ann);
		stage.subscribe("ws-user-ann", "ann-client", ann, "workspace_unloaded");
		expect(await admin(stage, "list_servers")).toEqual(["n1", "n2"]);
		expect(await admin(stage, "list_workspaces")).toMatchObject([{ id: "ws-user-ann" }]);
		const client = { workspace: "ws-user-ann", client_id: "ann-client" };
		expect(await admin(stage, "kickout_client", { ...client, code: 1008, reason: "out" })).toBeNull();
		await expect(admin(stage, "kickout_client", { ...client, code: 1001 })).rejects.toThrow(/^ValueError/);
		stage.take();
		expect(await admin(stage, "unload_workspace", { workspace: "ws-user-ann" })).toBeNull();
		expect(stage.take()).toMatchObject([
			{ type: "post", event: { event: "workspace_unloaded", data: { id: "ws-user-ann" } } },
			{ type: "tell", event: { type: "client.kicked", reason: "Workspace is being unloaded: ws-user-ann" } },
		]);
		await expect(admin(stage, "unload_workspace", { workspace: "no-such" })).rejects.toThrow(/^KeyError/);
		await expect(admin(stage, "block_user", { user_id: "x" })).rejects.toThrow(/^NotImplementedError/);
	});

	test("does to other workspaces no more than its caller holds there", async () => {
		const stage = new ManagerStage();
		stage.connect("ws-user-ann", "ann-client", ann);
		const half = user("half", { "ws-user-root": "a" });
		expect(await admin(stage, "list_servers", {}, half)).toEqual(["n1", "n2"]);
		await expect(admin(stage, "unload_workspace", { workspace: "ws-user-ann" }, half)).rejects.toThrow(
			"PermissionError: Permission denied for workspace ws-user-ann",
		);
		expect(await admin(stage, "list_workspaces", {}, half)).toEqual([]);
	});
});

test("who subscribes to workspace_ready is told at once", async () => {
	const stage = new ManagerStage();
	stage.connect("ws-user-ann", "ann-client", ann);
	expect(await stage.call(ann, "subscribe", { event_type: "workspace_ready" })).toBe(true);
	expect(stage.take()).toMatchObject([
		{
			type: "post",
			to: "client/ws-user-ann/ann-client",
			event: { event: "workspace_ready", data: { id: "ws-user-ann" } },
		},
	]);
});

test("a workspace made with a child token is that token's own, and others of its parent's are not", async () => {
	const stage = new ManagerStage();
	stage.connect("ws-user-ann", "ann-client", ann);
	const child = user("child-of-ann", { "ws-user-ann": "a" }, { parent: "ann", email: null });
	await stage.call(ann, "create_workspace", { config: { id: "ann-own" } });
	await stage.call(child, "create_workspace", { config: { id: "child-own" } });
	const again = { config: { id: "child-own", description: "again" }, overwrite: true };
	expect(await stage.call(child, "create_workspace", again)).toMatchObject({ description: "again" });
	await expect(stage.call(child, "delete_workspace", { workspace: "ann-own" })).rejects.toThrow(
		/^PermissionError/,
	);
	expect(await stage.call(ann, "get_workspace_info", { workspace: "child-own" })).toMatchObject({
		id: "child-own",
	});
	expect(await stage.call(child, "delete_workspace", { workspace: "child-own" })).toBeNull();
});
