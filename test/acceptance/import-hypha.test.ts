/**
 * Taking over a running Hypha: what its Redis holds is found here, its tokens open the same doors, its clients go on.
 * The store is what a real Hypha 0.21.137 wrote (test/kit/hypha/capture.py), in a real Redis.
 */
import { decodeJwt, SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { askOperator, mycelog } from "../kit/mycelog.ts";
import { JWT_SECRET, LOGS, NodeProcess } from "../kit/node-process.ts";
import { connectRoot } from "../kit/on-each-log.ts";
import { type Fields, type Frame, RawClient } from "../kit/raw-client.ts";
import { CAPTURED, RedisServer } from "../kit/redis.ts";

const { tokens } = CAPTURED;

interface Report {
	readonly dryRun: boolean;
	readonly hypha: string;
	readonly taken: Readonly<Record<"workspace" | "client" | "revocation", readonly string[]>>;
	readonly present: Report["taken"];
	readonly left: readonly { readonly kind: string; readonly name: string; readonly why: string }[];
}

let redis: RedisServer;
beforeAll(async () => {
	expect(CAPTURED.secret).toBe(JWT_SECRET);
	redis = await RedisServer.start();
});
afterAll(() => redis?.stop());

describe.each(LOGS)("scenario 57: a Hypha that is taken over, on the %s log", (driver) => {
	let node: NodeProcess;
	const take = async (...more: string[]): Promise<Report> => {
		const asked = ["import", "hypha", "--redis-uri", redis.uri, "--json", ...more, ...node.place];
		const { exitCode, stdout, stderr } = await mycelog(asked);
		expect(stderr).toBe("");
		expect(exitCode).toBe(0);
		return JSON.parse(stdout) as Report;
	};
	const workspaces = ["lab-images", "lab-temporary", "ws-user-root"];
	const clients = ["lab-images/microscope", "lab-temporary/camera", "ws-user-root/root-filler"];
	const sorted = ({ taken }: Pick<Report, "taken">) => ({
		workspace: [...taken.workspace].sort(),
		client: [...taken.client].sort(),
		revocations: taken.revocation.length,
	});
	const connect = (clientId: string, workspace: string, token: string) =>
		RawClient.connect(node.url, { clientId, workspace, token });

	beforeAll(async () => {
		node = await NodeProcess.start(driver);
	});
	afterAll(() => node?.remove());

	test("is described by a dry run beside the live node, which writes nothing", async () => {
		for (let run = 0; run < 2; run++) {
			const report = await take("--dry-run");
			expect(report).toMatchObject({ dryRun: true, hypha: CAPTURED.hypha });
			expect(sorted(report)).toEqual({ workspace: workspaces, client: clients, revocations: 1 });
			const reasons = Object.fromEntries(report.left.map(({ name, why }) => [name, why]));
			expect(reasons).toMatchObject({
				public: "every server makes its own",
				"lab-empty": "temporary, and nobody is taken over with it",
			});
		}
		expect(await askOperator(node, "actors", "--type", "workspace")).toEqual([]);
	});

	test("is written to a cluster's log while nodes run, to an embedded one while none does, and a second time not at all", async () => {
		if (driver === "sqlite") {
			const locked = await mycelog(["import", "hypha", "--redis-uri", redis.uri, ...node.place]);
			expect(locked.exitCode).toBe(1);
			expect(locked.stderr).toMatch(/error: .*(lock|in use|process)/i);
			await node.terminate();
		}
		expect(sorted(await take())).toEqual({ workspace: workspaces, client: clients, revocations: 1 });
		const again = await take();
		expect(sorted(again)).toEqual({ workspace: [], client: [], revocations: 0 });
		expect(sorted({ taken: again.present })).toEqual({
			workspace: workspaces,
			client: clients,
			revocations: 1,
		});
		if (driver === "sqlite") await node.restart();
	});

	test("has its workspaces, owners, settings and types here, open to its own tokens", async () => {
		const member = await connect("scientist", "lab-images", tokens.admin);
		const info = (await member.manage("get_workspace_info")) as Fields;
		const stored = CAPTURED.keys.find(({ key }) => key === "workspaces")?.value as Record<string, string>;
		const wanted = JSON.parse(stored["lab-images"] as string) as Fields;
		expect(info).toMatchObject({ ...wanted, status: { ready: true } });
		expect(info["owners"]).toContain("ada@example.org");
		expect(await member.manage("get_env", "API_KEY")).toBe("s3cret");
		const reader = await connect("reader", "lab-images", tokens.read);
		expect(await reader.manage("check_status")).toMatchObject({ status: "ready", user_permission: "r" });
		await expect(reader.manage("get_env", "API_KEY")).rejects.toThrow(/Permission denied/);
		const root = await connectRoot(node);
		const listed = (await root.manage("list_workspaces")) as { id: string }[];
		expect(listed.map(({ id }) => id)).toEqual(expect.arrayContaining(workspaces));
		for (const client of [reader, member, root]) await client.leave();
	});

	test("keeps what was revoked there revoked", async () => {
		await expect(connect("ghost", "lab-images", tokens.revoked)).rejects.toThrow(/Token has been revoked/);
	});

	test("has its clients expected: their services are found, calls wait, and they come with the reconnection tokens they have", async () => {
		const caller = await connect("caller", "lab-images", tokens.admin);
		const listed = (await caller.manage("list_services", { client_id: "microscope" })) as Fields[];
		expect(listed.map(({ id }) => id).sort()).toEqual(
			["built-in", "images", "private"].map((name) => `lab-images/microscope:${name}`),
		);
		expect(await caller.manage("get_service_info", "microscope:images")).toMatchObject({
			name: "Images",
			type: "images",
			description: "The images",
			service_schema: { add: { type: "function" } },
			config: { visibility: "public", workspace: "lab-images" },
		});
		const answer = caller.call("microscope", "services.images.add", [20, 22]);
		await caller.manage("echo", "the call is in the mailbox");

		// Theirs ends after two days: the same, signed anew.
		const claims = { ...decodeJwt(tokens.reconnection), exp: Math.floor(Date.now() / 1_000) + 3_600 };
		const reconnectionToken = await new SignJWT(claims)
			.setProtectedHeader({ alg: "HS256", typ: "JWT" })
			.sign(new TextEncoder().encode(JWT_SECRET));
		const microscope = await RawClient.connect(node.url, { clientId: "microscope", reconnectionToken });
		expect(microscope.info).toMatchObject({ workspace: "lab-images", recovered: true });
		const isCall = ({ main }: Frame) => main["method"] === "services.images.add";
		const { main } = await microscope.frames.first(isCall, "the call that waited");
		const reply = { type: "method", to: main["from"], method: `${main["session"]}.resolve` };
		microscope.send(reply, { args: [42] });
		expect(await answer).toBe(42);
		await microscope.leave();
		await caller.leave();
	});

	test("is left alone where clients have come here, and where a workspace was changed here", async () => {
		const member = await connect("camera-2", "lab-images", tokens.admin);
		await member.manage("set_env", "API_KEY", "changed here");
		await member.leave();
		if (driver === "sqlite") await node.terminate();
		const report = await take("--dry-run");
		expect(report.taken.workspace).toEqual([]);
		expect(report.left).toContainEqual({
			kind: "workspace",
			name: "lab-images",
			why: "it is here and differs; --overwrite replaces it",
		});
		expect((await take("--dry-run", "--overwrite")).taken.workspace).toEqual(["lab-images"]);
		if (driver === "sqlite") await node.restart();
	});
});

test("a Redis that does not answer is told by its address, without the password, and nothing is written", async () => {
	const uri = "redis://someone:a-password@127.0.0.1:1/0";
	const { exitCode, stderr, stdout } = await mycelog([
		"import",
		"hypha",
		"--redis-uri",
		uri,
		"--data-dir",
		"/nowhere",
	]);
	expect(exitCode).toBe(1);
	expect(stderr).toMatch(/error: Redis at redis:\/\/someone:…@127\.0\.0\.1:1\/0: /);
	expect(stderr).toMatch(/code: import\.source-unreachable/);
	expect(stderr + stdout).not.toContain("a-password");
});
