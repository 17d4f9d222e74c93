/** Nodes that watch each other: a dead one is noticed sooner than Kafka's sessions end, and a wrong guess does no harm. */
import { expect, test } from "vitest";
import { Random } from "../../testing/random.ts";
import { violations } from "../chaos/history.ts";
import { readBack } from "../chaos/read-back.ts";
import { Workload } from "../chaos/workload.ts";
import type { LedgerProcess } from "../kit/ledger-cluster.ts";
import { ledgerCluster, ownerOf } from "../kit/ledger-stage.ts";

const TEST_MS_MAX = 180_000;
const TAKEOVER_AFTER_MS = 1_500;
/** The least session that brokers allow by default. */
const SESSION_MS = 6_000;
const LEDGER = "ledger/0";

test(
	"with --takeover-after-ms below a session, a node killed with -9 is taken out by the others before its session ends",
	async () => {
		const cluster = ledgerCluster({ takeoverAfterMs: TAKEOVER_AFTER_MS });
		await cluster.start("n1", "n2", "n3");
		await cluster.settled();
		const victim = await ownerOf(cluster, LEDGER);
		await victim.kill9();
		const since = Date.now();
		const [survivor] = cluster.running as [LedgerProcess];
		await survivor.must({ op: "query", to: LEDGER, event: { type: "state" }, timeoutMs: 30_000 });
		expect(Date.now() - since).toBeLessThan(SESSION_MS);
	},
	TEST_MS_MAX,
);

test(
	"a node that was only slow, and taken out for it, does nothing that counts, comes back and works again",
	async () => {
		const cluster = ledgerCluster({ takeoverAfterMs: TAKEOVER_AFTER_MS });
		await cluster.start("n1", "n2", "n3");
		await cluster.settled();
		const workload = new Workload(cluster, new Random(1));
		workload.begin(4);
		const slow = await ownerOf(cluster, LEDGER);
		await slow.news.first(({ news }) => news === "processed", "work at the node that will be slow");
		const { partitions } = await slow.status();
		await slow.freeze();
		const since = Date.now();
		await Promise.any(
			cluster.running.map(({ news }) =>
				news.first(
					(item) => item.news === "assigned" && partitions.includes(item.partition) && item.at > since,
					"a partition of the slow node to be taken over",
				),
			),
		);
		slow.thaw();
		await slow.until((status) => status.partitions.length > 0 && status.ready, "given a share again");
		await cluster.settled();
		await workload.end();
		expect(violations(await readBack(cluster, workload.calls))).toEqual([]);
		expect(workload.unanswered).toEqual([]);
	},
	TEST_MS_MAX,
);
