import { describe, expect, test } from "vitest";
import { caller, root, user } from "../kit/users.ts";
import { posted, WorkspaceStage } from "../kit/workspace-stage.ts";

const ann = user("ann");
const bob = user("bob");
const LAB = "workspace/my-lab";

function joinEvent(client: string, generation: number, who = ann, more: Record<string, unknown> = {}) {
	return { type: "member.join", client, generation, user: who, ...more };
}

function leaveEvent(client: string, generation: number) {
	return { type: "member.leave", client, generation, reason: "test" };
}

function createEvent(record: Record<string, unknown> = {}, who = ann, overwrite = false) {
	return { type: "workspace.create", record, overwrite, caller: caller("a1", "ws-user-ann", who) };
}

const refused = (client: string, generation: number, reason: string) => ({
	type: "tell",
	to: `client/my-lab/${client}`,
	event: { type: "client.refused", generation, reason },
});

const admitted = (client: string, generation: number, permission: string) => ({
	type: "tell",
	to: `client/my-lab/${client}`,
	event: { type: "client.admitted", generation, admission: { permission } },
});

describe("admission", () => {
	test("a workspace that does not exist admits nobody", () => {
		const stage = new WorkspaceStage();
		stage.tell(LAB, joinEvent("a1", 7));
		expect(stage.take()).toEqual([refused("a1", 7, "Workspace not found: my-lab")]);
		expect(stage.state(LAB)).toBe("absent");
	});

	test("the first member brings the record of a workspace that the server makes", () => {
		const stage = new WorkspaceStage();
		stage.tell(LAB, joinEvent("a1", 7, ann, { ensure: { record: { owners: ["ann"], persistent: true } } }));
		expect(stage.take()).toEqual([admitted("a1", 7, "a")]);
		expect(stage.state(LAB)).toBe("active.occupied");
		expect(stage.ask("directory/workspaces", { type: "directory.names", pattern: "*" }, "query")).toEqual([
			"my-lab",
		]);
	});

	test("a stranger is refused and founds nothing", () => {
		const stage = new WorkspaceStage();
		stage.tell(LAB, joinEvent("b1", 7, bob, { ensure: { record: { owners: ["ann"] } } }));
		expect(stage.take()).toEqual([
			refused("b1", 7, "PermissionError: Permission denied for workspace my-lab"),
		]);
		expect(stage.state(LAB)).toBe("absent");
	});

	test("read permission is enough to join", () => {
		const stage = new WorkspaceStage();
		stage.join("my-lab", "a1", ann);
		stage.tell(LAB, joinEvent("b1", 8, user("bob", { "my-lab": "r" })));
		expect(stage.take()).toEqual([admitted("b1", 8, "r")]);
	});

	test("a revoked token opens nothing, also after the workspace ended and came back", () => {
		const stage = new WorkspaceStage();
		expect(stage.ask(LAB, { type: "token.revoke", hash: "h1", expiresAt: 9_000 })).toBeNull();
		const generation = stage.join("my-lab", "a1", ann);
		stage.tell(LAB, leaveEvent("a1", generation));
		stage.take();
		const ensure = { record: { owners: ["ann"] } };
		stage.tell(LAB, joinEvent("a1", 900, ann, { tokenHash: "h1", ensure }));
		expect(stage.take()).toEqual([refused("a1", 900, "Token has been revoked")]);
		stage.tell(LAB, joinEvent("a1", 901, ann, { tokenHash: "h2", ensure }));
		expect(stage.take()).toEqual([admitted("a1", 901, "a")]);
	});

	test("revoked tokens are forgotten once they have expired", () => {
		const stage = new WorkspaceStage();
		stage.ask(LAB, { type: "token.revoke", hash: "h1", expiresAt: 2_000 });
		stage.now = 3_000;
		stage.ask(LAB, { type: "token.revoke", hash: "h2", expiresAt: 9_000 });
		const isRevoked = (hash: string) => stage.ask(LAB, { type: "token.revoked", hash }, "query");
		expect([isRevoked("h1"), isRevoked("h2")]).toEqual([false, true]);
	});

	test("a workspace's clients are bounded; who is one already stays one", () => {
		const stage = new WorkspaceStage();
		const limits = { clientsPerWorkspace: 3, connectionsPerUser: 3 };
		for (const client of ["a1", "a2"]) stage.join("my-lab", client, ann);
		stage.tell(LAB, joinEvent("b1", 8, user("bob", { "my-lab": "r" }), { limits }));
		expect(stage.take()).toEqual([admitted("b1", 8, "r")]);
		stage.tell(LAB, joinEvent("late", 9_001, bob, { limits }));
		expect(stage.take()).toEqual([
			refused("late", 9_001, "PermissionError: Permission denied for workspace my-lab"),
		]);
		stage.tell(LAB, joinEvent("late", 9_002, user("bob", { "my-lab": "r" }), { limits }));
		const full = "Workspace my-lab has reached its limit of 3 clients";
		expect(stage.take()).toEqual([refused("late", 9_002, full)]);
		stage.tell(LAB, joinEvent("a1", 9_003, ann, { limits }));
		expect(stage.take()).toEqual([admitted("a1", 9_003, "a")]);
	});
});

