/** Limits of callers by address and user, in a clock of the test's own. */
import { describe, expect, test } from "vitest";
import { CallerLimits, FAILURE_EVERY_SECONDS, FAILURES_AT_ONCE_MAX } from "../../gateway/caller-limits.ts";
import type { Exchange } from "../../gateway/http-exchange.ts";
import { KEYS_MAX, KeyedLimit } from "../../gateway/keyed-limit.ts";
import { BURST_SECONDS } from "../../gateway/rate-limit.ts";
import { remoteAddress } from "../../gateway/remote-address.ts";

describe("a limit by key", () => {
	test("lets a burst through, then as many as come in by the rate, and says how long to wait", () => {
		const limit = new KeyedLimit(2, 3);
		expect([0, 0, 0].map(() => limit.take("a", 0))).toEqual([0, 0, 0]);
		expect(limit.take("a", 0)).toBe(500);
		expect(limit.take("b", 0)).toBe(0);
		expect(limit.take("a", 250)).toBe(250);
		expect(limit.take("a", 500)).toBe(0);
		expect(limit.take("a", 500)).toBe(500);
		limit.giveBack("a");
		expect(limit.take("a", 500)).toBe(0);
	});

	test(`remembers ${KEYS_MAX} keys and forgets the one that was quiet longest`, () => {
		const limit = new KeyedLimit(1, 1);
		limit.take("quiet", 0);
		for (let i = 0; i < KEYS_MAX - 1; i++) limit.take(`other ${i}`, 0);
		expect(limit.take("quiet", 0)).toBe(1_000);
		limit.take("one more", 0);
		expect(limit.take("quiet", 0)).toBe(0);
		expect(limit.take("one more", 0)).toBe(1_000);
	});
});

describe("an address", () => {
	test.each([
		["is the socket's own without a proxy", "10.0.0.1", "1.2.3.4", 0, "10.0.0.1"],
		["is what the one proxy saw", "10.0.0.1", "6.6.6.6, 1.2.3.4", 1, "1.2.3.4"],
		["is what the first of two proxies saw", "10.0.0.1", "6.6.6.6,1.2.3.4,10.0.0.2", 2, "1.2.3.4"],
		["is the first that is named where there are fewer proxies", "10.0.0.1", "1.2.3.4", 3, "1.2.3.4"],
		["is the socket's own where no proxy said anything", "10.0.0.1", undefined, 1, "10.0.0.1"],
		["in IPv6 is its network", "2001:0db8:0001:0002:0003:0004:0005:0006", undefined, 0, "2001:db8:1:2"],
		["in short IPv6 is its network", "10.0.0.1", "2001:db8::7", 1, "2001:db8:0:0"],
		["in IPv6 that is an IPv4 one is that", "10.0.0.1", "::ffff:1.2.3.4", 1, "1.2.3.4"],
		[
			"as the socket writes an IPv4 one",
			"0000:0000:0000:0000:0000:ffff:0102:0304",
			undefined,
			0,
			"0102:0304",
		],
	])("%s", (_, direct, forwarded, hops, address) => {
		expect(remoteAddress(direct, forwarded, hops)).toBe(address);
	});
});

describe("limits of callers", () => {
	function stage(requestsPerSecondMax = 1) {
		let now = 0;
		const counted: string[] = [];
		const metrics = { refusedRequests: { inc: ({ reason }: { reason: string }) => counted.push(reason) } };
		const limits = new CallerLimits({ requestsPerSecondMax, proxyHops: 0 }, metrics as never, () => now);
		const from = (peer: string) => ({ peer, header: () => undefined }) as unknown as Exchange;
		const pass = (ms: number) => {
			now += ms;
		};
		return { limits, counted, from, pass };
	}
	const tooMany = expect.objectContaining({ status: 429, headers: { "retry-after": expect.any(String) } });
	const thrown = (run: () => unknown) => {
		try {
			run();
		} catch (error) {
			return error;
		}
		return undefined;
	};

	test("count requests without a token by address and those with one by user, each refusal with its reason", () => {
		const { limits, counted, from, pass } = stage();
		for (let i = 0; i < BURST_SECONDS; i++) {
			limits.request(from("a"), undefined);
			limits.request(from("a"), "ada");
		}
		expect(thrown(() => limits.request(from("a"), undefined))).toEqual(tooMany);
		expect(thrown(() => limits.request(from("b"), "ada"))).toEqual(tooMany);
		limits.request(from("b"), undefined);
		limits.request(from("a"), "bob");
		pass(1_000);
		limits.request(from("a"), undefined);
		expect(counted).toEqual(["rate-address", "rate-user"]);
	});

	test("count what is wrong of an address once, over HTTP and elsewhere", () => {
		const { limits, counted, from, pass } = stage();
		for (let i = 0; i < FAILURES_AT_ONCE_MAX - 1; i++) expect(limits.failedAt("a")).toBe(0);
		limits.failed(from("a"));
		expect(limits.failedAt("a")).toBe(FAILURE_EVERY_SECONDS * 1_000);
		expect(thrown(() => limits.failed(from("a")))).toEqual(tooMany);
		limits.failed(from("b"));
		pass(FAILURE_EVERY_SECONDS * 1_000);
		expect(limits.failedAt("a")).toBe(0);
		expect(counted).toEqual(["failures-address"]);
	});

	test("refuse a further password of an address or about an account after as many wrong ones, also of many at once", () => {
		const { limits, counted, from, pass } = stage();
		for (let i = 0; i < FAILURES_AT_ONCE_MAX; i++) limits.attempt(from(`address ${i}`), "ada");
		expect(thrown(() => limits.attempt(from("elsewhere"), "ada"))).toEqual(tooMany);
		for (let i = 0; i < FAILURES_AT_ONCE_MAX; i++) limits.attempt(from("one"), `account ${i}`);
		expect(thrown(() => limits.attempt(from("one"), "bob"))).toEqual(tooMany);
		expect(counted).toEqual(["failures-account", "failures-address"]);
		pass(FAILURE_EVERY_SECONDS * 1_000);
		const forgive = limits.attempt(from("elsewhere"), "ada");
		forgive();
		limits.attempt(from("elsewhere"), "ada");
		expect(thrown(() => limits.attempt(from("elsewhere"), "ada"))).toEqual(tooMany);
	});
});
