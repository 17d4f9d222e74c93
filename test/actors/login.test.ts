import { describe, expect, test } from "vitest";
import { accountAddress, accountBehaviour } from "../../actors/account.ts";
import { LOGIN_ADDRESS, LOGIN_RESULTS_MAX, loginBehaviour, loginMachine } from "../../actors/login.ts";
import { message } from "../kit/messages.ts";
import { Stage } from "../kit/stage.ts";

describe("an account", () => {
	const ada = accountAddress("ada");
	const account = { userId: "u-1", email: null, hash: "hash 1" };
	const stage = () => new Stage([accountBehaviour]);
	const get = (on: Stage) => on.ask(ada, { type: "account.get" }, "query");

	test("is made once, changed, removed and made anew", () => {
		const on = stage();
		expect(get(on)).toBe(null);
		on.ask(ada, { type: "account.create", account });
		expect(get(on)).toEqual(account);
		expect(() => on.ask(ada, { type: "account.create", account: { ...account, hash: "other" } })).toThrow(
			/There is an account ada already/,
		);
		on.ask(ada, { type: "account.setPassword", hash: "hash 2" });
		expect(get(on)).toEqual({ ...account, hash: "hash 2" });
		on.ask(ada, { type: "account.remove" });
		expect(get(on)).toBe(null);
		on.ask(ada, { type: "account.create", account: { ...account, userId: "u-2" } });
		expect(get(on)).toMatchObject({ userId: "u-2" });
	});

	test("that is not there cannot be changed or removed", () => {
		for (const type of ["account.setPassword", "account.remove"]) {
			expect(() => stage().ask(ada, { type, hash: "x" })).toThrow(/^KeyError: 'Account not found: ada'/);
		}
	});
});

describe("results of logins", () => {
	const report = (on: Stage, key: string, expiresAt: number) =>
		on.ask(LOGIN_ADDRESS, { type: "login.report", key, enclosed: `for ${key}`, expiresAt });
	const result = (on: Stage, key: string) => on.ask(LOGIN_ADDRESS, { type: "login.result", key }, "query");

	test("are had by their key, the first one only, until they expire", () => {
		const on = new Stage([loginBehaviour]);
		expect(result(on, "a")).toBe(null);
		report(on, "a", on.now + 1_000);
		expect(result(on, "a")).toBe("for a");
		expect(result(on, "constructor")).toBe(null);
		expect(() => report(on, "a", on.now + 1_000)).toThrow(/has been completed already/);
		on.now += 1_001;
		report(on, "b", on.now + 1_000);
		expect(result(on, "a")).toBe(null);
		expect(result(on, "b")).toBe("for b");
	});

	test(`are at most ${LOGIN_RESULTS_MAX} at a time`, () => {
		const many = Array.from({ length: LOGIN_RESULTS_MAX }, (_, i) => [
			`k${i}`,
			{ enclosed: "", expiresAt: 2_000 },
		]);
		const context = { results: Object.fromEntries(many) };
		const full = loginMachine.resolveState({ value: "keeping", context });
		const answerAt = (timestamp: number) => {
			const event = { type: "login.report", key: "one more", enclosed: "x", expiresAt: 3_000 };
			const replyTo = { node: "n~1", ask: "1" };
			const { effects } = loginBehaviour.command(full, message(LOGIN_ADDRESS, event, { timestamp, replyTo }));
			return effects;
		};
		const error = expect.stringContaining("too many logins");
		expect(answerAt(1_999)).toMatchObject([{ type: "reply", result: { ok: false, error } }]);
		expect(answerAt(2_000)).toMatchObject([{ type: "reply", result: { ok: true } }]);
	});
});
