/**
 * A hundred thousand inputs that nobody meant, against everything that reads what others send: frames, tokens, ids, HTTP.
 * Nothing throws what it should not, and nothing leaves its sender's workspace. Live nodes get theirs in
 * acceptance/hostile.test.ts and acceptance/hostile-http.test.ts.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { decodeMulti } from "@msgpack/msgpack";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import {
	clientIdProblem,
	ID_CHARACTERS_MAX,
	parseServiceId,
	workspaceIdProblem,
} from "../../actors/service-id.ts";
import { parseServiceQuery } from "../../actors/service-query.ts";
import type { User } from "../../actors/user.ts";
import { readBuiltInCall } from "../../gateway/built-in-calls.ts";
import { ChunkScan } from "../../gateway/chunk-scan.ts";
import { readFrame } from "../../gateway/frame.ts";
import { bodyArguments, encodeResult, formatOf, queryArguments } from "../../gateway/http-arguments.ts";
import { tokenOf } from "../../gateway/http-caller.ts";
import { type Exchange, HttpError } from "../../gateway/http-exchange.ts";
import { Identity } from "../../gateway/identity.ts";
import { createMetrics } from "../../gateway/metrics.ts";
import { skipValue } from "../../gateway/msgpack-skip.ts";
import { isForgeable, isServerType } from "../../gateway/reserved.ts";
import { Router, type RouterParts } from "../../gateway/router.ts";
import { Tokens } from "../../gateway/tokens.ts";
import type { Draft } from "../../runtime/message.ts";
import { frameBytes } from "../kit/raw-client.ts";

/** Set it to see the same inputs again. */
const SEED = Number(process.env["SEED"] ?? Date.now() % 2 ** 31);
const INPUTS = { frames: 40_000, routed: 15_000, tokens: 5_000, ids: 20_000, http: 20_000 };

/** Frames of published clients, as they were captured between them and the original server. */
const CAPTURED = (
	JSON.parse(readFileSync(new URL("../kit/captured-frames.json", import.meta.url), "utf8")) as string[]
).map((hex) => Buffer.from(hex, "hex"));

let inputs = 0;

/**
 * Runs `check` on so many inputs; what it throws is shown with seed and input. Checks are `assert`s: over all inputs, `expect`
 * would take more time than what is tested.
 */
function each<T>(arbitrary: fc.Arbitrary<T>, count: number, check: (input: T) => void): void {
	for (const input of fc.sample(arbitrary, { seed: SEED, numRuns: count })) {
		try {
			check(input);
		} catch (cause) {
			throw new Error(`seed ${SEED} (SEED), input ${fc.stringify(input)}: ${(cause as Error).message}`, {
				cause,
			});
		}
		inputs++;
	}
}

const odd = fc.constantFrom(
	...[
		"",
		"*",
		"*/*",
		"/",
		"//",
		"a/b/c",
		"..",
		"__proto__",
		"constructor",
		"toString",
		"\u0000",
		"\ud800",
		"💥",
	],
	...[
		"built-in",
		"default",
		"client/x/y",
		"~",
		"ws/~",
		"@",
		":",
		"a@b@c",
		"x".repeat(600),
		"victim-ws/victim",
	],
	...[
		"victim-ws/*",
		"*/manager-mycelog",
		"me",
		"ws-user-root",
		"method",
		"client_disconnected",
		"force-exit",
	],
);
const text = fc.oneof(odd, fc.string({ maxLength: 20 }));

/** A captured frame with some bytes changed, cut or doubled. */
const bent = fc
	.tuple(fc.nat(CAPTURED.length - 1), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }), fc.nat(40))
	.map(([which, changes, cut]) => {
		const bytes = Uint8Array.from(CAPTURED[which] as Buffer);
		for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
		return cut < 20 ? bytes : bytes.subarray(0, bytes.length - (cut - 19));
	});

/** A captured frame that says other things in its first segment, and perhaps in its second. */
const claimed = fc
	.tuple(
		fc.nat(CAPTURED.length - 1),
		fc.record(
			{
				to: text,
				type: text,
				method: text,
				session: text,
				from: text,
				ws: text,
				ctx: text,
				user: text,
				parent: text,
			},
			{ requiredKeys: [] },
		),
		fc.option(fc.tuple(fc.constantFrom("from", "ws", "user", "ctx", "args", "t", "x"), text), {
			freq: 6,
			nil: undefined,
		}),
	)
	.map(([which, claims, more]) => {
		const [main, extra] = [...decodeMulti(CAPTURED[which] as Buffer)] as Record<string, unknown>[];
		const second = more || extra ? { ...extra, ...(more ? { [more[0]]: more[1] } : undefined) } : undefined;
		return frameBytes({ ...main, ...claims }, second);
	});

