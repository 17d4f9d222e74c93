/**
 * A cluster of ledger processes for one test, and the sending and checking that tests of failover share. Owns its
 * removal after the test.
 */
import { Kafka, logLevel } from "kafkajs";
import { inject, onTestFinished } from "vitest";
import { type LogRecord, type NewRecord, partitionName } from "../../persistence/log.ts";
import { type Address, partitionOf, typeOf } from "../../runtime/address.ts";
import { type Draft, encodeBody, recordOf } from "../../runtime/message.ts";
import { nodeTopic } from "../../runtime/topics.ts";
import { type Entry, ledgerBehaviours } from "./ledger.ts";
import { LedgerCluster, type LedgerClusterOptions, type LedgerProcess } from "./ledger-cluster.ts";

export const PARTITIONS = 4;

/** Over the broker of the test run; removed, with all its processes, when the test is over. */
export function ledgerCluster(options: Omit<LedgerClusterOptions, "brokers"> = {}): LedgerCluster {
	const cluster = new LedgerCluster({ brokers: inject("kafkaBrokers"), partitions: PARTITIONS, ...options });
	onTestFinished(() => cluster.remove());
	return cluster;
}

export function mailboxOf(address: Address, partitions = PARTITIONS): { topic: string; partition: number } {
	const behaviour = ledgerBehaviours.find(({ type }) => type === typeOf(address));
	if (!behaviour) throw new Error(`${address} is no ledger`);
	return { topic: behaviour.topic, partition: partitionOf(address, partitions) };
}

/** `count` ledgers whose mailboxes lie in the given partitions of `actors`. */
export function ledgersIn(partitions: readonly string[], count: number, of = PARTITIONS): Address[] {
	const found: Address[] = [];
	for (let i = 0; found.length < count; i++) {
		if (partitions.includes(partitionName(mailboxOf(`ledger/t${i}`, of)))) found.push(`ledger/t${i}`);
	}
	return found;
}

/** The process that owns an address's mailbox, once one does. */
export async function ownerOf(cluster: LedgerCluster, address: Address): Promise<LedgerProcess> {
	await cluster.settled();
	const owner = await cluster.ownerOf(partitionName(mailboxOf(address, cluster.partitions)));
	if (!owner) throw new Error(`nobody owns the mailbox of ${address}`);
	return owner;
}

export function entryOf(id: string, n: number, more: Partial<Entry> = {}): Entry {
	return { type: "entry", id, sender: "sender", n, amount: 1, onward: [], ...more };
}

/** A record as somebody outside the nodes appends it, for the process named `source` as its `major`-th. */
export function outsideRecord(draft: Draft, source: string, major: number): NewRecord {
	return recordOf(draft, { source, major, minor: 0 }, Date.now());
}

export function commandDraft(to: Address, event: Entry): Draft {
	return { to, kind: "command", type: event.type, body: encodeBody(event) };
}

export function idsIn(records: readonly LogRecord[], address: Address, type: string): number {
	return records.filter(({ key, headers }) => key === address && headers["~t"] === type).length;
}

/** As a survivor does some ten minutes after a node has left (runtime/node-topics.ts). */
export async function removeNodeTopic({ brokers, prefix }: LedgerCluster, id: string): Promise<void> {
	const admin = new Kafka({ brokers: brokers.split(","), logLevel: logLevel.NOTHING }).admin();
	await admin.connect();
	await admin.deleteTopics({ topics: [`${prefix}.${nodeTopic(id).name}`] });
	await admin.disconnect();
}
