/**
 * Acceptance 9: bad frames, bad tokens and bad options get clear errors; the node and everybody else go on.
 */
import { decodeJwt, SignJWT, UnsecuredJWT } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ClientProcess } from "../kit/client-process.ts";
import { mycelog } from "../kit/mycelog.ts";
import { JWT_SECRET } from "../kit/node-process.ts";
import { connectRoot, makeWorkspace, onEachLog, type TestWorkspace } from "../kit/on-each-log.ts";
import { frameBytes, RawClient, RefusedHandshake, rawSocket } from "../kit/raw-client.ts";

const MALFORMED: Readonly<Record<string, Uint8Array>> = {
	"an empty frame": Uint8Array.of(),
	"a byte that msgpack does not know": Uint8Array.of(0xc1),
	noise: Uint8Array.from({ length: 1_000 }, (_, index) => (index * 167 + 13) % 256),
	"an array": frameBytes(["type", "method"]),
	"a number": frameBytes(7),
	"a map cut in its middle": frameBytes({ type: "method", to: "x", method: "y" }).subarray(0, 12),
	"a string that promises 4 GB": Uint8Array.of(0x81, 0xdb, 0xff, 0xff, 0xff, 0xff, 0x61),
	"a map that promises four billion entries": Uint8Array.of(0xdf, 0xff, 0xff, 0xff, 0xff),
	"100,000 nested arrays": Uint8Array.from([0x81, 0xa1, 0x61, ...new Array(100_000).fill(0x91)]),
	"a message without target": frameBytes({ type: "method", method: "services.default.echo" }),
	"a target that is no text": frameBytes({ type: "method", to: 5, method: "x" }),
	"a type that is no text": frameBytes({ type: null, to: "x" }),
	"a second segment that is no map": frameBytes({ type: "a", to: "bystander" }, [1]),
	"a third segment": Buffer.concat([frameBytes({ type: "a", to: "bystander" }, {}), frameBytes({ b: 1 })]),
	"a waiting time that cannot be decoded": Buffer.concat([
		frameBytes({ type: "method", to: "bystander", method: "x", session: "s" }),
		Uint8Array.of(0x81, 0xa1, 0x74, 0x91, 0x81, 0xc0, 0x01),
	]),
	"a target of 70,000 characters": frameBytes({ type: "method", to: "x".repeat(70_000), method: "x" }),
	"a session of 900,000 characters": frameBytes({ type: "a", to: "nobody", session: "x".repeat(900_000) }),
	"a type of 900,000 characters": frameBytes({ type: "x".repeat(900_000), to: "*" }),
	"a nested key that is no text": secondSegment(0x81, 0xc0, 0x01),
	"a nested key that JavaScript refuses": secondSegment(0x81, 0xa9, ...Buffer.from("__proto__"), 0x01),
	"the same key in a longer form": secondSegment(0x81, 0xd9, 9, ...Buffer.from("__proto__"), 0x01),
	"a timestamp of three bytes": secondSegment(0xc7, 3, 0xff, 1, 2, 3),
	"a map key that is no text": Uint8Array.of(0x81, 0x01, 0x02),
};

/** A notice to everybody's bystander with this value in its second segment. */
function secondSegment(...value: number[]): Uint8Array {
	return Buffer.concat([
		frameBytes({ type: "a", to: "bystander" }),
		Uint8Array.of(0x81, 0xa4, ...Buffer.from("data"), ...value),
	]);
}

