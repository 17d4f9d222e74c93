/**
 * A node that dies at a certain place in the handling of one command, and what the states are afterwards, whoever goes on.
 * Owns the two ways on; on a real broker, in processes that kill themselves at the place that is meant.
 */
import { expect } from "vitest";
import { type ClientCall, violations } from "../chaos/history.ts";
import { readBack } from "../chaos/read-back.ts";
import type { LedgerCluster, LedgerProcess } from "./ledger-cluster.ts";
import type { DeathPoint } from "./ledger-protocol.ts";
import { entryOf, ledgerCluster, ledgersIn, ownerOf } from "./ledger-stage.ts";

/** In two partitions, so that what is passed on is an output to another mailbox. */
export const [FROM, TO] = [ledgersIn(["actors/0"], 1)[0], ledgersIn(["actors/1"], 1)[0]] as [string, string];
export const POINTS: readonly DeathPoint[] = [
	"received",
	"half-handled",
	"effect-done",
	"snapshot-shared",
	"snapshot-written",
];
/** Milliseconds. */
const ASK_MS_MAX = 60_000;

export async function expectOnce(cluster: LedgerCluster, ids: readonly string[]): Promise<void> {
	const calls = ids.map((id): ClientCall => ({ id, to: FROM, kind: "entry", outcome: "accepted" }));
	expect(violations(await readBack(cluster, calls))).toEqual([]);
}

/** One entry before, the one that kills, one after; what each process makes of them. */
async function dieAt(point: DeathPoint, cluster: LedgerCluster): Promise<LedgerProcess> {
	const owner = await ownerOf(cluster, FROM);
	const sender = cluster.running.find((process) => process !== owner) ?? owner;
	const tell = (id: string, n: number) =>
		sender.must({ op: "tell", to: FROM, event: entryOf(id, n, { onward: [TO] }), timeoutMs: ASK_MS_MAX });
	await tell("before", 1);
	await owner.dieAt(point, "deadly");
	if (sender === owner) {
		// Its acknowledgement may die with it.
		void sender.call({
			op: "tell",
			to: FROM,
			event: entryOf("deadly", 2, { onward: [TO] }),
			timeoutMs: ASK_MS_MAX,
		});
	} else await tell("deadly", 2);
	await owner.ended;
	return owner;
}

/** The owner dies, another node has its partitions. */
export async function anotherTakesOver(point: DeathPoint): Promise<void> {
	const cluster = ledgerCluster();
	await cluster.start("n1", "n2");
	await dieAt(point, cluster);
	const [heir] = cluster.running as [LedgerProcess];
	await expectGoesOn(cluster, heir);
}

/** The only node dies, and starts again on its own disk. */
export async function startsAgain(point: DeathPoint): Promise<void> {
	const cluster = ledgerCluster();
	await cluster.start("n1");
	const dead = await dieAt(point, cluster);
	const [again] = (await cluster.start("n1")) as [LedgerProcess];
	expect(again.disk).toBe(dead.disk);
	await expectGoesOn(cluster, again);
}

async function expectGoesOn(cluster: LedgerCluster, node: LedgerProcess): Promise<void> {
	const event = entryOf("after", 3, { onward: [TO] });
	await node.must({ op: "ask", to: FROM, event, timeoutMs: ASK_MS_MAX });
	expect(await node.ledger(FROM)).toMatchObject({ entries: 3, heard: { sender: 3 }, sent: { [TO]: 3 } });
	await expectOnce(cluster, ["before", "deadly", "after"]);
}
