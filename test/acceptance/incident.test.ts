/**
 * An incident from its discovery to its end: a machine books refunds like sales, on 50 of 1,000 actors. An operator finds
 * the first bad event, checks the mended machine, exchanges it and has the 50 rebuilt, while clients are served.
 */
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import type { Config } from "../../cli/node.ts";
import type { CheckFinding } from "../../runtime/check.ts";
import { ClientProcess } from "../kit/client-process.ts";
import { type HistoryLine, mycelog } from "../kit/mycelog.ts";
import { ROOT_TOKEN } from "../kit/node-process.ts";
import { RawClient } from "../kit/raw-client.ts";
import { RoundRobin } from "../kit/round-robin.ts";
import { machineFile, TillNode } from "../kit/tills/till-nodes.ts";

const TILLS = 1_000;
/** Every so many-th till has a refund. */
const REFUND_EVERY = 20;
const SALE = 500;
const REFUND = 120;
const WHY = "refunds were booked as sales";
const TEST_MS_MAX = 240_000;

const tills = Array.from({ length: TILLS }, (_, i) => `t${i}`);
const refunded = tills.filter((_, i) => i % REFUND_EVERY === 0);
const expected = tills.map((_, i) => (i % REFUND_EVERY === 0 ? 2 * SALE - REFUND : 2 * SALE));

interface AuditLine {
	readonly address: string;
	readonly by: string;
	readonly why: string;
}

type Finding = CheckFinding & { readonly address: string };

/** Calls from client to client, one after the other, until it is told to end. */
class Traffic {
	answered = 0;
	readonly failed: string[] = [];
	#running = true;
	readonly #done: Promise<void>;

	constructor(call: (n: number) => Promise<unknown>) {
		this.#done = this.#run(call);
	}

	async end(): Promise<void> {
		this.#running = false;
		await this.#done;
	}

	async #run(call: (n: number) => Promise<unknown>): Promise<void> {
		for (let n = 0; this.#running; n++) {
			const answer = await call(n).catch(String);
			if (answer === n + 1) this.answered++;
			else this.failed.push(String(answer));
		}
	}
}

describe.each([
	["an embedded node", 1],
	["three nodes on Kafka", 3],
] as const)("on %s", (_, count) => {
	const nodes: TillNode[] = [];
	const clients: ClientProcess[] = [];
	let balancer: RoundRobin;
	let traffic: Traffic;
	/** Of the refunds' records, by address. */
	let refundedAt: Map<string, number>;
	let place: readonly string[];

	beforeAll(async () => {
		const prefix = `incident-${randomBytes(4).toString("hex")}`;
		const kafkaUri = count === 1 ? undefined : inject("kafkaBrokers").split(",");
		const shared: Partial<Config> = kafkaUri ? { kafkaUri, prefix } : {};
		while (nodes.length < count) nodes.push(await TillNode.start("mistaken", shared));
		place = kafkaUri
			? ["--kafka-uri", kafkaUri.join(","), "--prefix", prefix, "--data-dir", (nodes[0] as TillNode).dataDir]
			: ["--data-dir", (nodes[0] as TillNode).dataDir];
		balancer = await RoundRobin.before(nodes.map(({ url }) => url));
		const root = await RawClient.connect(balancer.url, { clientId: "root", token: ROOT_TOKEN });
		await root.manage("create_workspace", { id: "shop", name: "shop", persistent: true });
		const token = (await root.manage("generate_token", { workspace: "shop" })) as string;
		await root.leave();
		const [callee, caller] = [ClientProcess.python(), ClientProcess.javascript()];
		clients.push(callee, caller);
		await callee.connect("callee", balancer.url, { workspace: "shop", token });
		await callee.run("register", { name: "callee", id: "sums" });
		await caller.connect("caller", balancer.url, { workspace: "shop", token });
		const id = "shop/callee:sums";
		await caller.run("find", { name: "caller", id });
		expect(await caller.call("caller", id, "add", [2, 3])).toBe(5);
		traffic = new Traffic((n) => caller.call("caller", id, "add", [n, 1]));

		const node = nodes[0] as TillNode;
		const sale = { type: "sale", amount: SALE } as const;
		await node.tell(tills.map((id) => [id, sale]));
		const refund = { type: "refund", amount: REFUND } as const;
		const offsets = await node.tell(refunded.map((id) => [id, refund]));
		refundedAt = new Map(refunded.map((id, i) => [`till/${id}`, offsets[i] as number]));
		await node.tell(tills.map((id) => [id, sale]));
		expect(await node.totals(["t0", "t1"])).toEqual([2 * SALE + REFUND, 2 * SALE]);
	}, TEST_MS_MAX);
	afterAll(async () => {
		await traffic?.end();
		for (const client of clients) client.stop();
		await balancer?.close();
		await Promise.all(nodes.map((node) => node.remove()));
	});

	/** As the operator types it. */
	async function operator<T>(exitCode: number, ...args: string[]): Promise<T> {
		const result = await mycelog([...args, "--json", ...place]);
		expect([result.exitCode, result.exitCode === exitCode ? "" : result.stderr]).toEqual([exitCode, ""]);
		return JSON.parse(result.stdout) as T;
	}

	test(
		"the 50 are found with the offset of their first bad event, the mended machine is rolled out and they are rebuilt; clients are served all the while, and the log says who did it and why",
		async () => {
			const machines = ["--machine", machineFile("mended"), "--against", machineFile("mistaken")];
			const check = await operator<{ found: number; checked: number; actors: Finding[] }>(
				1,
				...["check", ...machines, "--since", "7d", "--limit", "100"],
			);
			expect(check).toMatchObject({ checked: TILLS, found: refunded.length });
			const firstBad = new Map(check.actors.map(({ address, offset }) => [address, offset]));
			expect(firstBad).toEqual(refundedAt);
			const [bad] = check.actors as [Finding];
			const around = await operator<HistoryLine[]>(
				0,
				...["history", bad.address, "--from", String(bad.offset), "--limit", "1"],
				...["--actors", machineFile("mistaken")],
			);
			expect(around).toMatchObject([{ offset: bad.offset, type: "refund", event: { amount: REFUND } }]);

			const addresses = [...firstBad.keys()];
			const rebuild = [
				"rebuild",
				...addresses,
				"--actors",
				machineFile("mended"),
				"--why",
				WHY,
				"--by",
				"ann",
			];
			const before = traffic.answered;
			if (count === 1) {
				await (nodes[0] as TillNode).stop();
				expect(await operator(0, ...rebuild)).toMatchObject({ ok: true, refused: [] });
				await (nodes[0] as TillNode).start("mended");
			} else {
				for (const node of nodes) {
					await node.stop();
					await node.start("mended");
				}
				expect(await operator(0, ...rebuild)).toMatchObject({ ok: true, refused: [] });
			}
			expect(await (nodes[0] as TillNode).totals(tills)).toEqual(expected);
			const audit = await operator<AuditLine[]>(0, "audit", "--by", "ann", "--actors", machineFile("mended"));
			expect(new Set(audit.map(({ address }) => address))).toEqual(new Set(addresses));
			for (const line of audit) expect(line).toMatchObject({ by: "ann", why: WHY });
			const after = traffic.answered;
			expect(after).toBeGreaterThan(before);
			await expect.poll(() => traffic.answered, { timeout: 30_000 }).toBeGreaterThan(after);
			expect(traffic.failed).toEqual([]);
		},
		TEST_MS_MAX,
	);
});