onEachLog("refusals", (node) => {
	let team: TestWorkspace;
	let bystanders: ClientProcess;
	let bystander: RawClient;
	let traffic: Promise<number>;
	let trafficStops = false;
	let pid: number;

	beforeAll(async () => {
		team = await makeWorkspace(node(), "refusals");
		pid = node().pid;
		bystander = await RawClient.connect(node().url, credentials("bystander"));
		bystanders = ClientProcess.javascript();
		for (const name of ["provider", "consumer"]) {
			await bystanders.connect(name, node().url, { workspace: team.id, token: team.token });
		}
		await bystanders.run("register", { name: "provider", id: "steady" });
		await bystanders.run("find", { name: "consumer", id: "steady" });
		traffic = callSteadily();
	});
	afterAll(() => bystanders?.stop());

	function credentials(clientId: string) {
		return { clientId, workspace: team.id, token: team.token };
	}

	/** Two clients that have nothing to do with any of this; rejects with their first error. */
	async function callSteadily(): Promise<number> {
		let calls = 0;
		while (!trafficStops) {
			const sum = await bystanders.call("consumer", "steady", "add", [calls, 1]);
			if (sum !== ++calls) throw new Error(`a bystander's call gave ${sum} in place of ${calls}`);
			// It shall notice trouble, not be the load.
			await new Promise((resolve) => setTimeout(resolve, 5));
		}
		return calls;
	}

	test.each(Object.entries(MALFORMED))("%s is ignored and its connection goes on", async (_, bytes) => {
		const client = await RawClient.connect(node().url, credentials("babbler"));
		client.sendBytes(bytes);
		expect(await client.manage("echo", "still here")).toBe("still here");
		await client.leave();
	});

	test.each([
		["no JSON", "{"],
		["an array", "[1]"],
		["null", "null"],
		["an unknown type", '{"type":"reboot"}'],
		["2,000 characters", JSON.stringify({ type: "ping", padding: "x".repeat(2_000) })],
	])("a control text of %s is ignored and its connection goes on", async (_, text) => {
		const client = await RawClient.connect(node().url, credentials("chatterer"));
		client.sendText(text);
		client.sendText('{"type":"ping"}');
		await client.texts.first(({ type }) => type === "pong", "a pong");
		expect(client.texts.all).toEqual([{ type: "pong" }]);
		await client.leave();
	});

	test("a first frame that is no JSON object, or binary, is refused with 1003", async () => {
		for (const first of ["{", "[]", "17", Buffer.from([0x80])]) {
			const { socket, closed } = await rawSocket(node().url);
			const texts: unknown[] = [];
			socket.on("message", (data) => texts.push(JSON.parse(String(data))));
			socket.send(first);
			expect((await closed).code).toBe(1003);
			expect(texts).toEqual([{ type: "error", message: "Failed to decode authentication information" }]);
		}
	});

	describe("a token", () => {
		const refusal = (token: string) =>
			RawClient.connect(node().url, { clientId: "impostor", workspace: team.id, token }).then(
				() => "admitted",
				(error: unknown) => error as RefusedHandshake,
			);
		const secret = new TextEncoder().encode(JWT_SECRET);
		const claims = () => decodeJwt(team.token);

		test.each([
			["that is no token", async () => "nonsense"],
			["signed with another secret", () => signed(claims(), new TextEncoder().encode("x".repeat(48)))],
			["without a signature", async () => new UnsecuredJWT(claims()).encode()],
			["with a changed scope", async () => withScope(team.token, "ws:ws-user-root#a wid:ws-user-root")],
			["that has expired", () => signed({ ...claims(), exp: Math.floor(Date.now() / 1000) - 60 }, secret)],
			["for another audience", () => signed({ ...claims(), aud: "https://elsewhere.example" }, secret)],
		])("%s is refused as an authentication error with 1008", async (_, token) => {
			const error = await refusal(await token());
			expect(error).toBeInstanceOf(RefusedHandshake);
			expect((error as RefusedHandshake).message).toMatch(/^Authentication error: ./);
			expect((error as RefusedHandshake).close.code).toBe(1008);
		});

		test("for another workspace, or of no right there, is refused with the reason", async () => {
			const other = await makeWorkspace(node(), "others");
			const mismatch = await refusal(other.token);
			expect(mismatch).toBeInstanceOf(RefusedHandshake);
			expect((mismatch as RefusedHandshake).message).toMatch(/^Failed to establish connection: .*mismatch/);
			const anonymous = RawClient.connect(node().url, { clientId: "nobody", workspace: team.id });
			await expect(anonymous).rejects.toThrow(/^Failed to establish connection: .*ermission/);
		});

		test("that was revoked is refused", async () => {
			const root = await connectRoot(node());
			const token = (await root.manage("generate_token", { workspace: team.id })) as string;
			await root.manage("revoke_token", token);
			await root.leave();
			expect(String(await refusal(token))).toMatch(/revoked/);
		});
	});

	test("a client id with a slash, and none at all, are refused with the reason", async () => {
		for (const clientId of ["a/b", ""]) {
			await expect(RawClient.connect(node().url, credentials(clientId))).rejects.toThrow(/client.id/i);
		}
	});

	test("a message over the log's record limit is refused by name to its caller", async () => {
		const client = await RawClient.connect(node().url, credentials("heavy"));
		const call = client.call("provider", "services.steady.echo", [new Uint8Array(2_000_000)]);
		await expect(call).rejects.toThrow(/bytes.*limit/);
		expect(await client.manage("echo", "still here")).toBe("still here");
		await client.leave();
	});

	test("a frame over 16 MiB ends its own connection with 1009 or an abrupt close", async () => {
		const client = await RawClient.connect(node().url, credentials("whale"));
		client.sendBytes(new Uint8Array(17 * 1024 * 1024));
		expect([1006, 1009]).toContain((await client.closed).code);
	});

	test("an unknown method of the manager is rejected by name", async () => {
		await expect(bystander.manage("format_disk")).rejects.toThrow(/not found: .*format_disk/);
	});

	test("through all of it the node lived, was healthy and served its other clients", async () => {
		expect(await bystander.manage("echo", "end")).toBe("end");
		expect(bystander.frames.all.filter(({ main }) => main["from"] !== `${team.id}/babbler`)).toEqual([]);
		trafficStops = true;
		expect(await traffic).toBeGreaterThan(0);
		expect(node().pid).toBe(pid);
		expect((await node().health()).status).toBe("OK");
	});
});