describe(`fuzzing (seed ${SEED}, set SEED to repeat)`, () => {
	test("frames: reading any bytes gives a frame or a reason, and a frame's parts are the whole of it", () => {
		const raw = fc.uint8Array({ maxLength: 80 });
		each(fc.oneof(raw, { weight: 3, arbitrary: bent }), INPUTS.frames, (bytes) => {
			const read = readFrame(bytes);
			skipValue(bytes, 0);
			new ChunkScan().push(bytes);
			if (!read.ok) {
				assert.notEqual(read.reason, "");
				return;
			}
			const { rest, main, forged } = read.frame;
			assert(
				Buffer.compare(bytes.subarray(bytes.length - rest.length), rest) === 0,
				"the rest is not its end",
			);
			if (forged === undefined && typeof main["method"] === "string") {
				// Whoever reads its arguments may meet values that do not decode: an error, never anything else.
				try {
					readBuiltInCall(bytes);
				} catch (error) {
					assert(error instanceof Error);
				}
			}
		});
	});

	test("frames: whatever a client sends, it speaks as itself, and without a yes of the other side only within its workspace", async () => {
		const user = { id: "attacker", roles: [], scope: { workspaces: { "my-ws": "rw" } } } as unknown as User;
		const from = new Identity("my-ws", "me", user);
		from.permission = "rw";
		const drafts: Draft[] = [];
		const posted: string[] = [];
		const asked = new Set<string>();
		const parts = {
			node: {
				submit: async (draft: Draft) => drafts.push(draft),
				tell: async () => 0,
				ask: async (to: string) => {
					asked.add(to);
					return false;
				},
			},
			manager: { receive: () => undefined, isGuest: () => false, post: (to: string) => posted.push(to) },
			metrics: createMetrics(),
			clock: { now: () => 1_000 },
			logger: { debug() {}, info() {}, warn() {}, error() {} },
		};
		const router = new Router(parts as unknown as RouterParts);
		const routed: (Promise<void> | undefined)[] = [];
		each(claimed, INPUTS.routed, (bytes) => routed.push(router.route(from, bytes)));
		await Promise.all(routed);
		expect(drafts.length).toBeGreaterThan(INPUTS.routed / 100);
		expect([...asked].filter((to) => to.startsWith("workspace/"))).not.toEqual([]);
		expect(new Set(posted)).toEqual(new Set(["client/my-ws/me"]));
		for (const { to, body, from: sender, facts } of drafts) {
			assert.match(to, /^(client\/my-ws\/[^/]+|workspace\/my-ws)$/);
			assert.equal(sender, "client/my-ws/me");
			if (facts?.["event"] !== undefined) assert.equal(isServerType(facts["event"]), false);
			const [main, extra] = [...decodeMulti(body)] as Record<string, unknown>[];
			expect(main).toMatchObject({ from: "my-ws/me", ws: "my-ws", user: { id: "attacker" } });
			expect(main).not.toHaveProperty("ctx");
			for (const key of Object.keys(extra ?? {})) assert.equal(isForgeable(key), false);
		}
	});

	test("tokens: only a token that the secret signed, unchanged, stands for anybody", async () => {
		const tokens = new Tokens({
			secret: "a secret for tests",
			rootToken: "r".repeat(64),
			now: () => 1_000_000,
		});
		const good = await tokens.reconnectionToken(tokens.anonymous(), "ws-user-x", "c");
		const [head = "", claims = "", seal = ""] = good.split(".");
		const changed = fc.tuple(fc.nat(good.length - 1), fc.base64String({ maxLength: 8 })).map(([at, by]) => {
			return good.slice(0, at) + by + good.slice(at + by.length);
		});
		const claimedBy = fc
			.tuple(fc.constantFrom('{"alg":"none"}', '{"alg":"HS512"}', '{"alg":"RS256"}', "{}", "["), fc.json())
			.map(([alg, said]) => [alg, said].map((part) => Buffer.from(part).toString("base64url")).join("."))
			.chain((two) => fc.constantFrom(`${two}.`, `${two}.${seal}`, two));
		const spliced = fc.json().map((said) => `${head}.${Buffer.from(said).toString("base64url")}.${seal}`);
		const any = fc.oneof(changed, claimedBy, spliced, text, fc.constant(`${head}.${claims}.`));
		const wrong: Promise<void>[] = [];
		each(any, INPUTS.tokens, (token) => {
			const parsed = tokens.parse(token).then(
				() => Buffer.from(token.split(".")[2] ?? "", "base64url").toString("hex"),
				(error: Error) => error,
			);
			const sealed = Buffer.from(seal, "base64url").toString("hex");
			wrong.push(
				parsed.then((outcome) => {
					if (outcome instanceof Error) assert.doesNotMatch(outcome.message, /undefined|internal/i);
					// Base64 has two spellings of some last characters; the bytes are what was signed.
					else assert.deepEqual([token.startsWith(`${head}.${claims}.`), outcome], [true, sealed]);
				}),
			);
		});
		await Promise.all(wrong);
	});

	test("ids: what is taken as an id names one actor of one workspace, everything else is refused with its reason", () => {
		const joined = fc.array(fc.oneof(text, fc.constantFrom("/", ":", "@", "*", "a", "b-c")), {
			maxLength: 6,
		});
		each(
			fc.oneof(
				text,
				joined.map((parts) => parts.join("")),
			),
			INPUTS.ids,
			(id) => {
				if (clientIdProblem(id) === undefined) assert.match(id, /^[\w.-]{1,200}$/);
				for (const root of [true, false]) {
					if (workspaceIdProblem(id, root) !== undefined) continue;
					assert.match(id, /^[a-z0-9|-]+$/);
					assert(id.length <= ID_CHARACTERS_MAX);
				}
				const refused = (error: unknown) =>
					assert.match((error as Error).message, /^(Value|Assertion)Error: ./);
				try {
					const { workspace, client, service, app } = parseServiceId(id);
					for (const part of [workspace, client, service, app]) assert.doesNotMatch(part ?? "", /[/:@]/);
				} catch (error) {
					refused(error);
				}
				try {
					parseServiceQuery(id, "my-ws");
					parseServiceQuery({ [id]: id, workspace: id }, "my-ws");
				} catch (error) {
					refused(error);
				}
			},
		);
	});

	test("HTTP: any query, body, content type and authorisation is read, or refused with a status", () => {
		const request = fc.record({
			query: fc.oneof(fc.webQueryParameters(), text, fc.string({ unit: "binary", maxLength: 30 })),
			body: fc.oneof(
				fc.uint8Array({ maxLength: 60 }),
				fc.json().map((json) => Buffer.from(json)),
				bent,
			),
			type: fc.oneof(
				text,
				fc.constantFrom("application/json", "application/msgpack; x", "APPLICATION/JSON", ";;"),
			),
			authorization: fc.oneof(
				text,
				text.map((word) => `Bearer ${word}`),
				text.map((word) => `Basic ${word}`),
			),
			cookie: fc.oneof(
				text,
				text.map((word) => `access_token=${word}; a`),
				fc.constant("access_token=%E0%A4%A"),
			),
		});
		const refused = (error: unknown) => {
			assert(error instanceof HttpError);
			assert(error.status >= 400);
		};
		each(request, INPUTS.http, ({ query, body, type, authorization, cookie }) => {
			queryArguments(query);
			for (const header of [{ authorization }, { cookie }] as Record<string, string>[]) {
				const cookieOf = (name: string) => cookieValue(header["cookie"], name);
				const exchange = { header: (name: string) => header[name], cookie: cookieOf };
				const token = tokenOf(exchange as unknown as Exchange);
				assert(token === undefined || typeof token === "string");
			}
			try {
				formatOf(type);
			} catch (error) {
				refused(error);
			}
			for (const format of ["json", "msgpack"] as const) {
				try {
					encodeResult(bodyArguments(body, format), format);
				} catch (error) {
					refused(error);
				}
			}
		});
	});

	afterAll(() => {
		const total = Object.values(INPUTS).reduce((sum, count) => sum + count, 0);
		expect(total).toBeGreaterThanOrEqual(100_000);
		expect(inputs).toBe(total);
	});
});

/** As `Exchange` finds it. */
function cookieValue(header: string | undefined, name: string): string | undefined {
	const pair = header?.split(";").find((part) => part.trim().startsWith(`${name}=`));
	return pair?.slice(pair.indexOf("=") + 1).trim();
}
