/**
 * Thousands of random frames, first texts, control texts and manager calls against a live node: it stays ready, its
 * other clients get exact answers, and nothing reaches another workspace.
 */
import { encode } from "@msgpack/msgpack";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { managerMethods } from "../../gateway/manager.ts";
import { ClientProcess } from "../kit/client-process.ts";
import { metric } from "../kit/metric.ts";
import { askOperator, type VerifyLine } from "../kit/mycelog.ts";
import { makeWorkspace, onEachLog, type TestWorkspace } from "../kit/on-each-log.ts";
import { frameBytes, RawClient, rawSocket } from "../kit/raw-client.ts";

/** Set it to see the same inputs again. */
const SEED = Number(process.env["SEED"] ?? Date.now() % 2 ** 31);
const FRAMES = 4_000;
const MANAGER_CALLS = 3_000;
const CONTROL_TEXTS = 1_000;
const FIRST_TEXTS = 300;
/** Inputs sent before the node is asked whether it has read them all. */
const BATCH = 250;

/** Names with a meaning in JavaScript, in paths, in patterns or in the protocol. */
const oddNames = fc.constantFrom(
	...[
		"",
		"*",
		"*/*",
		"/",
		"a/b/c",
		"a:b:c",
		"~",
		"@",
		"..",
		"__proto__",
		"constructor",
		"toString",
		"\u0000",
	],
	...["built-in", "default", "services", "message_cache", "client/x/y", "workspace/x", "x".repeat(600), "💥"],
	...["ws-user-root", "public", "*/manager-mycelog", "witness", "attacker", "client_disconnected", "method"],
);
const name = fc.oneof(oddNames, fc.string({ maxLength: 30 }));
const scalar = fc.oneof(
	name,
	fc.integer(),
	fc.double(),
	fc.boolean(),
	fc.constant(null),
	fc.maxSafeInteger(),
	fc.uint8Array({ maxLength: 64 }),
	fc.date(),
);
const value = fc.letrec((again) => ({
	any: fc.oneof(
		{ depthSize: "small", withCrossShrink: true },
		scalar,
		fc.array(again("any"), { maxLength: 5 }),
		fc.dictionary(name.filter(isEncodable), again("any"), { maxKeys: 5 }),
	),
})).any;

const method = fc.oneof(
	name,
	name.map((text) => `services.built-in.${text}`),
	name.map((text) => `services.built-in.message_cache.${text}`),
	name.map((text) => `${text}.resolve`),
	fc.uint8Array({ maxLength: 90 }).map((bytes) => `mgr-${Buffer.from(bytes).toString("base64url")}.resolve`),
);
const main = fc.record(
	{
		type: fc.oneof(fc.constant("method"), value),
		to: fc.oneof(fc.constantFrom("*/manager-mycelog", "target", "provider", "*"), value),
		method: fc.oneof(method, value),
		session: fc.oneof(name, value),
		from: value,
		ws: value,
		user: value,
		ctx: value,
		parent: value,
		data: value,
	},
	{ requiredKeys: [] },
);
const extra = fc.record(
	{
		args: fc.oneof(fc.array(value, { maxLength: 4 }), value),
		with_kwargs: value,
		promise: fc.oneof(fc.constant("*"), value),
		t: value,
		from: value,
	},
	{ requiredKeys: [] },
);
const wellFormed = fc.tuple(main, fc.option(extra, { nil: undefined })).map(([a, b]) => frameBytes(a, b));
const bent = fc
	.tuple(wellFormed, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }), fc.nat(64))
	.map(([bytes, changes, cut]) => {
		const copy = Uint8Array.from(bytes);
		for (const [at, byte] of changes) copy[at % copy.length] = byte;
		return copy.subarray(0, Math.max(copy.length - cut, 0));
	});
const frames = fc.oneof(fc.uint8Array({ maxLength: 200 }), wellFormed, bent);

const managerCalls = fc
	.tuple(
		fc.oneof(
			{
				weight: 4,
				arbitrary: fc.constantFrom(...Object.keys(managerMethods)).map((of) => `services.default.${of}`),
			},
			{ weight: 1, arbitrary: method },
		),
		fc.oneof(
			fc.array(value, { maxLength: 4 }),
			fc.array(fc.dictionary(fc.constantFrom(...parameters()), value, { maxKeys: 4 }), { maxLength: 2 }),
		),
		fc.boolean(),
	)
	.map(([called, args, with_kwargs]) => {
		const head = { type: "method", to: "*/manager-mycelog", method: called, session: "fuzz" };
		return frameBytes(head, { args, with_kwargs, promise: "*", t: 1 });
	});

const json = fc.oneof(
	fc.json({ maxDepth: 3 }),
	fc.string({ maxLength: 200 }),
	fc.string({ minLength: 1_001 }),
);
const hello = fc
	.record(
		{ client_id: value, workspace: value, token: value, reconnection_token: value, offset: value },
		{ requiredKeys: [] },
	)
	.map((fields) => JSON.stringify(fields));

