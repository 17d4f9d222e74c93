/**
 * All nodes down, snapshots gone or damaged, calls that nobody waits for any more: what the nodes make of it when they
 * start again. On a real broker.
 */
import { join } from "node:path";
import Database from "better-sqlite3";
import { Kafka, logLevel } from "kafkajs";
import { expect, test } from "vitest";
import { SNAPSHOTS_TOPIC } from "../../persistence/shared-snapshots.ts";
import { type ClientCall, violations } from "../chaos/history.ts";
import { mailboxesOf, readBack, withLog } from "../chaos/read-back.ts";
import type { LedgerCluster, LedgerProcess } from "../kit/ledger-cluster.ts";
import {
	commandDraft,
	entryOf,
	idsIn,
	ledgerCluster,
	ledgersIn,
	mailboxOf,
	outsideRecord,
	PARTITIONS,
} from "../kit/ledger-stage.ts";

const TEST_MS_MAX = 120_000;
const [A, B] = [ledgersIn(["actors/0"], 1)[0], ledgersIn(["actors/1"], 1)[0]] as [string, string];
const ENTRIES = 20;

function accepted(ids: readonly string[]): ClientCall[] {
	return ids.map((id) => ({ id, to: A, kind: "entry", outcome: "accepted" }));
}

/** Entries at A that are passed on to B, with their snapshots stored. */
async function withHistory(cluster: LedgerCluster): Promise<{ node: LedgerProcess; ids: string[] }> {
	const [node] = (await cluster.start("n1")) as [LedgerProcess];
	const ids = Array.from({ length: ENTRIES }, (_, i) => `e${i + 1}`);
	for (const [i, id] of ids.entries()) {
		await node.must({ op: "ask", to: A, event: entryOf(id, i + 1, { onward: [B] }), timeoutMs: 30_000 });
	}
	await node.until(({ checkpoints, outputs }) => checkpoints > 0 && outputs === ENTRIES, "done");
	return { node, ids };
}

test(
	"scenario 32: 100 commands that were produced while all nodes were down are applied, in order, when nodes start",
	async () => {
		const cluster = ledgerCluster();
		const nodes = await cluster.start("n1", "n2");
		await nodes[0]?.must({ op: "ask", to: A, event: entryOf("first", 1), timeoutMs: 30_000 });
		await Promise.all(nodes.map((node) => node.kill9()));
		const ids = Array.from({ length: 100 }, (_, i) => `down-${i}`);
		await withLog(cluster, async (log) => {
			for (const [i, id] of ids.entries()) {
				const record = outsideRecord(commandDraft(A, entryOf(id, i + 2)), "outside~1", i + 1);
				await log.append(mailboxOf(A), [record]);
			}
		});
		const [again] = (await cluster.start("n3", "n4")) as [LedgerProcess];
		expect(await again.ledger(A)).toMatchObject({ entries: 101, heard: { sender: 101 }, wrong: [] });
		expect(violations(await readBack(cluster, accepted(["first", ...ids])))).toEqual([]);
	},
	TEST_MS_MAX,
);

test(
	"scenario 36: with every snapshot wiped, on disk and in the shared topic, the states come back from the log, and what it repeats towards others has no effect",
	async () => {
		const cluster = ledgerCluster();
		const { node, ids } = await withHistory(cluster);
		const before = [await node.ledger(A), await node.ledger(B)];
		await node.stop();
		const kafka = new Kafka({ brokers: [cluster.brokers], logLevel: logLevel.NOTHING });
		const admin = kafka.admin();
		await admin.connect();
		await admin.deleteTopics({ topics: [`${cluster.prefix}.${SNAPSHOTS_TOPIC}`] });
		await admin.disconnect();
		const again = await cluster.spawn("n1", cluster.newDisk()).started();
		await again.until(({ ready, duplicates }) => ready && duplicates >= ENTRIES, "through with the repeats");
		expect([await again.ledger(A), await again.ledger(B)]).toEqual(before);
		// They were made again, lie in the mailbox again, and were dropped there.
		await withLog(cluster, async (log) => {
			const records = (await mailboxesOf(log, PARTITIONS)).get("actors/1") ?? [];
			expect(idsIn(records, B, "passed")).toBe(2 * ENTRIES);
		});
		expect(violations(await readBack(cluster, accepted(ids)))).toEqual([]);
	},
	TEST_MS_MAX,
);

