/**
 * A node that dies at a certain place in the handling of one command, and a record that is in the log twice: the effect
 * is in the state exactly once. Each place with both ways on is test/chaos/death-points.chaos.ts.
 */
import { expect, test } from "vitest";
import { partitionName } from "../../persistence/log.ts";
import { withLog } from "../chaos/read-back.ts";
import { anotherTakesOver, expectOnce, FROM, POINTS, startsAgain, TO } from "../kit/death-points.ts";
import type { LedgerProcess } from "../kit/ledger-cluster.ts";
import { commandDraft, entryOf, ledgerCluster, mailboxOf, outsideRecord } from "../kit/ledger-stage.ts";

const TEST_MS_MAX = 120_000;

/** The one way at some places, the other at the others. */
const taken = POINTS.filter((_, i) => i % 2 === 0);
const again = POINTS.filter((_, i) => i % 2 === 1);

test.each(taken)(
	"scenario 31: kill -9 at %s; another node takes over, and the command is in the states exactly once",
	anotherTakesOver,
	TEST_MS_MAX,
);

test.each(again)(
	"scenario 31: kill -9 at %s; the node starts again on its own disk, and the command is in the states exactly once",
	startsAgain,
	TEST_MS_MAX,
);

test(
	"scenario 34: a record that a producer's retry has put into the log twice has one effect, and so has what it causes",
	async () => {
		const cluster = ledgerCluster();
		const [node] = (await cluster.start("n1")) as [LedgerProcess];
		const records = [1, 2].map((n) =>
			outsideRecord(commandDraft(FROM, entryOf(`e${n}`, n, { onward: [TO] })), "outside~1", n),
		);
		const offsets = await withLog(cluster, async (log) => {
			const mailbox = mailboxOf(FROM);
			return [
				await log.append(mailbox, records),
				await log.append(mailbox, records),
				await log.append(mailbox, records.slice(1)),
			];
		});
		expect(new Set(offsets).size).toBe(3);
		await node.until(({ duplicates }) => duplicates >= 3, "through with the repeats");
		expect(await node.ledger(FROM)).toMatchObject({ entries: 2, sent: { [TO]: 2 }, wrong: [] });
		expect(await node.ledger(TO)).toMatchObject({ entries: 2, heard: { [FROM]: 2 }, wrong: [] });
		expect(partitionName(mailboxOf(FROM))).not.toBe(partitionName(mailboxOf(TO)));
		await expectOnce(cluster, ["e1", "e2"]);
	},
	TEST_MS_MAX,
);
