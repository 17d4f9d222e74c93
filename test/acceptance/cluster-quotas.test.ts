/**
 * Limits that hold for the whole cluster: whoever counts, counts the same clients, whichever nodes they are connected to.
 */
import { randomBytes } from "node:crypto";
import { SignJWT } from "jose";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { TOKEN_DEFAULTS } from "../../gateway/tokens.ts";
import { useCluster } from "../kit/cluster.ts";
import { metric } from "../kit/metric.ts";
import { JWT_SECRET, type NodeProcess } from "../kit/node-process.ts";
import { makeWorkspace, type TestWorkspace } from "../kit/on-each-log.ts";
import { RawClient, RejectedError } from "../kit/raw-client.ts";

const NODES = 3;
const CONNECTIONS_PER_USER = 12;
const CLIENTS_PER_WORKSPACE = 16;
const MESSAGES_PER_SECOND = 200;

/** From a node's death to its sessions' end: noticed by the others, resume window. Milliseconds, on a busy machine. */
const TAKEN_OVER_MS_MAX = 60_000;

const OPTIONS = [
	["--connections-per-user-max", CONNECTIONS_PER_USER],
	["--clients-per-workspace-max", CLIENTS_PER_WORKSPACE],
	["--messages-per-second-max", MESSAGES_PER_SECOND],
	["--resume-window-ms", 1_000],
]
	.flat()
	.map(String);

