import { describe, expect, test } from "vitest";
import { SUBSCRIPTIONS_PER_CLIENT_MAX } from "../../actors/workspace-events.ts";
import { caller, user } from "../kit/users.ts";
import { posted, WorkspaceStage } from "../kit/workspace-stage.ts";

const ann = user("ann");
const reader = user("rea", { "my-lab": "r" });
const LAB = "workspace/my-lab";
const inLab = caller("a1", "my-lab", ann);
const asReader = caller("r1", "my-lab", reader);

function lab(): WorkspaceStage {
	const stage = new WorkspaceStage();
	stage.connect("my-lab", "a1", ann);
	stage.join("my-lab", "r1", reader);
	return stage;
}

function receivers(stage: WorkspaceStage, event: string): string[] {
	return stage.pass(LAB, event, "client/my-lab/a1").map((effect) => (effect as { to: string }).to);
}

describe("subscriptions", () => {
	test("a broadcast goes once to every subscriber of its name, the sender included", () => {
		const stage = lab();
		stage.subscribe("my-lab", "a1", ann, "news", "news");
		stage.subscribe("my-lab", "r1", reader, "news", "other");
		stage.subscribe("my-lab", "r1", reader, "news");
		expect(receivers(stage, "news")).toEqual(["client/my-lab/a1", "client/my-lab/r1"]);
		expect(receivers(stage, "other")).toEqual(["client/my-lab/r1"]);
		expect(stage.pass(LAB, "constructor", "client/my-lab/a1")).toEqual([
			{ type: "drop", reason: "no-subscriber" },
		]);
	});

	test("unsubscribing is answered true, also for names that were never subscribed", () => {
		const stage = lab();
		stage.subscribe("my-lab", "a1", ann, "news");
		const event = { type: "events.unsubscribe", types: ["news", "never"], caller: inLab };
		expect(stage.ask(LAB, event)).toBe(true);
		expect(stage.pass(LAB, "news", "client/my-lab/a1")).toEqual([{ type: "drop", reason: "no-subscriber" }]);
	});

	test.each(["ws-user-other/x", "other/x", "ws-user-other", "ws-user-other:x"])("%s is forbidden", (type) => {
		const event = { type: "events.subscribe", types: type, caller: inLab };
		const named = type.split(/[/:]/)[0];
		expect(() => lab().ask(LAB, event)).toThrow(
			new Error(
				`ValueError: Subscription to event '${type}' is forbidden. Event workspace '${named}' does not match ` +
					"your workspace 'my-lab'. Clients can only subscribe to events within their own workspace or system events.",
			),
		);
	});

	test("a refused list subscribes to nothing", () => {
		const stage = lab();
		const event = { type: "events.subscribe", types: ["good", "other/bad"], caller: inLab };
		expect(() => stage.ask(LAB, event)).toThrow(/forbidden/);
		expect(stage.pass(LAB, "good", "client/my-lab/a1")).toEqual([{ type: "drop", reason: "no-subscriber" }]);
	});

	test("a client's subscriptions are bounded, and a stranger has none", () => {
		const stage = lab();
		const types = Array.from({ length: SUBSCRIPTIONS_PER_CLIENT_MAX + 1 }, (_, index) => `e${index}`);
		expect(() => stage.subscribe("my-lab", "a1", ann, ...types)).toThrow(/at most 500 events/);
		expect(() => stage.subscribe("my-lab", "nobody", ann, "news")).toThrow(
			new Error("RuntimeError: Client is not connected: my-lab/nobody"),
		);
	});

	test("leaving ends subscriptions", () => {
		const stage = lab();
		const generation = stage.join("my-lab", "a2", ann);
		stage.subscribe("my-lab", "a2", ann, "news");
		stage.tell(LAB, { type: "member.leave", client: "a2", generation, reason: "test" });
		expect(stage.pass(LAB, "news", "client/my-lab/a1")).toEqual([{ type: "drop", reason: "no-subscriber" }]);
	});
});

