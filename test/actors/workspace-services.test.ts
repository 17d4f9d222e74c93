import { describe, expect, test } from "vitest";
import { SERVICES_PER_CLIENT_MAX } from "../../actors/workspace-services.ts";
import { caller, user } from "../kit/users.ts";
import { posted, WorkspaceStage } from "../kit/workspace-stage.ts";

const ann = user("ann");
const bob = user("bob");
const writer = user("wri", { "my-lab": "rw" });
const reader = user("rea", { "my-lab": "r" });
const LAB = "workspace/my-lab";
const inLab = caller("a1", "my-lab", ann);
const outside = caller("b1", "ws-user-bob", bob);

function lab(): WorkspaceStage {
	const stage = new WorkspaceStage();
	stage.connect("my-lab", "a1", ann);
	stage.connect("my-lab", "w1", writer);
	return stage;
}

function unregister(stage: WorkspaceStage, service_id: string, who = inLab): unknown {
	return stage.ask(LAB, { type: "service.unregister", service_id, caller: who });
}

function resolve(stage: WorkspaceStage, query: Record<string, unknown>, who = inLab): unknown {
	const event = { type: "service.resolve", mode: "exact", seed: 0, caller: who, ...query };
	return (stage.ask(LAB, event, "query") as { record: { id: string } }).record.id;
}