describe("options that make no sense", () => {
	test.each([
		["an unknown option", ["start", "--colour", "blue"], ["--colour"]],
		["an unknown command", ["begin"], ["begin"]],
		["a port that is no number", ["start", "--port", "many"], ["--port", "many"]],
		["a port out of range", ["start", "--port", "70000"], ["--port", "70000"]],
		["a Kafka prefix without Kafka", ["start", "--prefix", "p"], ["--prefix", "kafka-uri"]],
		["a brokers' address that is none", ["start", "--kafka-uri", "not an address"], ["--kafka-uri"]],
	])("%s is refused before anything starts, by name", async (_, args, named) => {
		const { exitCode, stdout, stderr } = await mycelog(args);
		expect(exitCode).not.toBe(0);
		for (const name of named) expect(stderr).toContain(name);
		expect(stdout).not.toContain("ready");
	});

	test("a wrong environment variable is refused by name", async () => {
		const { exitCode, stderr } = await mycelog(["start", "--port", "0"], {
			MYCELOG_RESUME_WINDOW_MS: "soon",
		});
		expect(exitCode).not.toBe(0);
		expect(stderr).toContain("MYCELOG_RESUME_WINDOW_MS");
	});
});

function signed(claims: Readonly<Record<string, unknown>>, secret: Uint8Array): Promise<string> {
	return new SignJWT(claims).setProtectedHeader({ alg: "HS256" }).sign(secret);
}

/** The token with another scope under the old signature. */
function withScope(token: string, scope: string): string {
	const [header, , signature] = token.split(".");
	const payload = Buffer.from(JSON.stringify({ ...decodeJwt(token), scope })).toString("base64url");
	return `${header}.${payload}.${signature}`;
}