describe("three gateways", () => {
	const nodes = useCluster(NODES, ...OPTIONS);
	const connected = new Set<RawClient>();
	const url = (n: number) => (nodes[n % NODES] as NodeProcess).url;
	/** Two workspaces and one user, who may join both. */
	let one: TestWorkspace;
	let other: TestWorkspace;
	let token: string;

	const join = async (n: number, workspace: TestWorkspace, clientId: string, as = token) => {
		const client = await RawClient.patiently(url(n), { clientId, workspace: workspace.id, token: as });
		connected.add(client);
		return client;
	};
	/** All at once, over all gateways; the clients that were let in, and what the others were told. */
	const storm = async (count: number, start: (n: number) => Promise<RawClient>) => {
		const tried = await Promise.allSettled(Array.from({ length: count }, (_, n) => start(n)));
		return {
			admitted: tried.flatMap((result) => (result.status === "fulfilled" ? [result.value] : [])),
			refused: tried.flatMap((result) => (result.status === "rejected" ? [String(result.reason)] : [])),
		};
	};
	const leave = async (client: RawClient) => {
		connected.delete(client);
		await client.leave();
	};

	beforeAll(async () => {
		const node = nodes[0] as NodeProcess;
		one = await makeWorkspace(node, "one");
		other = await makeWorkspace(node, "other");
	});
	// A user of its own for each test: the last one's connections may still be on their way out.
	beforeEach(async () => {
		token = await userToken([one.id, other.id]);
	});
	afterEach(async () => {
		for (const client of [...connected]) await leave(client);
	});

	test("scenario 30: of a user's N + 1 connections over three gateways and two workspaces, all at once, exactly one is refused", async () => {
		for (let round = 0; round < 3; round++) {
			token = await userToken([one.id, other.id]);
			const { admitted, refused } = await storm(CONNECTIONS_PER_USER + 1, (n) =>
				join(n, n % 2 === 0 ? one : other, `r${round}-${n}`),
			);
			expect(admitted).toHaveLength(CONNECTIONS_PER_USER);
			expect(refused).toHaveLength(1);
			expect(refused[0]).toMatch(/has reached the limit of 12 connections/);
			// The place of one that goes is free for the next.
			await leave(admitted.pop() as RawClient);
			await expect
				.poll(() => join(1, other, `r${round}-late`).then(() => "in", String), { timeout: 20_000 })
				.toBe("in");
			for (const client of [...connected]) await leave(client);
		}
	});

	test("a place is free again after a goodbye, and after a cut once the resume window has passed; a session that goes on keeps its one", async () => {
		const { admitted } = await storm(CONNECTIONS_PER_USER, (n) => join(n, one, `way-${n}`));
		expect(admitted).toHaveLength(CONNECTIONS_PER_USER);
		const [resumed, cut, left] = admitted as [RawClient, RawClient, RawClient];
		for (let n = 1; n <= 3; n++) {
			const { client_id: clientId, reconnection_token: reconnectionToken } = resumed.info;
			connected.add(await RawClient.patiently(url(n), { clientId, reconnectionToken }));
		}
		await expect(join(0, other, "too-many")).rejects.toThrow(/limit of 12/);
		connected.delete(cut);
		await cut.cut();
		// Its session waits for it: the place is taken until the resume window has passed.
		const watcher = admitted[3] as RawClient;
		await watcher.manage("subscribe", ["client_disconnected"]);
		await expect(join(1, other, "too-many")).rejects.toThrow(/limit of 12/);
		await watcher.frames.first(
			({ main }) => main["type"] === "client_disconnected",
			"the end of the session",
		);
		await join(2, other, "after-cut");
		await leave(left);
		await expect
			.poll(() => join(0, other, "after-left").then(() => "in", String), { timeout: 20_000 })
			.toBe("in");
		await expect(join(1, other, "too-many")).rejects.toThrow(/limit of 12/);
	});

	test("a workspace's clients are counted over all gateways, whoever they are", async () => {
		// Of its own: clients of other tests may still be on their way out.
		const full = await makeWorkspace(nodes[0] as NodeProcess, "full");
		const user = await userToken([full.id]);
		const { admitted, refused } = await storm(CLIENTS_PER_WORKSPACE + 2, (n) =>
			join(n, full, `full-${n}`, n < 9 ? user : full.token),
		);
		expect(admitted).toHaveLength(CLIENTS_PER_WORKSPACE);
		expect(refused).toHaveLength(2);
		for (const text of refused) expect(text).toMatch(/has reached its limit of 16 clients/);
	});

	test("who sends above the rate is told, then closed with 1008, on any gateway; the neighbour is not harmed, and a forged token buys nothing", async () => {
		const neighbour = await join(0, one, "neighbour");
		const spammer = await join(1, one, "spammer");
		const record = { id: `${spammer.peer}:built-in`, type: "built-in" };
		const calls = Array.from({ length: 3 * MESSAGES_PER_SECOND }, () =>
			spammer.manage("register_service", record),
		);
		const outcomes = Promise.allSettled(calls);
		const started = performance.now();
		expect(await neighbour.manage("echo", "unharmed")).toBe("unharmed");
		expect(performance.now() - started).toBeLessThan(2_000);
		expect(await spammer.closed).toEqual({
			code: 1008,
			reason: "Rate limit exceeded: more than 200 messages a second",
		});
		connected.delete(spammer);
		const told = (await outcomes).flatMap((outcome) =>
			outcome.status === "rejected" && outcome.reason instanceof RejectedError
				? [outcome.reason.message]
				: [],
		);
		expect(told.length).toBeGreaterThan(0);
		for (const text of told) expect(text).toMatch(/Rate limit exceeded: more than 200 messages a second/);
		expect(await metric(url(1), "mycelog_gateway_shed_total", { reason: "rate" })).toBe(1);
		await expect(join(2, one, "spammer", `${token.slice(0, -4)}AAAA`)).rejects.toThrow(
			/Authentication error/,
		);
	});

	test(
		"a gateway that dies takes exactly its own connections out of the count, once their resume windows have passed",
		async () => {
			const { admitted } = await storm(CONNECTIONS_PER_USER, (n) => join(n, one, `life-${n}`));
			expect(admitted).toHaveLength(CONNECTIONS_PER_USER);
			const dying = nodes[2] as NodeProcess;
			await dying.kill9();
			for (const client of admitted.filter((_, n) => n % NODES === 2)) {
				connected.delete(client);
				await client.closed;
			}
			const freed = CONNECTIONS_PER_USER / NODES;
			for (let n = 0; n < freed; n++) {
				const late = () => join(n % 2, other, `after-${n}`).then(() => "in", String);
				await expect.poll(late, { timeout: TAKEN_OVER_MS_MAX, interval: 500 }).toBe("in");
			}
			await expect(join(0, other, "too-many")).rejects.toThrow(/limit of 12/);
		},
		TAKEN_OVER_MS_MAX + 60_000,
	);
});

/** As an identity provider with the cluster's secret signs it: one user of several workspaces. */
function userToken(workspaces: readonly string[]): Promise<string> {
	return new SignJWT({ scope: workspaces.map((id) => `ws:${id}#rw`).join(" ") })
		.setProtectedHeader({ alg: "HS256" })
		.setIssuer(TOKEN_DEFAULTS.issuer)
		.setAudience(TOKEN_DEFAULTS.audience)
		.setSubject(`user-${randomBytes(4).toString("hex")}`)
		.setExpirationTime("1h")
		.sign(new TextEncoder().encode(JWT_SECRET));
}
