/**
 * Thousands of HTTP requests that nobody meant against a live node: it answers each or closes its socket, stays ready,
 * and a client of another workspace works on and hears nothing.
 */
import { type ClientRequest, request } from "node:http";
import { connect } from "node:net";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { metric } from "../kit/metric.ts";
import { NodeProcess } from "../kit/node-process.ts";
import { makeWorkspace, type TestWorkspace } from "../kit/on-each-log.ts";
import { RawClient } from "../kit/raw-client.ts";

/** Set it to see the same inputs again. */
const SEED = Number(process.env["SEED"] ?? Date.now() % 2 ** 31);
const REQUESTS = 2_000;
const RAW_REQUESTS = 300;
const AT_ONCE = 20;
/** Milliseconds until a request counts as unanswered. */
const PATIENCE_MS = 60_000;

const word = fc.oneof(
	fc.constantFrom(
		"services",
		"ws",
		"~",
		"info",
		"public",
		"victim-ws",
		"open",
		"f",
		"*",
		"..",
		"%2F",
		"%E0%A4",
		"%00",
	),
	fc.constantFrom(
		"built-in",
		"secret",
		"workspaces",
		"rpc",
		"health",
		"metrics",
		"apps",
		"__proto__",
		"a:b",
		"@x",
	),
	fc.webSegment({ size: "small" }),
);
const header = fc.oneof(
	fc.constantFrom(
		"Bearer x",
		"Basic Og==",
		"Bearer ",
		"application/json",
		"application/msgpack",
		"text/plain",
		"x",
	),
	fc.string({ unit: "grapheme-ascii", maxLength: 30 }).map((text) => text.trim()),
);
const requests = fc.record({
	method: fc.constantFrom("GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"),
	path: fc.array(word, { maxLength: 6 }).map((words) => `/${words.join("/")}`),
	query: fc.option(fc.webQueryParameters({ size: "small" }), { nil: "" }),
	headers: fc.dictionary(
		fc.constantFrom(
			"authorization",
			"content-type",
			"cookie",
			"accept",
			"origin",
			"x-forwarded-for",
			"range",
		),
		header,
		{ maxKeys: 3 },
	),
	body: fc.option(fc.oneof(fc.json({ maxDepth: 2 }), fc.string({ maxLength: 60 })), { nil: undefined }),
});
type Hostile = typeof requests extends fc.Arbitrary<infer T> ? T : never;

const line = fc.constantFrom(
	"GET / HTTP/1.1",
	"POST /rpc HTTP/1.1",
	"GET  HTTP/9",
	"X",
	"GET /ws HTTP/1.1",
	"\u0000",
);
const field = fc.constantFrom(
	...["Host: a", "Host", "Content-Length: -1", "Content-Length: 99999999999", "Transfer-Encoding: chunked"],
	...[
		"Upgrade: websocket",
		"Connection: upgrade",
		"Sec-WebSocket-Key: x",
		"Sec-WebSocket-Version: 13",
		": : :",
	],
);
const rawRequests = fc
	.tuple(
		line,
		fc.array(fc.oneof(field, fc.string({ maxLength: 40 })), { maxLength: 5 }),
		fc.string({ maxLength: 80 }),
	)
	.map(([first, fields, rest]) => `${[first, ...fields].join("\r\n")}\r\n\r\n${rest}`);

let node: NodeProcess;
let team: TestWorkspace;
let victim: RawClient;
let served = 0;
let stop = false;
let traffic: Promise<void>;

beforeAll(async () => {
	node = await NodeProcess.start("sqlite");
	team = await makeWorkspace(node, "victim");
	const connectVictim = (clientId: string) =>
		RawClient.connect(node.url, { clientId, workspace: team.id, token: team.token });
	victim = await connectVictim("victim");
	await victim.manage("register_service", {
		id: `${victim.peer}:built-in`,
		config: { visibility: "public" },
	});
	await victim.manage("register_service", {
		id: `${victim.peer}:secret`,
		config: { visibility: "protected" },
	});
	traffic = (async () => {
		while (!stop) {
			expect(await victim.manage("echo", served)).toBe(served);
			served++;
			await new Promise((resolve) => setTimeout(resolve, 5));
		}
	})();
	traffic.catch(() => {});
});
afterAll(() => node?.remove());

/** Resolves with the status; 0: the node closed the socket without an answer. */
function send({ method, path, query, headers, body }: Hostile): Promise<number> {
	return new Promise((resolve, reject) => {
		const options = {
			method,
			path: `${path.replace("victim-ws", team.id)}${query ? `?${query}` : ""}`,
			headers,
		};
		let sent: ClientRequest;
		try {
			sent = request(node.url, { ...options, timeout: PATIENCE_MS });
		} catch {
			// Node's own client does not let every header out.
			resolve(0);
			return;
		}
		sent.once("timeout", () => sent.destroy(new Error("no answer in time")));
		sent.once("response", (response) => {
			response.resume();
			response.once("close", () => resolve(response.statusCode ?? 0));
		});
		sent.once("upgrade", (response, socket) => {
			socket.destroy();
			resolve(response.statusCode ?? 0);
		});
		sent.once("error", (error: NodeJS.ErrnoException) => {
			if (error.message === "no answer in time") reject(error);
			else resolve(0);
		});
		sent.end(body);
	});
}

/** Whatever comes, the socket ends: by the node, or here once it has said something. */
function sendRaw(text: string): Promise<void> {
	return new Promise((resolve) => {
		const { port } = new URL(node.url);
		const socket = connect(Number(port), "127.0.0.1", () => socket.end(text));
		socket.resume();
		socket.once("close", () => resolve());
		socket.once("error", () => socket.destroy());
		socket.setTimeout(PATIENCE_MS, () => socket.destroy());
	});
}

async function inBatches<T>(inputs: readonly T[], one: (input: T) => Promise<unknown>): Promise<unknown[]> {
	const answers: unknown[] = [];
	for (let i = 0; i < inputs.length; i += AT_ONCE) {
		answers.push(...(await Promise.all(inputs.slice(i, i + AT_ONCE).map(one))));
	}
	return answers;
}

test(`${REQUESTS} requests with any path, query, headers and body are answered, none with a fault of the node (seed ${SEED}, set SEED to repeat)`, async () => {
	const inputs = fc.sample(requests, { seed: SEED, numRuns: REQUESTS });
	const statuses = (await inBatches(inputs, send)) as number[];
	const faults = inputs.filter((_, i) => statuses[i] === 500);
	expect(faults.slice(0, 3), `seed ${SEED}`).toEqual([]);
	expect(statuses.filter((status) => status >= 400).length).toBeGreaterThan(REQUESTS / 4);
});

test(`${RAW_REQUESTS} texts that are hardly HTTP end their sockets alone (seed ${SEED}, set SEED to repeat)`, async () => {
	await inBatches(fc.sample(rawRequests, { seed: SEED, numRuns: RAW_REQUESTS }), sendRaw);
	expect((await node.health()).status).toBe("OK");
});

test("a client of another workspace worked on through all of it and heard nothing", async () => {
	stop = true;
	await traffic;
	expect(served).toBeGreaterThan(0);
	expect(victim.frames.all).toEqual([]);
	expect(victim.texts.all).toEqual([]);
	const log = node.output().split("Mycelog is ready")[1] as string;
	expect(log).not.toMatch(/ (ERROR|FATAL) |unhandled/i);
	expect(await metric(node.url, "mycelog_dead_letters_total")).toBe(0);
});