describe("leaving", () => {
	test("a late goodbye of an older connection changes nothing", () => {
		const stage = new WorkspaceStage();
		const old = stage.connect("my-lab", "a1", ann);
		stage.subscribe("my-lab", "a1", ann, "client_disconnected");
		stage.tell(LAB, joinEvent("a1", old + 50));
		stage.take();
		stage.tell(LAB, leaveEvent("a1", old));
		expect(stage.take()).toEqual([{ type: "drop", reason: "late-leave" }]);
		expect(stage.list("my-lab", caller("a1", "my-lab", ann))).toEqual(["my-lab/a1:built-in"]);
		expect(stage.state(LAB)).toBe("active.occupied");
	});

	test("a join of an older connection is refused", () => {
		const stage = new WorkspaceStage();
		const generation = stage.join("my-lab", "a1", ann);
		stage.tell(LAB, joinEvent("a1", generation - 1));
		expect(stage.take()).toEqual([refused("a1", generation - 1, "A newer connection took its place")]);
	});

	test("a resumed client keeps its services and subscriptions", () => {
		const stage = new WorkspaceStage();
		const generation = stage.connect("my-lab", "a1", ann);
		stage.register("my-lab", "a1", ann, { id: "hello" });
		stage.subscribe("my-lab", "a1", ann, "custom");
		stage.tell(LAB, joinEvent("a1", generation + 1));
		expect(stage.list("my-lab", caller("a1", "my-lab", ann))).toEqual([
			"my-lab/a1:built-in",
			"my-lab/a1:hello",
		]);
		expect(stage.pass(LAB, "custom", "client/my-lab/a1")).toMatchObject([{ type: "forward" }]);
	});

	test("services go with their client, once, told by one event with its short id", () => {
		const stage = new WorkspaceStage();
		stage.connect("my-lab", "a1", ann);
		const generation = stage.connect("my-lab", "a2", ann);
		stage.register("my-lab", "a2", ann, { id: "hello" });
		stage.subscribe("my-lab", "a1", ann, "client_disconnected", "service_removed");
		stage.subscribe("my-lab", "a2", ann, "client_disconnected");
		stage.take();
		stage.tell(LAB, leaveEvent("a2", generation));
		expect(stage.take()).toEqual([
			posted("my-lab", "a1", "client_disconnected", { id: "a2", workspace: "my-lab" }),
		]);
		expect(stage.list("my-lab", caller("a1", "my-lab", ann))).toEqual(["my-lab/a1:built-in"]);
		stage.tell(LAB, leaveEvent("a2", generation));
		expect(stage.take()).toEqual([{ type: "drop", reason: "late-leave" }]);
	});

	test("a temporary workspace ends with its last member and can be founded again", () => {
		const stage = new WorkspaceStage();
		const first = stage.join("my-lab", "a1", ann);
		const second = stage.join("my-lab", "a2", ann);
		stage.tell(LAB, leaveEvent("a1", first));
		expect(stage.state(LAB)).toBe("active.occupied");
		stage.tell(LAB, leaveEvent("a2", second));
		expect(stage.state(LAB)).toBe("deleted");
		expect(stage.ask("directory/workspaces", { type: "directory.names", pattern: "*" }, "query")).toEqual([]);
		stage.join("my-lab", "a1", ann);
		expect(stage.state(LAB)).toBe("active.occupied");
	});

	test("a persistent workspace stays when it is empty", () => {
		const stage = new WorkspaceStage();
		const generation = stage.join("my-lab", "a1", ann, { persistent: true });
		stage.tell(LAB, leaveEvent("a1", generation));
		expect(stage.state(LAB)).toBe("active.empty");
		expect(stage.ask(LAB, { type: "workspace.info", caller: caller("x", "y", ann) }, "query")).toMatchObject({
			id: "my-lab",
		});
	});
});

