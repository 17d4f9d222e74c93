/**
 * Reads a cluster of ledgers back when clients have stopped: what each live node says, what the log says, and what a new
 * node makes of what the others leave behind. Owns the coming to rest; the rules are history.ts.
 */
import { type LogRecord, partitionName } from "../../persistence/log.ts";
import { KafkaLog } from "../../persistence/log-kafka.ts";
import type { Address } from "../../runtime/address.ts";
import { scan } from "../../runtime/fold.ts";
import { replay } from "../../runtime/replay.ts";
import { MAILBOX_TOPICS } from "../../runtime/topics.ts";
import { type LedgerState, ledgerBehaviours } from "../kit/ledger.ts";
import type { LedgerCluster, LedgerProcess } from "../kit/ledger-cluster.ts";
import { addressesIn, type ClientCall, type History, type SeenState, unfinished } from "./history.ts";
import { pause } from "./workload.ts";

/** How long the last bells may take to ring and the last entries to be passed on, and between two looks, milliseconds. */
const QUIET_MS_MAX = 30_000;
const QUIET_LOOK_MS = 200;
/** A query's answer, and the nodes' coming to rest, milliseconds. */
const QUERY_MS_MAX = 30_000;
const STUCK_MS_MAX = 60_000;

/** Ends every node of the cluster but a new one, the heir. */
export async function readBack(cluster: LedgerCluster, calls: readonly ClientCall[]): Promise<History> {
	await cluster.settled(STUCK_MS_MAX);
	const { partitions } = cluster;
	return withLog(cluster, async (log) => {
		const mailboxes = () => mailboxesOf(log, partitions);
		for (const since = Date.now(); unfinished(await mailboxes()).length > 0; ) {
			if (Date.now() - since > QUIET_MS_MAX) break;
			await pause(QUIET_LOOK_MS);
		}
		const addresses = addressesIn(await mailboxes());
		const live = await Promise.all(cluster.current.map((process) => statesAt(process, addresses)));
		const replayed = await Promise.all(addresses.map((address) => replayOf(log, partitions, address)));
		// One that has seen nothing takes everything over.
		await Promise.all(cluster.alive.map((process) => process.stop()));
		const heir = await cluster.spawn("heir", cluster.newDisk()).started();
		await cluster.settled(STUCK_MS_MAX);
		const inherited = await statesAt(heir, addresses);
		const states = [...live.flat(), ...replayed, ...inherited];
		return { mailboxes: await mailboxes(), partitions, calls, states };
	});
}

/** A log of the cluster's topics for somebody who is no node. */
export async function withLog<Result>(
	{ brokers, prefix }: LedgerCluster,
	use: (log: KafkaLog) => Promise<Result>,
): Promise<Result> {
	const log = new KafkaLog({ brokers: brokers.split(","), prefix, clientId: "outside" });
	try {
		await log.open([]);
		return await use(log);
	} finally {
		await log.close(5_000);
	}
}

async function statesAt(process: LedgerProcess, addresses: readonly Address[]): Promise<SeenState[]> {
	return Promise.all(
		addresses.map(async (address) => {
			return { where: process.name, address, state: await process.ledger(address, QUERY_MS_MAX) };
		}),
	);
}

async function replayOf(log: KafkaLog, partitions: number, address: Address): Promise<SeenState> {
	const behaviours = new Map(ledgerBehaviours.map((behaviour) => [behaviour.type, behaviour]));
	const { value } = await replay({ log, behaviours, partitions }, address);
	return { where: "a replay", address, state: value as LedgerState };
}

export async function mailboxesOf(
	log: KafkaLog,
	partitions: number,
): Promise<Map<string, readonly LogRecord[]>> {
	const mailboxes = new Map<string, readonly LogRecord[]>();
	for (const topic of MAILBOX_TOPICS) {
		for (let partition = 0; partition < partitions; partition++) {
			const id = { topic, partition };
			const { start, end } = await log.bounds(id);
			const records: LogRecord[] = [];
			for await (const page of scan(log, id, start, end)) records.push(...page);
			mailboxes.set(partitionName(id), records);
		}
	}
	return mailboxes;
}
