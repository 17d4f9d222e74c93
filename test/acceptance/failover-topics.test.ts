/** The topics of nodes that left are removed; the others must not miss them. On a real broker. */
import { expect, test } from "vitest";
import { KAFKA_CLIENTS } from "../../persistence/kafka-client-names.ts";
import type { LedgerProcess } from "../kit/ledger-cluster.ts";
import { entryOf, ledgerCluster, removeNodeTopic } from "../kit/ledger-stage.ts";

const TEST_MS_MAX = 180_000;
const LEDGERS = Array.from({ length: 12 }, (_, i) => `ledger/${i}`);

test.each(KAFKA_CLIENTS)(
	"scenario 7: when the topic of a node that left is removed, the others go on, give newcomers their share, answer them, and answer the one that comes back (%s)",
	async (client) => {
		const cluster = ledgerCluster({ client });
		const [first, second] = (await cluster.start("n1", "n2")) as [LedgerProcess, LedgerProcess];
		await cluster.settled();
		const ask = (through: LedgerProcess, n: number) =>
			Promise.all(
				LEDGERS.map((to) =>
					through.must({ op: "ask", to, event: entryOf(`${to}-${n}`, n), timeoutMs: 60_000 }),
				),
			);
		// The second has written replies to the topic of the first.
		await ask(first, 1);
		await first.stop();
		await cluster.settled();
		await removeNodeTopic(cluster, "n1");
		await ask(second, 2);
		const [third] = (await cluster.start("n3")) as [LedgerProcess];
		await cluster.settled();
		expect((await third.status()).partitions.length).toBeGreaterThan(0);
		await ask(third, 3);
		// And the node that left comes back, to a topic that is made anew.
		const [again] = (await cluster.start("n1")) as [LedgerProcess];
		await cluster.settled();
		await ask(again, 4);
		for (const to of LEDGERS) expect(await again.ledger(to)).toMatchObject({ entries: 4, wrong: [] });
	},
	TEST_MS_MAX,
);