describe("registering", () => {
	test("the record is completed; its maker is named by id alone, also on the built-in service", () => {
		const stage = lab();
		stage.register("my-lab", "a1", ann, { id: "hello", config: { visibility: "public", colour: "red" } });
		const [builtIn, hello] = stage.page("my-lab", inLab).services;
		expect(hello).toEqual({
			config: {
				visibility: "public",
				colour: "red",
				require_context: false,
				workspace: "my-lab",
				flags: [],
				singleton: false,
				created_by: { id: "ann" },
				service_embedding: null,
				authorized_workspaces: null,
			},
			id: "my-lab/a1:hello",
			name: "hello",
			type: "generic",
			description: null,
			docs: null,
			app_id: "*",
			service_schema: null,
		});
		expect(builtIn?.config).toMatchObject({ created_by: { id: "ann" } });
	});

	test("subscribers hear of clients by full id and of services by record", () => {
		const stage = new WorkspaceStage();
		stage.join("my-lab", "a1", ann);
		const types = ["client_connected", "client_updated", "service_added", "service_removed"];
		stage.subscribe("my-lab", "a1", ann, ...types);
		const builtIn = { id: "built-in", type: "built-in" };
		expect(stage.register("my-lab", "a1", ann, builtIn)).toMatchObject({ outcome: "added" });
		expect(stage.register("my-lab", "a1", ann, builtIn)).toMatchObject({ outcome: "replaced" });
		const who = { id: "my-lab/a1", workspace: "my-lab" };
		expect(stage.take()).toEqual([
			posted("my-lab", "a1", "client_connected", who),
			posted("my-lab", "a1", "client_updated", who),
		]);
		expect(stage.register("my-lab", "a1", ann, { id: "hello", name: "one" })).toMatchObject({
			outcome: "added",
		});
		stage.register("my-lab", "a1", ann, { id: "hello", name: "two" });
		expect(unregister(stage, "hello")).toBeNull();
		expect(stage.take()).toMatchObject([
			posted("my-lab", "a1", "service_added", { name: "one" }),
			posted("my-lab", "a1", "service_removed", { name: "one" }),
			posted("my-lab", "a1", "service_added", { name: "two" }),
			posted("my-lab", "a1", "service_removed", { name: "two" }),
		]);
	});

	test.each([
		[
			"other-ws/a1:x",
			"PermissionError: Service ID workspace prefix 'other-ws' does not match the workspace 'my-lab'",
		],
		["my-lab/w1:x", "PermissionError: Service ID client 'w1' does not match the client 'a1'"],
		["x", "ValueError: Service id must contain ':': x"],
		["a1:*", "ValueError: Invalid service id: a1:*"],
	])("nobody registers in another's name: %s", (id, text) => {
		const event = { type: "service.register", service: { id }, caller: inLab };
		expect(() => lab().ask(LAB, event)).toThrow(new Error(text));
	});

	test("a workspace takes no registration of another workspace's client", () => {
		const event = { type: "service.register", service: { id: "b1:x" }, caller: outside };
		expect(() => lab().ask(LAB, event)).toThrow(
			new Error("PermissionError: Permission denied for workspace my-lab"),
		);
	});

	test("a read-only client's built-in service is ignored, its others are refused", () => {
		const stage = lab();
		stage.join("my-lab", "r1", reader);
		expect(stage.register("my-lab", "r1", reader, { id: "built-in" })).toEqual({
			outcome: "ignored",
			id: null,
		});
		expect(() => stage.register("my-lab", "r1", reader, { id: "x" })).toThrow(
			new Error("PermissionError: Permission denied for workspace my-lab"),
		);
	});

	test("without a built-in service, local interfaces and others are ignored", () => {
		const stage = lab();
		stage.join("my-lab", "a2", ann);
		const ignored = { outcome: "ignored", id: null };
		expect(stage.register("my-lab", "a2", ann, { id: "x" })).toEqual(ignored);
		expect(stage.register("my-lab", "a1", ann, { id: "_rintf_1" })).toEqual(ignored);
		expect(stage.register("my-lab", "a1", ann, { id: "x", config: { _local_only: true } })).toEqual(ignored);
		expect(stage.list("my-lab", inLab)).toEqual(["my-lab/a1:built-in", "my-lab/w1:built-in"]);
	});

	test("a singleton has no rival and may be registered again by its own client", () => {
		const stage = lab();
		const service = { id: "db", config: { singleton: true } };
		stage.register("my-lab", "a1", ann, service);
		expect(stage.register("my-lab", "a1", ann, service)).toMatchObject({ outcome: "replaced" });
		expect(() => stage.register("my-lab", "w1", writer, { id: "db" })).toThrow(
			/^ValueError: Service with the same id already exists in the workspace: my-lab\/a1:db/,
		);
	});

	test("authorized_workspaces need a protected service", () => {
		const config = { visibility: "public", authorized_workspaces: ["x-y"] };
		expect(() => lab().register("my-lab", "a1", ann, { id: "x", config })).toThrow(
			new Error("ValueError: authorized_workspaces can only be set when visibility is 'protected'"),
		);
	});

	test("a client's services are bounded, its built-in one not counted", () => {
		const stage = lab();
		for (let i = 0; i < SERVICES_PER_CLIENT_MAX; i++) stage.register("my-lab", "a1", ann, { id: `s${i}` });
		expect(stage.register("my-lab", "a1", ann, { id: "s0" })).toMatchObject({ outcome: "replaced" });
		expect(() => stage.register("my-lab", "a1", ann, { id: "more" })).toThrow(
			new Error(`RuntimeError: A client may register at most ${SERVICES_PER_CLIENT_MAX} services`),
		);
	}, 30_000);

	test("names from JavaScript's own objects are names like others", () => {
		const stage = lab();
		for (const id of ["constructor", "__proto__", "toString"]) {
			expect(stage.register("my-lab", "a1", ann, { id })).toMatchObject({ outcome: "added" });
			expect(resolve(stage, { service: id })).toBe(`my-lab/a1:${id}`);
			expect(unregister(stage, id)).toBeNull();
			expect(() => unregister(stage, id)).toThrow(new Error(`KeyError: 'Service not found: ${id}'`));
		}
	});
});

describe("unregistering", () => {
	test("another client's service takes admin permission", () => {
		const stage = lab();
		stage.register("my-lab", "a1", ann, { id: "one" });
		stage.register("my-lab", "w1", writer, { id: "two" });
		const denied = new Error("PermissionError: Permission denied for workspace my-lab");
		expect(() => unregister(stage, "a1:one", caller("w1", "my-lab", writer))).toThrow(denied);
		expect(unregister(stage, "my-lab/w1:two")).toBeNull();
	});

	test("another workspace's service is out of reach, public or not", () => {
		const stage = lab();
		stage.register("my-lab", "a1", ann, { id: "one", config: { visibility: "public" } });
		expect(() => unregister(stage, "my-lab/a1:one", outside)).toThrow(
			new Error("PermissionError: Permission denied for workspace my-lab"),
		);
		expect(() => unregister(stage, "other-ws/a1:one")).toThrow(
			new Error("PermissionError: Permission denied for workspace other-ws"),
		);
	});

	test("a built-in service that goes is told as the client's leaving", () => {
		const stage = lab();
		stage.subscribe("my-lab", "w1", writer, "client_disconnected");
		unregister(stage, "built-in");
		expect(stage.take()).toEqual([
			posted("my-lab", "w1", "client_disconnected", { id: "a1", workspace: "my-lab" }),
		]);
	});
});