describe("settings", () => {
	test("environment variables are for writers: readers see neither them nor their changes", () => {
		const stage = lab();
		stage.subscribe("my-lab", "a1", ann, "workspace_changed");
		stage.subscribe("my-lab", "r1", reader, "workspace_changed");
		expect(stage.ask(LAB, { type: "env.set", key: "K", value: "V", caller: inLab })).toBeNull();
		const [toWriter, toReader] = stage.take();
		expect(toWriter).toMatchObject(
			posted("my-lab", "a1", "workspace_changed", { config: { environs: { K: "V" } } }),
		);
		expect(toReader).toMatchObject(posted("my-lab", "r1", "workspace_changed", { id: "my-lab" }));
		expect(JSON.stringify(toReader)).not.toContain("environs");
		const get = (who: typeof inLab, key?: string) =>
			stage.ask(LAB, { type: "env.get", key, caller: who }, "query");
		expect([get(inLab, "K"), get(inLab)]).toEqual(["V", { K: "V" }]);
		expect(() => get(inLab, "ZZ")).toThrow(
			new Error(`KeyError: "Environment variable 'ZZ' not found in workspace my-lab"`),
		);
		const denied = new Error("PermissionError: Permission denied for workspace my-lab");
		expect(() => get(asReader)).toThrow(denied);
		expect(() => stage.ask(LAB, { type: "env.set", key: "K", value: "W", caller: asReader })).toThrow(denied);
		const info = stage.ask(LAB, { type: "workspace.info", caller: asReader }, "query");
		expect(JSON.stringify(info)).not.toContain("environs");
		stage.ask(LAB, { type: "env.set", key: "K", value: null, caller: inLab });
		expect(get(inLab)).toEqual({});
	});

	test("a workspace's record and clients are for its readers", () => {
		const stage = lab();
		const stranger = caller("b1", "ws-user-bob", user("bob"));
		for (const type of ["workspace.info", "workspace.summary", "client.list", "env.get"]) {
			expect(() => stage.ask(LAB, { type, caller: stranger }, "query")).toThrow(
				new Error("PermissionError: Permission denied for workspace my-lab"),
			);
			expect(() => stage.ask("workspace/no-lab", { type, caller: stranger }, "query")).toThrow(
				new Error("KeyError: 'Workspace not found: no-lab'"),
			);
		}
		expect(stage.ask(LAB, { type: "client.list", caller: asReader }, "query")).toMatchObject([
			{ id: "my-lab/a1", user: { id: "ann" } },
			{ id: "my-lab/r1", user: { id: "rea" } },
		]);
		expect(stage.ask(LAB, { type: "workspace.summary", caller: asReader }, "query")).toMatchObject({
			name: "my-lab",
			client_count: 2,
			clients: ["my-lab/a1", "my-lab/r1"],
			service_count: 1,
			services: [{ id: "my-lab/a1:built-in" }],
		});
		const status = (who: typeof inLab) => stage.ask(LAB, { type: "workspace.status", caller: who }, "query");
		expect([status(inLab), status(asReader), status(stranger)]).toMatchObject([
			{ status: "ready", user_permission: "a" },
			{ status: "ready", user_permission: "r" },
			{ status: "ready", user_permission: null },
		]);
	});

	test("log entries need write permission and change nothing", () => {
		const stage = lab();
		expect(stage.ask(LAB, { type: "events.log", event: "log", data: "hi", caller: inLab })).toBeNull();
		expect(() => stage.ask(LAB, { type: "events.log", event: "log", data: 1, caller: asReader })).toThrow(
			/^PermissionError/,
		);
		expect(() => stage.ask(LAB, { type: "events.log", event: "a b", data: 1, caller: inLab })).toThrow(
			new Error("ValueError: event_type must be a word without spaces"),
		);
	});

	test("a command without an asker is carried out in silence", () => {
		const stage = lab();
		stage.tell(LAB, { type: "env.set", key: 7, value: "V", caller: inLab });
		expect(stage.take()).toEqual([]);
	});
});
