/** Claims of a node that stops in order: who is told what and when, and that nothing a client sent is lost. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LOGS, NodeProcess } from "../kit/node-process.ts";
import { makeWorkspace, type TestWorkspace } from "../kit/on-each-log.ts";
import { type Closed, RawClient, RejectedError } from "../kit/raw-client.ts";

const CLIENTS = 200;
/** What the nodes are told, milliseconds, and what a busy machine may add. */
const DRAIN_MS = 3_000;
const LATE_MS = 1_500;
/**
 * Longest time a client of a rolling restart may be without a served connection, milliseconds; a tenth of it is usual.
 * On a machine that is busy with other things it is measured by what the first connections of all took there.
 */
const GAP_MS_MAX = 10_000;
const GAP_FACTOR_MAX = 10;
/** Before a client that no node let in tries them again, milliseconds: less than the published clients wait. */
const RETRY_MS = 250;
const TEST_MS_MAX = 180_000;
const OPTIONS = ["--drain-ms", String(DRAIN_MS), "--log-format", "json"];

interface Told extends Closed {
	/** performance.now(). */
	readonly at: number;
}

async function told(client: RawClient): Promise<Told> {
	const closed = await client.closed;
	return { ...closed, at: performance.now() };
}

/** When readiness was first seen off, performance.now(); asked for as often as can be. */
async function notReadyAt(node: NodeProcess): Promise<number> {
	for (;;) {
		const { status } = await fetch(`${node.url}/health/readiness`);
		if (status === 503) return performance.now();
	}
}

async function connectAll(
	node: NodeProcess,
	{ id, token }: TestWorkspace,
	names: readonly string[],
): Promise<RawClient[]> {
	return Promise.all(
		names.map((clientId) => RawClient.connect(node.url, { clientId, workspace: id, token })),
	);
}

function names(label: string, count: number): string[] {
	return Array.from({ length: count }, (_, i) => `${label}-${i}`);
}

describe.each(LOGS)("a node on the %s log that is told to stop", { timeout: TEST_MS_MAX }, (driver) => {
	let node: NodeProcess;
	beforeAll(async () => {
		node = await NodeProcess.start(driver, OPTIONS);
	});
	afterAll(() => node?.remove());

	test(`is not ready at once, then closes ${CLIENTS} sockets with 1001 evenly over the stated time, then ends`, async () => {
		const workspace = await makeWorkspace(node, "drain");
		const clients = await connectAll(node, workspace, names("client", CLIENTS));
		const closes = clients.map(told);
		const off = notReadyAt(node);
		const since = performance.now();
		node.signal("SIGTERM");
		const offAt = await off;
		expect(offAt - since).toBeLessThan(LATE_MS);
		await expect(RawClient.connect(node.url, { clientId: "late" })).rejects.toThrow("503");
		const all = await Promise.all(closes);
		await node.ended;
		expect(node.exitCode).toBe(0);
		expect(new Set(all.map(({ code }) => code))).toEqual(new Set([1001]));
		expect(new Set(all.map(({ reason }) => reason))).toEqual(new Set(["Server is shutting down"]));
		const times = all.map(({ at }) => at).sort((a, b) => a - b);
		const [first, last] = [times[0] as number, times.at(-1) as number];
		expect(first).toBeGreaterThan(since);
		expect(last - first).toBeGreaterThan(DRAIN_MS * 0.8);
		expect(last - first).toBeLessThan(DRAIN_MS + LATE_MS);
		// Spread, not in a heap at either end: every fifth of the time has its share.
		for (let fifth = 0; fifth < 5; fifth++) {
			const from = first + (fifth * (last - first)) / 5;
			const share = times.filter((at) => at >= from && at <= from + (last - first) / 5).length;
			expect(share).toBeGreaterThan(CLIENTS / 5 / 3);
		}
		expect(node.output()).not.toContain('"level":50');
	});
});

test(`a node that stops tells no client before readiness is off`, { timeout: TEST_MS_MAX }, async () => {
	const [node, other] = (await NodeProcess.startCluster(2, { extra: OPTIONS })) as [NodeProcess, NodeProcess];
	try {
		const workspace = await makeWorkspace(other, "order");
		const clients = await connectAll(node, workspace, names("client", 20));
		const events: string[] = [];
		for (const client of clients) void client.closed.then(() => events.push("closed"));
		const off = notReadyAt(node).then(() => events.push("off"));
		node.signal("SIGTERM");
		await off;
		await Promise.all(clients.map(({ closed }) => closed));
		expect(events[0]).toBe("off");
		expect(events).toHaveLength(1 + clients.length);
	} finally {
		await Promise.all([node.remove(), other.remove()]);
	}
});