describe("finding", () => {
	test("an unknown service is a KeyError with the whole id", () => {
		const stage = lab();
		expect(() => resolve(stage, { service: "x" })).toThrow(
			new Error("KeyError: 'Service not found: my-lab/*:x@*'"),
		);
		expect(() => resolve(stage, { client: "a1", service: "x", app: "app" })).toThrow(
			new Error("KeyError: 'Service not found: my-lab/a1:x@app'"),
		);
	});

	test("of several, the mode decides", () => {
		const stage = lab();
		stage.register("my-lab", "a1", ann, { id: "x" });
		stage.register("my-lab", "w1", writer, { id: "x" });
		expect(() => resolve(stage, { service: "x" })).toThrow(
			/^AssertionError: Multiple services found for my-lab\/\*:x@\*/,
		);
		const choose = (mode: string, seed = 0) => resolve(stage, { service: "x", mode, seed });
		expect([choose("first"), choose("last"), choose("random", 0), choose("random", 0.99)]).toEqual([
			"my-lab/a1:x",
			"my-lab/w1:x",
			"my-lab/a1:x",
			"my-lab/w1:x",
		]);
		expect(resolve(stage, { client: "w1", service: "x" })).toBe("my-lab/w1:x");
	});

	test("visibility decides what others may have and see", () => {
		const stage = lab();
		for (const visibility of ["public", "protected", "unlisted"]) {
			stage.register("my-lab", "a1", ann, { id: visibility, config: { visibility } });
		}
		const shared = { visibility: "protected", authorized_workspaces: ["ws-user-bob"] };
		stage.register("my-lab", "a1", ann, { id: "shared", config: shared });
		const denied = "PermissionError: Permission denied for non-public service in workspace my-lab";
		expect(() => resolve(stage, { service: "protected" }, outside)).toThrow(new Error(denied));
		for (const service of ["public", "unlisted", "shared"]) {
			expect(resolve(stage, { service }, outside)).toBe(`my-lab/a1:${service}`);
		}
		const names = (ids: string[]) => ids.filter((id) => !id.endsWith("built-in")).map((id) => id.slice(10));
		expect(names(stage.list("my-lab", outside))).toEqual(["public", "shared"]);
		expect(names(stage.list("my-lab", inLab))).toEqual(["protected", "public", "shared"]);
		expect(names(stage.list("my-lab", inLab, { includeUnlisted: true }))).toEqual([
			"protected",
			"public",
			"shared",
			"unlisted",
		]);
		expect(() => stage.list("my-lab", outside, { includeUnlisted: true })).toThrow(
			new Error("PermissionError: Permission denied for workspace my-lab"),
		);
		expect(names(stage.list("my-lab", outside, { everywhere: true }))).toEqual(["public"]);
	});

	test("who may use a shared service is not told to those who may", () => {
		const stage = lab();
		const config = { visibility: "protected", authorized_workspaces: ["ws-user-bob"] };
		stage.register("my-lab", "a1", ann, { id: "shared", config });
		const record = (who: typeof inLab) =>
			stage.ask(
				LAB,
				{ type: "service.resolve", service: "shared", mode: "exact", seed: 0, caller: who },
				"query",
			);
		expect(record(inLab)).toMatchObject({ record: { config: { authorized_workspaces: ["ws-user-bob"] } } });
		expect(record(outside)).toMatchObject({ record: { config: { authorized_workspaces: null } } });
	});

	test("matches hold for patterns and fields", () => {
		const stage = lab();
		stage.register("my-lab", "a1", ann, { id: "hello-1", type: "greeter" });
		stage.register("my-lab", "w1", writer, { id: "hello-2", type: "greeter" });
		const match = (match: Record<string, string>) => stage.list("my-lab", inLab, { match });
		expect(match({ service_id: "hello-*" })).toEqual(["my-lab/a1:hello-1", "my-lab/w1:hello-2"]);
		expect(match({ type: "greeter", client_id: "w*" })).toEqual(["my-lab/w1:hello-2"]);
		expect(match({ visibility: "public", service_id: "hello*" })).toEqual([]);
	});
});