describe("making and deleting", () => {
	test("the creator becomes owner, hears of it in its own workspace and gets a bookmark", () => {
		const stage = new WorkspaceStage();
		stage.join("ws-user-ann", "a1", ann, { persistent: true });
		stage.subscribe("ws-user-ann", "a1", ann, "workspace_loaded", "workspace_changed");
		const record = {
			type: "workspace",
			id: "my-lab",
			name: "my-lab",
			description: "d",
			persistent: false,
			owners: ["ann"],
			read_only: false,
			icon: null,
			covers: null,
			docs: null,
			service_types: {},
			config: {},
			status: { ready: true, errors: null },
		};
		expect(stage.ask(LAB, createEvent({ id: "my-lab", description: "d" }))).toEqual(record);
		const bookmark = { bookmark_type: "workspace", id: "my-lab", name: "my-lab", description: "d" };
		expect(stage.take()).toMatchObject([
			posted("ws-user-ann", "a1", "workspace_loaded", record),
			posted("ws-user-ann", "a1", "workspace_changed", {
				id: "ws-user-ann",
				config: { bookmarks: [bookmark] },
			}),
		]);
		expect(stage.state(LAB)).toBe("active.empty");
	});

	test.each([
		["noh", "ValueError: Workspace name must contain at least one hyphen (e.g. my-workspace)."],
		[
			"Bad-Name",
			"ValueError: Invalid workspace name: Bad-Name, only lowercase letters, numbers and hyphens are allowed",
		],
		["ws-user-bob", "PermissionError: Permission denied for workspace ws-user-bob"],
	])("%s is refused as a name", (name, text) => {
		const stage = new WorkspaceStage();
		expect(() => stage.ask(`workspace/${name}`, createEvent())).toThrow(new Error(text));
		expect(stage.state(`workspace/${name}`)).toBe("absent");
	});

	test("anonymous users make no workspaces", () => {
		const stage = new WorkspaceStage();
		const someone = user("anonymouz-1", {}, { is_anonymous: true, roles: ["anonymous"] });
		expect(() => stage.ask(LAB, createEvent({}, someone))).toThrow(
			new Error("PermissionError: Only registered user can create workspace."),
		);
	});

	test("an existing workspace is overwritten on request and by its owners only", () => {
		const stage = new WorkspaceStage();
		stage.ask(LAB, createEvent({ description: "one" }));
		expect(() => stage.ask(LAB, createEvent())).toThrow(
			new Error("RuntimeError: Workspace already exists: my-lab"),
		);
		expect(() => stage.ask(LAB, createEvent({}, bob, true))).toThrow(
			new Error("PermissionError: Permission denied for workspace my-lab"),
		);
		expect(stage.ask(LAB, createEvent({ description: "two" }, ann, true))).toMatchObject({
			description: "two",
		});
		const another = createEvent({ owners: ["bob"] }, root(), true);
		expect(stage.ask(LAB, another)).toMatchObject({ owners: ["ann", "bob", "root"] });
	});

	test("deleting shows the other members out and empties the registry", () => {
		const stage = new WorkspaceStage();
		stage.connect("my-lab", "a1", ann);
		stage.connect("my-lab", "a2", ann);
		const byStranger = { type: "workspace.delete", caller: caller("b1", "ws-user-bob", bob) };
		expect(() => stage.ask(LAB, byStranger)).toThrow(
			new Error("PermissionError: Permission denied for workspace my-lab"),
		);
		expect(stage.ask(LAB, { type: "workspace.delete", caller: caller("a1", "my-lab", ann) })).toBeNull();
		expect(stage.take()).toEqual([
			{
				type: "tell",
				to: "client/my-lab/a2",
				event: { type: "client.kicked", reason: "Workspace has been deleted: my-lab" },
			},
		]);
		expect(stage.state(LAB)).toBe("deleted");
		expect(stage.list("my-lab", caller("b1", "ws-user-bob", bob))).toEqual([]);
		stage.tell(LAB, leaveEvent("a2", 999));
		expect(stage.take()).toEqual([{ type: "drop", reason: "late-leave" }]);
		expect(() => stage.register("my-lab", "a1", ann, { id: "hello" })).toThrow(
			new Error("KeyError: 'Workspace not found: my-lab'"),
		);
	});
});
