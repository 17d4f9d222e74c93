/**
 * Nodes that think they own what others have: frozen past their session, or of an id that another process has. On a real
 * broker; every test ends with the history check.
 */
import { describe, expect, test } from "vitest";
import { Random } from "../../testing/random.ts";
import { violations } from "../chaos/history.ts";
import { readBack } from "../chaos/read-back.ts";
import { Workload } from "../chaos/workload.ts";
import type { LedgerCluster, LedgerProcess } from "../kit/ledger-cluster.ts";
import { ledgerCluster, ownerOf, PARTITIONS, removeNodeTopic } from "../kit/ledger-stage.ts";

const TEST_MS_MAX = 180_000;
const LEDGER = "ledger/0";

/** How often a process was given a partition so far. */
function assignments({ news }: LedgerProcess): number {
	return news.all.filter((item) => item.news === "assigned").length;
}

test(
	"scenario 19: a node frozen under load until others have its partitions writes nothing that counts when it goes on, and rejoins clean",
	async () => {
		const cluster = ledgerCluster();
		await cluster.start("n1", "n2", "n3");
		await cluster.settled();
		const workload = new Workload(cluster, new Random(19));
		workload.begin(4);
		const frozen = await ownerOf(cluster, LEDGER);
		await frozen.news.first(({ news }) => news === "processed", "work at the node that will be frozen");
		const { partitions, name } = await frozen.status();
		// In the middle of the load: with outputs, replies and a checkpoint under way.
		await frozen.freeze();
		const since = Date.now();
		const survivors = cluster.running;
		for (const partition of partitions) {
			await Promise.any(
				survivors.map(({ news }) => {
					const taken = (item: (typeof news.all)[number]) =>
						item.news === "processed" && item.partition === partition && item.at > since;
					return news.first(taken, `${partition} to be taken over`);
				}),
			);
		}
		const before = assignments(frozen);
		frozen.thaw();
		await frozen.until((status) => status.partitions.length > 0 && status.ready, "given a share again");
		await cluster.settled();
		expect(assignments(frozen)).toBeGreaterThan(before);
		expect((await frozen.status()).name).toBe(name);
		await workload.end();
		expect(violations(await readBack(cluster, workload.calls))).toEqual([]);
		expect(workload.unanswered).toEqual([]);
	},
	TEST_MS_MAX,
);

test(
	"scenario 12: of two nodes with one id the first is fenced by name when the second starts, lets go of everything and ends; there are never two writers",
	async () => {
		const cluster = ledgerCluster();
		const [first] = (await cluster.start("n1", "n2")) as [LedgerProcess];
		await cluster.settled();
		const workload = new Workload(cluster, new Random(12));
		workload.begin(3);
		await first.news.first(({ news }) => news === "processed", "work at the first n1");
		const twin = await cluster.spawn("n1", cluster.newDisk()).started();
		const told = await first.news.first(({ news }) => news === "succeeded", "the first n1 to be told");
		expect(told).toMatchObject({
			error: expect.stringMatching(/another process with node id n1 has started/),
		});
		await first.ended;
		await twin.until(({ partitions }) => partitions.length > 0, "given a share");
		await cluster.settled();
		await workload.end();
		expect(violations(await readBack(cluster, workload.calls))).toEqual([]);
		expect(workload.unanswered).toEqual([]);
	},
	TEST_MS_MAX,
);

test(
	"scenario 12: a frozen node whose id another process has taken meanwhile is fenced as soon as it goes on",
	async () => {
		const cluster = ledgerCluster();
		const [first] = (await cluster.start("n1", "n2")) as [LedgerProcess];
		await cluster.settled();
		const workload = new Workload(cluster, new Random(112));
		workload.begin(3);
		await first.news.first(({ news }) => news === "processed", "work at the first n1");
		await first.freeze();
		const twin = await cluster.spawn("n1", cluster.newDisk()).started();
		await twin.until(({ partitions }) => partitions.length > 0, "given a share");
		first.thaw();
		await first.news.first(({ news }) => news === "succeeded", "the first n1 to be told");
		await first.ended;
		await cluster.settled();
		await workload.end();
		expect(violations(await readBack(cluster, workload.calls))).toEqual([]);
	},
	TEST_MS_MAX,
);

describe("a node that was away for so long that the others have removed its topic", () => {
	/** A cluster of two whose n1 was started twice, and is frozen and replaced by n2. */
	async function withFrozen(): Promise<{ cluster: LedgerCluster; frozen: LedgerProcess }> {
		const cluster = ledgerCluster();
		const [first, other] = (await cluster.start("n1", "n2")) as [LedgerProcess, LedgerProcess];
		await first.stop();
		const [frozen] = (await cluster.start("n1")) as [LedgerProcess];
		await cluster.settled();
		await frozen.freeze();
		await other.until(({ partitions }) => partitions.length === 2 * PARTITIONS, "the owner of all");
		await removeNodeTopic(cluster, "n1");
		return { cluster, frozen };
	}

	test(
		"scenario 19: ends when it goes on, and says why, rather than living on unheard",
		async () => {
			const { cluster, frozen } = await withFrozen();
			frozen.thaw();
			const told = await frozen.news.first(({ news }) => news === "succeeded", "the node to be told");
			expect(told).toMatchObject({ error: expect.stringMatching(/n1/) });
			await frozen.ended;
			await cluster.settled();
			expect(violations(await readBack(cluster, []))).toEqual([]);
		},
		TEST_MS_MAX,
	);

	test(
		"scenario 12: is fenced by a process that has taken its id meanwhile, which goes on",
		async () => {
			const { cluster, frozen } = await withFrozen();
			const twin = await cluster.spawn("n1", cluster.newDisk()).started();
			await twin.until(({ partitions }) => partitions.length > 0, "given a share");
			await cluster.settled();
			frozen.thaw();
			await frozen.ended;
			await cluster.settled();
			expect((await twin.status()).partitions).toHaveLength(PARTITIONS);
			expect(await twin.ledger(LEDGER)).toMatchObject({ entries: 0 });
			expect(violations(await readBack(cluster, []))).toEqual([]);
		},
		TEST_MS_MAX,
	);
});