describe("a rolling restart of two nodes", { timeout: TEST_MS_MAX }, () => {
	let nodes: NodeProcess[];
	beforeAll(async () => {
		nodes = await NodeProcess.startCluster(2, { extra: OPTIONS });
	});
	afterAll(() => Promise.all((nodes ?? []).map((node) => node.remove())));

	/** Through a load balancer that knows no readiness: now this node, now that one, until one lets it in. */
	async function comeBack(clientId: string, workspace: TestWorkspace, token: string): Promise<RawClient> {
		for (let tries = 0; ; tries++) {
			const { url } = nodes[tries % nodes.length] as NodeProcess;
			try {
				return await RawClient.connect(url, { clientId, workspace: workspace.id, reconnectionToken: token });
			} catch (error) {
				if ((tries / nodes.length) * RETRY_MS > 5 * GAP_MS_MAX) throw error;
				const all = tries % nodes.length === nodes.length - 1;
				if (all) await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
			}
		}
	}

	test(`scenario 20: each of ${CLIENTS} clients gets 1001, comes back and is served again within the bound`, async () => {
		const workspace = await makeWorkspace(nodes[0] as NodeProcess, "rolling");
		const gaps: number[] = [];
		const codes: number[] = [];
		let stop = false;
		const since = performance.now();
		const lives = names("client", CLIENTS).map(async (clientId, i) => {
			const { id, token } = workspace;
			const { url } = nodes[i % 2] as NodeProcess;
			let client = await RawClient.connect(url, { clientId, workspace: id, token });
			const goOn = async () => {
				const since = performance.now();
				client = await comeBack(clientId, workspace, client.info.reconnection_token);
				// Served means answered: the answer comes through the client's own mailbox.
				expect(await client.manage("echo", clientId)).toBe(clientId);
				gaps.push(performance.now() - since);
			};
			let back = Promise.resolve();
			return {
				client: () => client,
				back: () => back,
				live: async () => {
					for (;;) {
						const { code } = await client.closed;
						if (stop) return;
						codes.push(code);
						back = goOn();
						await back;
					}
				},
			};
		});
		const all = await Promise.all(lives);
		const gapMsMax = Math.max(GAP_MS_MAX, GAP_FACTOR_MAX * (performance.now() - since));
		const lived = Promise.all(all.map(({ live }) => live()));
		// Awaited at the end; until then a failure is not nobody's.
		lived.catch(() => {});
		for (const node of nodes) {
			const before = codes.length;
			await node.terminate();
			expect(node.exitCode).toBe(0);
			await node.restart();
			expect(codes.length).toBeGreaterThan(before);
		}
		await Promise.all(all.map(({ back }) => back()));
		stop = true;
		expect(new Set(codes)).toEqual(new Set([1001]));
		// Everybody was on one of the nodes when it went.
		expect(codes.length).toBeGreaterThanOrEqual(CLIENTS);
		expect(gaps.length).toBe(codes.length);
		const sorted = gaps.sort((a, b) => a - b);
		expect(sorted.at(-1)).toBeLessThan(gapMsMax);
		await Promise.all(all.map(({ client }) => client().leave()));
		await lived;
		for (const node of nodes) expect(node.output()).not.toContain('"level":50');
	});

	test("a call that a stopping node has taken is answered: on its socket, or where the client comes back", async () => {
		const [stopping, other] = nodes as [NodeProcess, NodeProcess];
		const workspace = await makeWorkspace(other, "taken");
		const [callee] = (await connectAll(other, workspace, ["callee"])) as [RawClient];
		await callee.serve("echo", (_, [value]) => value as unknown);
		const callers = await connectAll(stopping, workspace, names("caller", 20));
		const taken = new Map<RawClient, string[]>();
		const rejects: string[] = [];
		const off = notReadyAt(stopping);
		stopping.signal("SIGTERM");
		await off;
		// From now until its socket closes each caller keeps calling; what the node has read is known by its pong.
		await Promise.all(
			callers.map(async (caller) => {
				const sessions: string[] = [];
				taken.set(caller, sessions);
				const closed = caller.closed.then(() => "closed");
				for (;;) {
					const { session, answer } = caller.startCall();
					answer.catch((error: Error) => error instanceof RejectedError && rejects.push(error.message));
					const extra = { args: [session], promise: "*", t: 60 };
					caller.send({ type: "method", to: "callee", method: "services.echo.echo", session }, extra);
					if ((await Promise.race([caller.roundTrip(), closed])) === "closed") return;
					sessions.push(session);
				}
			}),
		);
		await stopping.ended;
		const total = [...taken.values()].flat().length;
		expect(total).toBeGreaterThan(callers.length);
		await Promise.all(
			callers.map(async (caller) => {
				const missing = (taken.get(caller) ?? []).filter((session) => !caller.answers.has(session));
				const back = await RawClient.connect(other.url, {
					clientId: caller.info.client_id,
					workspace: workspace.id,
					reconnectionToken: caller.info.reconnection_token,
				});
				for (const wanted of missing) {
					await back.settled.first((session) => session === wanted, `the answer to ${wanted}`);
				}
				await back.leave();
			}),
		);
		expect(rejects).toEqual([]);
		await stopping.restart();
	});
});