onEachLog("hostile input", (node) => {
	let team: TestWorkspace;
	let other: TestWorkspace;
	/** Of the other language; what is sent to it must not end it. */
	let target: ClientProcess;
	let pair: ClientProcess;
	let witness: RawClient;
	let traffic: Promise<number>;
	let trafficStops = false;
	let pid: number;
	let attacker: RawClient;

	beforeAll(async () => {
		console.info(`hostile inputs of seed ${SEED} (SEED)`);
		[team, other] = [await makeWorkspace(node(), "hostile"), await makeWorkspace(node(), "witness")];
		pid = node().pid;
		witness = await RawClient.connect(node().url, {
			clientId: "witness",
			workspace: other.id,
			token: other.token,
		});
		await witness.manage("subscribe", [
			"method",
			"client_connected",
			"client_disconnected",
			"service_added",
			"*",
		]);
		pair = ClientProcess.python();
		target = ClientProcess.javascript();
		await target.connect("target", node().url, { workspace: team.id, token: team.token });
		for (const client of ["provider", "caller"]) {
			await pair.connect(client, node().url, { workspace: team.id, token: team.token });
		}
		await pair.run("register", { name: "provider", id: "steady" });
		await pair.run("find", { name: "caller", id: "steady" });
		traffic = callSteadily();
		attacker = await connectAttacker();
	});
	afterAll(async () => {
		await pair?.stop();
		await target?.stop();
	});

	function connectAttacker(): Promise<RawClient> {
		return RawClient.connect(node().url, { clientId: "attacker", workspace: team.id, token: team.token });
	}

	/** Rejects with the pair's first wrong answer. */
	async function callSteadily(): Promise<number> {
		let calls = 0;
		while (!trafficStops) {
			const sum = await pair.call("caller", "steady", "add", [calls, 1]);
			if (sum !== ++calls) throw new Error(`a bystander's call gave ${sum} in place of ${calls}`);
			// It shall notice trouble, not be the load.
			await new Promise((resolve) => setTimeout(resolve, 5));
		}
		return calls;
	}

	async function sendAll<T>(inputs: readonly T[], send: (input: T) => void): Promise<void> {
		for (let i = 0; i < inputs.length; i += BATCH) {
			for (const input of inputs.slice(i, i + BATCH)) send(input);
			await attacker.roundTrip();
		}
		expect(await attacker.manage("echo", SEED)).toBe(SEED);
	}

	test(`${FRAMES} frames leave their connection open`, async () => {
		await sendAll(fc.sample(frames, { seed: SEED, numRuns: FRAMES }), (bytes) => attacker.sendBytes(bytes));
	});

	test(`${MANAGER_CALLS} manager calls with any arguments are answered or refused`, async () => {
		const inputs = fc.sample(managerCalls, { seed: SEED, numRuns: MANAGER_CALLS });
		await sendAll(inputs, (bytes) => attacker.sendBytes(bytes));
		// Any of them may have revoked or deleted what is the attacker's own; nobody else's.
		expect(await witness.manage("echo", "untouched")).toBe("untouched");
	});

	test(`${CONTROL_TEXTS} control texts leave their connection open`, async () => {
		await sendAll(fc.sample(json, { seed: SEED, numRuns: CONTROL_TEXTS }), (text) => attacker.sendText(text));
	});

	test(`${FIRST_TEXTS} first texts that are no good hello are refused, or admit an anonymous user to its own workspace`, async () => {
		const inputs = fc.sample(fc.oneof(hello, json), { seed: SEED, numRuns: FIRST_TEXTS });
		for (let i = 0; i < inputs.length; i += 20) await Promise.all(inputs.slice(i, i + 20).map(knock));
	});

	async function knock(text: string): Promise<void> {
		const { socket, closed } = await rawSocket(node().url);
		const first = new Promise<Record<string, unknown>>((resolve) => {
			socket.once("message", (data) => resolve(JSON.parse(String(data))));
		});
		socket.send(text);
		const answer = await Promise.race([first, closed]);
		const said = `seed ${SEED}, first text ${text.slice(0, 200)}`;
		if ("type" in answer && answer["type"] === "connection_info") {
			expect(answer["workspace"], said).toMatch(/^ws-user-anonymouz-/);
			socket.close();
			await closed;
			return;
		}
		expect(answer, said).toMatchObject({ type: "error", message: expect.any(String) });
		expect([1001, 1003, 1008], said).toContain((await closed).code);
	}

	test("through all of it the node lived, was ready, and served its other clients exactly", async () => {
		trafficStops = true;
		expect(await traffic).toBeGreaterThan(0);
		expect(node().pid).toBe(pid);
		expect((await node().health()).status).toBe("OK");
		expect(await witness.manage("echo", "end")).toBe("end");
		expect(await target.manage("target", "echo", "end")).toBe("end");
		expect(witness.frames.all).toEqual([]);
		const log = node().output().split("Mycelog is ready")[1] as string;
		expect(log).not.toMatch(/ (ERROR|FATAL) |unhandled/i);
		expect(await metric(node().url, "mycelog_dead_letters_total")).toBe(0);
	});

	test("what it left in the actors' states is what a fresh fold of the log gives", async () => {
		await node().terminate();
		for (const address of [`workspace/${team.id}`, `client/${team.id}/attacker`, "directory/workspaces"]) {
			expect(await askOperator<VerifyLine>(node(), "verify", address)).toMatchObject({ ok: true });
		}
	});
});

function parameters(): string[] {
	return [...new Set(Object.values(managerMethods).flatMap((of) => of.parameters))];
}

function isEncodable(key: string): boolean {
	return key !== "__proto__" && encode(key).length > 0;
}
