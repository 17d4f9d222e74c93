import { describe, expect, test } from "vitest";
import { LISTED_WORKSPACES_MAX } from "../../actors/directory.ts";
import { matches } from "../../actors/glob.ts";
import { root, user } from "../kit/users.ts";
import { WorkspaceStage } from "../kit/workspace-stage.ts";

const DIRECTORY = "directory/workspaces";
const ann = user("ann");

function put(stage: WorkspaceStage, id: string, more: Record<string, unknown> = {}): void {
	const summary = {
		id,
		name: id,
		description: null,
		read_only: false,
		persistent: false,
		owners: [],
		...more,
	};
	stage.tell(DIRECTORY, { type: "directory.put", summary });
}

function list(stage: WorkspaceStage, who = ann, more: Record<string, unknown> = {}): string[] {
	const event = { type: "directory.list", user: who, ...more };
	return (stage.ask(DIRECTORY, event, "query") as { id: string }[]).map(({ id }) => id);
}

describe("the directory", () => {
	test("lists what the user owns or may read, in order", () => {
		const stage = new WorkspaceStage();
		put(stage, "z-own", { owners: ["ann"] });
		put(stage, "a-mail", { owners: ["ann@example.org"] });
		put(stage, "b-other", { owners: ["bob"] });
		put(stage, "ws-user-ann");
		expect(list(stage)).toEqual(["a-mail", "ws-user-ann", "z-own"]);
		expect(list(stage, user("cat", { "b-other": "r" }))).toEqual(["b-other"]);
		expect(list(stage, user("child", {}, { parent: "ann", email: null }))).toEqual([]);
		expect(list(stage, root())).toEqual(["a-mail", "b-other", "ws-user-ann", "z-own"]);
	});

	test("filters by fields and gives pages", () => {
		const stage = new WorkspaceStage();
		for (const id of ["a-1", "a-2", "a-3"]) put(stage, id, { owners: ["ann"], persistent: id !== "a-2" });
		expect(list(stage, ann, { match: { persistent: true } })).toEqual(["a-1", "a-3"]);
		expect(list(stage, ann, { match: { owners: ["ann"], constructor: 1 } })).toEqual([]);
		expect(list(stage, ann, { offset: 1, limit: 1 })).toEqual(["a-2"]);
		for (const bad of [{ limit: 0 }, { limit: LISTED_WORKSPACES_MAX + 1 }, { offset: -1 }, { match: "x" }]) {
			expect(() => list(stage, ann, bad)).toThrow(/^ValueError: /);
		}
	});

	test("forgets what is removed and takes the newest summary", () => {
		const stage = new WorkspaceStage();
		put(stage, "a-1", { owners: ["ann"] });
		put(stage, "a-1", { owners: ["bob"] });
		expect(list(stage)).toEqual([]);
		expect(list(stage, user("bob"))).toEqual(["a-1"]);
		stage.tell(DIRECTORY, { type: "directory.remove", id: "a-1" });
		stage.tell(DIRECTORY, { type: "directory.remove", id: "a-1" });
		expect(list(stage, user("bob"))).toEqual([]);
	});

	test("counts workspaces against a user's quota, its own one not", () => {
		const stage = new WorkspaceStage();
		put(stage, "a-1", { owners: ["ann"] });
		put(stage, "a-2", { owners: ["ann", "bob"] });
		put(stage, "ws-user-ann", { owners: ["ann", "root"] });
		const owned = (who: ReturnType<typeof user>) =>
			stage.ask(DIRECTORY, { type: "directory.owned", user: who }, "query");
		expect([owned(ann), owned(user("bob")), owned(user("child", {}, { parent: "ann" }))]).toEqual([2, 1, 2]);
	});

	test("names the first workspaces that match a pattern, never more than a list holds", () => {
		const stage = new WorkspaceStage();
		for (let i = 0; i < LISTED_WORKSPACES_MAX + 10; i++) put(stage, `lab-${String(i).padStart(4, "0")}`);
		put(stage, "other-1");
		const names = (pattern: string) =>
			stage.ask(DIRECTORY, { type: "directory.names", pattern }, "query") as string[];
		expect(names("lab-*")).toHaveLength(LISTED_WORKSPACES_MAX);
		expect(names("lab-*")[0]).toBe("lab-0000");
		expect(names("*-1")).toEqual(["other-1"]);
	});
});

test("a pattern made of many wildcards is matched in linear time", () => {
	const started = performance.now();
	expect(matches(`${"*a".repeat(5_000)}*b`, "a".repeat(10_000))).toBe(false);
	expect(matches(`${"*a".repeat(5_000)}*`, "a".repeat(10_000))).toBe(true);
	expect(performance.now() - started).toBeLessThan(1_000);
	expect([matches("a*a", "a"), matches("a*a", "aa"), matches("*", ""), matches("a*b*c", "a-b-c")]).toEqual([
		false,
		true,
		true,
		true,
	]);
});
