/**
 * A node that dies at a certain place in the handling of one command, and a record that is in the log twice: the effect
 * is in the state exactly once. On a real broker, in processes that kill themselves at the place that is meant.
 */
import { expect, test } from "vitest";
import { partitionName } from "../../persistence/log.ts";
import { type ClientCall, violations } from "../chaos/history.ts";
import { readBack, withLog } from "../chaos/read-back.ts";
import type { LedgerCluster, LedgerProcess } from "../kit/ledger-cluster.ts";
import type { DeathPoint } from "../kit/ledger-protocol.ts";
import {
	commandDraft,
	entryOf,
	ledgerCluster,
	ledgersIn,
	mailboxOf,
	outsideRecord,
	ownerOf,
} from "../kit/ledger-stage.ts";

const TEST_MS_MAX = 120_000;
/** In two partitions, so that what is passed on is an output to another mailbox. */
const [FROM, TO] = [ledgersIn(["actors/0"], 1)[0], ledgersIn(["actors/1"], 1)[0]] as [string, string];
const POINTS: readonly DeathPoint[] = [
	"received",
	"half-handled",
	"effect-done",
	"snapshot-shared",
	"snapshot-written",
];

async function expectOnce(cluster: LedgerCluster, ids: readonly string[]): Promise<void> {
	const calls = ids.map((id): ClientCall => ({ id, to: FROM, kind: "entry", outcome: "accepted" }));
	expect(violations(await readBack(cluster, calls))).toEqual([]);
}

/** One entry before, the one that kills, one after; what each process makes of them. */
async function dieAt(point: DeathPoint, cluster: LedgerCluster): Promise<LedgerProcess> {
	const owner = await ownerOf(cluster, FROM);
	const sender = cluster.running.find((process) => process !== owner) ?? owner;
	const tell = (id: string, n: number) =>
		sender.must({ op: "tell", to: FROM, event: entryOf(id, n, { onward: [TO] }), timeoutMs: 60_000 });
	await tell("before", 1);
	await owner.dieAt(point, "deadly");
	if (sender === owner) {
		// Its acknowledgement may die with it.
		void sender.call({
			op: "tell",
			to: FROM,
			event: entryOf("deadly", 2, { onward: [TO] }),
			timeoutMs: 60_000,
		});
	} else await tell("deadly", 2);
	await owner.ended;
	return owner;
}

test.each(POINTS)(
	"scenario 31: kill -9 at %s; another node takes over, and the command is in the states exactly once",
	async (point) => {
		const cluster = ledgerCluster();
		await cluster.start("n1", "n2");
		await dieAt(point, cluster);
		const [heir] = cluster.running as [LedgerProcess];
		await heir.must({ op: "ask", to: FROM, event: entryOf("after", 3, { onward: [TO] }), timeoutMs: 60_000 });
		expect(await heir.ledger(FROM)).toMatchObject({ entries: 3, heard: { sender: 3 }, sent: { [TO]: 3 } });
		await expectOnce(cluster, ["before", "deadly", "after"]);
	},
	TEST_MS_MAX,
);

test.each(POINTS)(
	"scenario 31: kill -9 at %s; the node starts again on its own disk, and the command is in the states exactly once",
	async (point) => {
		const cluster = ledgerCluster();
		await cluster.start("n1");
		const dead = await dieAt(point, cluster);
		const [again] = (await cluster.start("n1")) as [LedgerProcess];
		expect(again.disk).toBe(dead.disk);
		await again.must({
			op: "ask",
			to: FROM,
			event: entryOf("after", 3, { onward: [TO] }),
			timeoutMs: 60_000,
		});
		expect(await again.ledger(FROM)).toMatchObject({ entries: 3, heard: { sender: 3 }, sent: { [TO]: 3 } });
		await expectOnce(cluster, ["before", "deadly", "after"]);
	},
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