test(
	"scenario 37: a damaged snapshot row is noticed and rebuilt from the log, never used",
	async () => {
		const cluster = ledgerCluster();
		const { node, ids } = await withHistory(cluster);
		const before = await node.ledger(A);
		await node.stop();
		damage(join(cluster.directory, node.disk, "snapshots.db"), A);
		const [again] = (await cluster.start("n1")) as [LedgerProcess];
		expect(await again.ledger(A)).toEqual(before);
		expect((await again.status()).snapshotsRebuilt).toBe(1);
		expect(again.lines.join("\n")).toMatch(/checksum|snapshot/i);
		expect(violations(await readBack(cluster, accepted(ids)))).toEqual([]);
	},
	TEST_MS_MAX,
);

test(
	"scenario 37: snapshots older than what the log still holds are refused aloud, and used only if that is accepted",
	async () => {
		const cluster = ledgerCluster();
		const { node } = await withHistory(cluster);
		const before = await node.ledger(A);
		await node.stop();
		await withLog(cluster, async (log) => {
			await log.append(mailboxOf(A), [outsideRecord(commandDraft(A, entryOf("gone", 99)), "outside~1", 1)]);
		});
		const kafka = new Kafka({ brokers: [cluster.brokers], logLevel: logLevel.NOTHING });
		const admin = kafka.admin();
		await admin.connect();
		const topic = `${cluster.prefix}.${mailboxOf(A).topic}`;
		const partitions = [{ partition: mailboxOf(A).partition, offset: "-1" }];
		// kafkajs wants to have looked the topic up.
		await admin.fetchTopicOffsets(topic);
		await admin.deleteTopicRecords({ topic, partitions });
		await admin.disconnect();

		const refused = cluster.spawn("n1");
		await expect
			.poll(() => refused.lines.join("\n"), { timeout: TEST_MS_MAX / 2 })
			.toMatch(
				/actors\/0 begins at offset \d+ in the log and its snapshots are as of \d+: \d+ records are gone/,
			);
		await refused.kill9();
		const consenting = await cluster.spawn("n1", "n1", true).started();
		expect(await consenting.ledger(A)).toEqual(before);
		expect(consenting.lines.join("\n")).toContain("the log dropped records before they were folded");
	},
	TEST_MS_MAX,
);

test(
	"scenario 40: a call that expired in the mailbox is not executed when a node reaches it after an outage, and is counted as expired",
	async () => {
		const cluster = ledgerCluster();
		const [node] = (await cluster.start("n1", "n2")) as [LedgerProcess];
		await node.must({ op: "ask", to: A, event: entryOf("e1", 1), timeoutMs: 30_000 });
		await Promise.all(cluster.alive.map((process) => process.kill9()));
		const expiresAt = Date.now() + 500;
		const replyTo = { node: node.name, ask: "1" };
		const draft = { to: A, kind: "query", type: "state", body: new Uint8Array(), replyTo } as const;
		await withLog(cluster, async (log) => {
			const calls = [
				outsideRecord({ ...draft, expiresAt }, "outside~1", 1),
				outsideRecord({ ...draft, expiresAt: Date.now() + 3_600_000 }, "outside~1", 2),
			];
			await log.append(mailboxOf(A), calls);
		});
		const [again] = (await cluster.start("n3")) as [LedgerProcess];
		expect(Date.now()).toBeGreaterThan(expiresAt);
		await again.until(({ queries }) => queries === 1, "through with the call that still counts");
		expect(await again.status()).toMatchObject({ expired: 1 });
	},
	TEST_MS_MAX,
);

function damage(file: string, address: string): void {
	const database = new Database(file);
	const { changes } = database
		.prepare("UPDATE snapshots SET state = replace(state, '\"entries\":', '\"entries\":1') WHERE address = ?")
		.run(address);
	database.close();
	expect(changes).toBe(1);
}
