/**
 * Nodes that die, come and go under load, on a real broker: their actors answer elsewhere, nothing is lost, doubled or
 * out of order. Every test ends with the history check (test/chaos/history.ts).
 */
import { expect, test } from "vitest";
import { partitionName } from "../../persistence/log.ts";
import { Random } from "../../testing/random.ts";
import { violations } from "../chaos/history.ts";
import { readBack } from "../chaos/read-back.ts";
import { LEDGERS, Workload } from "../chaos/workload.ts";
import type { Entry } from "../kit/ledger.ts";
import type { LedgerCluster, LedgerProcess } from "../kit/ledger-cluster.ts";
import { entryOf, ledgerCluster, mailboxOf, ownerOf } from "../kit/ledger-stage.ts";

/** From a kill until every actor of the dead node has answered elsewhere, milliseconds (docs/operating/cluster.md). */
const TAKE_OVER_MS_MAX = 15_000;
const TEST_MS_MAX = 120_000;

/** Clients at work; `seed` of what they send. */
function underLoad(cluster: LedgerCluster, seed: number): Workload {
	const workload = new Workload(cluster, new Random(seed));
	workload.begin(4);
	return workload;
}

async function expectSound(cluster: LedgerCluster, workload: Workload): Promise<void> {
	await workload.end();
	expect(violations(await readBack(cluster, workload.calls))).toEqual([]);
	expect(workload.unanswered).toEqual([]);
	const acknowledged = workload.calls.filter(({ outcome }) => outcome !== "unknown");
	expect(acknowledged.length).toBeGreaterThan(100);
}

/** Told by `process` since its `from`-th piece of news. */
function partitionsIn(
	process: LedgerProcess,
	news: "assigned" | "revoked" | "processed",
	from = 0,
): string[] {
	return process.news.all
		.slice(from)
		.flatMap((item) => (item.news === news && "partition" in item ? [item.partition] : []));
}

test(
	"scenario 17: of three nodes under load one gets kill -9; its actors answer elsewhere within 15 s, nothing accepted is lost or applied twice",
	async () => {
		const cluster = ledgerCluster();
		await cluster.start("n1", "n2", "n3");
		await cluster.settled();
		const workload = underLoad(cluster, 17);
		const victim = await ownerOf(cluster, LEDGERS[0] as string);
		await victim.news.first(({ news }) => news === "processed", "work at the node that will die");
		const orphans = (await victim.status()).partitions;
		const homeless = LEDGERS.filter((address) => orphans.includes(partitionName(mailboxOf(address))));
		expect(homeless).toContain(LEDGERS[0]);
		await victim.kill9();
		const since = Date.now();
		const [survivor] = cluster.running as [LedgerProcess];
		const query = { event: { type: "state" }, timeoutMs: TAKE_OVER_MS_MAX } as const;
		await Promise.all(homeless.map((to) => survivor.must({ op: "query", to, ...query })));
		expect(Date.now() - since).toBeLessThan(TAKE_OVER_MS_MAX);
		await expectSound(cluster, workload);
	},
	TEST_MS_MAX,
);

test(
	"scenario 18: a fourth node joins three under load; only what it gets moves, it has work, and order per actor holds",
	async () => {
		const cluster = ledgerCluster();
		await cluster.start("n1", "n2", "n3");
		await cluster.settled();
		const workload = underLoad(cluster, 18);
		const before = cluster.running;
		for (const process of before) await process.news.first(({ news }) => news === "processed", "work");
		const heard = before.map(({ news }) => news.all.length);
		const fourth = await cluster.spawn("n4").started();
		await fourth.news.first(({ news }) => news === "processed", "work at the fourth node");
		await cluster.settled();
		const share = (await fourth.status()).partitions;
		expect(share.length).toBeGreaterThan(0);
		const moved = before.flatMap((process, i) => partitionsIn(process, "revoked", heard[i]));
		expect(moved.sort()).toEqual([...share].sort());
		expect(before.flatMap((process, i) => partitionsIn(process, "assigned", heard[i]))).toEqual([]);
		await expectSound(cluster, workload);
	},
	TEST_MS_MAX,
);

test(
	"scenario 33: 10,000 commands from one sender are handled in the order in which they were sent, while nodes join and leave",
	async () => {
		const COMMANDS = 10_000;
		const WAITING_MAX = 500;
		const cluster = ledgerCluster();
		const [first, second] = (await cluster.start("n1", "n2")) as [LedgerProcess, LedgerProcess];
		await cluster.settled();
		const to = "ledger/orderly";
		const owner = await ownerOf(cluster, to);
		const sender = owner === first ? second : first;
		const waiting = new Set<Promise<unknown>>();
		let moves: Promise<unknown> = Promise.resolve();
		for (let n = 1; n <= COMMANDS; n++) {
			if (waiting.size >= WAITING_MAX) await Promise.race(waiting);
			const event: Entry = entryOf(`e${n}`, n);
			const sent = sender.must({ op: "tell", to, event, timeoutMs: 60_000 });
			waiting.add(sent);
			void sent.finally(() => waiting.delete(sent));
			if (n === 2_000) moves = cluster.start("n3", "n4");
			// The ledger has to move, whoever got what so far.
			if (n === 5_000) moves = moves.then(() => owner.stop());
		}
		await Promise.all(waiting);
		await moves;
		expect(await ownerOf(cluster, to)).not.toBe(owner);
		const state = await sender.ledger(to);
		expect(state).toMatchObject({ entries: COMMANDS, heard: { sender: COMMANDS }, wrong: [] });
		const calls = Array.from({ length: COMMANDS }, (_, i) => {
			return { id: `e${i + 1}`, to, kind: "entry", outcome: "accepted" } as const;
		});
		expect(violations(await readBack(cluster, calls))).toEqual([]);
	},
	TEST_MS_MAX,
);
