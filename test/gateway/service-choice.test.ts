/** Choosing one of several instances of a service by asking them, before real registries and made-up instances. */
import { describe, expect, test } from "vitest";
import { CANDIDATES_MAX } from "../../actors/workspace-queries.ts";
import { CallLoad } from "../../gateway/call-load.ts";
import { ManagerStage } from "../kit/manager-stage.ts";
import { caller, user } from "../kit/users.ts";

const ann = user("ann");
const HOME = "ws-user-ann";

/** `answers`: what an instance says when asked; a text is thrown. */
function staged(answers: Readonly<Record<string, unknown>>) {
	const stage = new ManagerStage();
	const asked: { client: string; method: string; caller?: unknown }[] = [];
	for (const client of Object.keys(answers)) {
		stage.connect(HOME, client, ann);
		stage.register(HOME, client, ann, { id: "work" });
	}
	stage.onClient(({ client, method, caller }) => {
		asked.push({ client, method, caller });
		const answer = answers[client];
		if (typeof answer === "string") throw new Error(answer);
		return answer;
	});
	const chosen = async (mode: string, config: Record<string, unknown> = {}) => {
		const args = { service_id: "work", config: { mode, ...config } };
		const { id } = (await stage.call(ann, "get_service_info", args)) as { id: string };
		return id.slice(HOME.length + 1, -":work".length);
	};
	return { stage, asked, chosen };
}

describe("select:criteria:function", () => {
	test.each([
		["select:min:load", "b"],
		["select:max:load", "c"],
	])("%s takes the instance that says so", async (mode, expected) => {
		expect(await staged({ a: 5, b: 0.5, c: 7 }).chosen(mode)).toBe(expected);
	});

	test("skips instances without the function, and those that say no number", async () => {
		const { chosen } = staged({ a: "Method not found", b: { load: 1 }, c: Number.NaN, d: 9, e: true });
		expect(await chosen("select:min:load")).toBe("d");
		expect(await chosen("select:max:load")).toBe("d");
	});

	test("select:first_success:f takes the first that answers anything", async () => {
		expect(await staged({ a: "no", b: null, c: "no" }).chosen("select:first_success:f")).toBe("b");
	});

	test("takes any where none answers", async () => {
		const { chosen } = staged({ a: "no", b: "no" });
		for (const mode of ["select:min:f", "select:first_success:f", "min_load"]) {
			expect(["a", "b"]).toContain(await chosen(mode));
		}
	});

	test("asks the function of the service in the caller's name, and nobody where there is no choice", async () => {
		const { asked, chosen } = staged({ a: 1, b: 2 });
		await chosen("select:min:load");
		const inName = caller("ann-client", HOME, ann);
		expect(asked).toEqual([
			{ client: "a", method: "services.work.load", caller: inName },
			{ client: "b", method: "services.work.load", caller: inName },
		]);
		const alone = staged({ a: 1 });
		expect(await alone.chosen("select:min:load")).toBe("a");
		expect(alone.asked).toEqual([]);
	});

	test("asks a bounded number of instances", async () => {
		const many = Object.fromEntries(Array.from({ length: CANDIDATES_MAX + 10 }, (_, n) => [`c${n}`, n]));
		const { asked, chosen } = staged(many);
		await chosen("select:min:load");
		expect(new Set(asked.map(({ client }) => client)).size).toBe(CANDIDATES_MAX);
		expect(asked).toHaveLength(CANDIDATES_MAX);
	});

	test("chooses only among what the caller may use", async () => {
		const { stage, asked } = staged({ a: 1, b: 2 });
		stage.register(HOME, "b", ann, { id: "work", config: { visibility: "public" } });
		const args = { service_id: `${HOME}/work`, config: { mode: "select:min:load" } };
		const info = await stage.call(user("bob"), "get_service_info", args);
		expect(info).toMatchObject({ id: `${HOME}/b:work` });
		expect(asked).toEqual([]);
	});
});

test("min_load takes the instance that had the fewest calls", async () => {
	const { asked, chosen } = staged({ a: 120, b: 3.5, c: "not connected" });
	expect(await chosen("min_load")).toBe("b");
	expect(asked.map(({ method }) => method)).toEqual(["load", "load", "load"]);
});

test.each([
	["best", "ValueError: Invalid mode: best"],
	["select:min", "ValueError: Invalid select mode format: select:min; use select:criteria:function"],
	["select:min:f:g", "ValueError: Invalid select mode format: select:min:f:g; use select:criteria:function"],
	["select:least:f", "ValueError: Unknown selection criteria: least; use min, max, first_success"],
])("mode %s is refused", async (mode, text) => {
	await expect(staged({ a: 1, b: 1 }).chosen(mode)).rejects.toThrow(text);
});

test("select_timeout must be a time", async () => {
	const { chosen } = staged({ a: 1, b: 1 });
	await expect(chosen("min_load", { select_timeout: 0 })).rejects.toThrow(/select_timeout must be/);
});

describe("a client's load", () => {
	const calls = (load: CallLoad, count: number, now: number) => {
		for (let i = 0; i < count; i++) load.count(now);
	};

	test("counts the calls of the last minute, older ones fade", () => {
		const load = new CallLoad();
		calls(load, 30, 600_000);
		expect(load.perMinute(610_000)).toBe(30);
		expect(load.perMinute(675_000)).toBe(22.5);
		calls(load, 10, 690_000);
		expect(load.perMinute(690_000)).toBe(25);
		expect(load.perMinute(900_000)).toBe(0);
	});
});
