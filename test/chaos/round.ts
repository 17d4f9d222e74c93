/**
 * One round of the history check: nodes over a new prefix, clients, faults by a seed, and then everything read back.
 * Owns the order of things; the rules are history.ts.
 */
import { type LogRecord, partitionName } from "../../persistence/log.ts";
import { KafkaLog } from "../../persistence/log-kafka.ts";
import type { Address } from "../../runtime/address.ts";
import { scan } from "../../runtime/fold.ts";
import { replay } from "../../runtime/replay.ts";
import { MAILBOX_TOPICS } from "../../runtime/topics.ts";
import type { LocalBroker } from "../kit/kafka-brokers.ts";
import { type LedgerState, ledgerBehaviours } from "../kit/ledger.ts";
import { LedgerCluster, type LedgerProcess } from "../kit/ledger-cluster.ts";
import { Random } from "../kit/random.ts";
import { Faults } from "./faults.ts";
import { addressesIn, type History, type SeenState, unfinished, violations } from "./history.ts";
import { scheduleOf } from "./schedule.ts";
import { pause, Workload } from "./workload.ts";

const NODES = 3;
const CLIENTS = 4;
const PARTITIONS = 4;
/** Faults begin for so long, milliseconds. */
const FAULTS_MS = 9_000;
/** Calm between the last fault and the last command, milliseconds. */
const CALM_MS = 500;
/** How long the last bells may take to ring and the last entries to be passed on, and between two looks, milliseconds. */
const QUIET_MS_MAX = 30_000;
const QUIET_LOOK_MS = 200;
/** A query's answer, and the nodes' coming to rest, milliseconds. */
const QUERY_MS_MAX = 30_000;
const STUCK_MS_MAX = 60_000;

export interface RoundReport {
	readonly seed: number;
	readonly violations: readonly string[];
	/** How often each kind of fault struck. */
	readonly faults: Readonly<Record<string, number>>;
	readonly commands: number;
	readonly acknowledged: number;
	/** In all mailboxes. */
	readonly records: number;
	/** What every process said, to explain a violation. */
	readonly lines: readonly string[];
}

export interface RoundOptions {
	/** Of the round alone. Its faults strike it only with `strikeBroker`. */
	readonly broker: LocalBroker;
	readonly strikeBroker: boolean;
	readonly faultsMs?: number;
}

export async function playRound(seed: number, options: RoundOptions): Promise<RoundReport> {
	const { broker, strikeBroker, faultsMs = FAULTS_MS } = options;
	// What clients do next depends on answers, so they draw from a source of their own: the schedule stays the seed's.
	const schedule = scheduleOf(new Random(seed), { forMs: faultsMs, broker: strikeBroker });
	const cluster = new LedgerCluster({ brokers: broker.brokers, partitions: PARTITIONS });
	const workload = new Workload(cluster, new Random(seed ^ 0x5eed));
	const faults = new Faults(cluster, strikeBroker ? broker : undefined);
	const log = new KafkaLog({ brokers: [broker.brokers], prefix: cluster.prefix, clientId: "checker" });
	try {
		await cluster.start(...Array.from({ length: NODES }, (_, i) => `n${i + 1}`));
		workload.begin(CLIENTS);
		await faults.play(schedule);
		await pause(CALM_MS);
		await workload.end();
		await log.open([]);
		const history = await read(cluster, workload, log);
		const stuck = workload.unanswered.map((what) => `stuck: ${what} was never answered`);
		return {
			seed,
			violations: [...stuck, ...violations(history)],
			faults: faults.struck,
			commands: workload.calls.length,
			acknowledged: workload.calls.filter(({ outcome }) => outcome !== "unknown").length,
			records: [...history.mailboxes.values()].reduce((sum, records) => sum + records.length, 0),
			lines: linesOf(cluster),
		};
	} catch (error) {
		const text = `the round did not come to its end: ${(error as Error).stack}`;
		const { calls } = workload;
		const none = { faults: faults.struck, commands: calls.length, acknowledged: 0, records: 0 };
		return { seed, violations: [text], ...none, lines: linesOf(cluster) };
	} finally {
		await log.close(5_000);
		await cluster.remove();
	}
}

/** Everything quiet: what each live node says, what the log says, and what a new node makes of both. */
async function read(cluster: LedgerCluster, workload: Workload, log: KafkaLog): Promise<History> {
	await cluster.settled(STUCK_MS_MAX);
	for (const since = Date.now(); unfinished(await mailboxesOf(log)).length > 0; ) {
		if (Date.now() - since > QUIET_MS_MAX) break;
		await pause(QUIET_LOOK_MS);
	}
	const addresses = addressesIn(await mailboxesOf(log));
	const live = await Promise.all(cluster.current.map((process) => statesAt(process, addresses)));
	const replayed = await Promise.all(addresses.map((address) => replayOf(log, address)));
	// One that has seen nothing takes everything over, from what the others leave behind.
	await Promise.all(cluster.alive.map((process) => process.stop()));
	const heir = await cluster.spawn("heir", cluster.newDisk()).started();
	await cluster.settled(STUCK_MS_MAX);
	const inherited = await statesAt(heir, addresses);
	return {
		mailboxes: await mailboxesOf(log),
		partitions: PARTITIONS,
		calls: workload.calls,
		states: [...live.flat(), ...replayed, ...inherited],
	};
}

async function statesAt(process: LedgerProcess, addresses: readonly Address[]): Promise<SeenState[]> {
	const event = { type: "state" };
	return Promise.all(
		addresses.map(async (address) => {
			const query = { op: "query", to: address, event, timeoutMs: QUERY_MS_MAX } as const;
			return { where: process.name, address, state: await process.must<LedgerState>(query) };
		}),
	);
}

async function replayOf(log: KafkaLog, address: Address): Promise<SeenState> {
	const behaviours = new Map(ledgerBehaviours.map((behaviour) => [behaviour.type, behaviour]));
	const { value } = await replay({ log, behaviours, partitions: PARTITIONS }, address);
	return { where: "a replay", address, state: value as LedgerState };
}

async function mailboxesOf(log: KafkaLog): Promise<Map<string, readonly LogRecord[]>> {
	const mailboxes = new Map<string, readonly LogRecord[]>();
	for (const topic of MAILBOX_TOPICS) {
		for (let partition = 0; partition < PARTITIONS; partition++) {
			const id = { topic, partition };
			const { start, end } = await log.bounds(id);
			const records: LogRecord[] = [];
			for await (const page of scan(log, id, start, end)) records.push(...page);
			mailboxes.set(partitionName(id), records);
		}
	}
	return mailboxes;
}

/** In the order of time, each with its process. */
function linesOf({ processes }: LedgerCluster): string[] {
	return processes
		.flatMap(({ id, pid, lines }) =>
			lines.map((line) => `${line.slice(0, 24)} ${id}(${pid}) ${line.slice(25)}`),
		)
		.sort();
}
