/**
 * One round of the history check: nodes over a new prefix, clients, faults by a seed, and then everything read back.
 * Owns the order of things; the rules are history.ts.
 */

import { Random } from "../../testing/random.ts";
import type { LocalBroker } from "../kit/kafka-brokers.ts";
import { LedgerCluster, type LedgerClusterOptions } from "../kit/ledger-cluster.ts";
import { Faults } from "./faults.ts";
import { violations } from "./history.ts";
import { readBack } from "./read-back.ts";
import { scheduleOf } from "./schedule.ts";
import { pause, Workload } from "./workload.ts";

const NODES = 3;
const CLIENTS = 4;
const PARTITIONS = 4;
/** As nodes may be configured; rounds take turns. Where nodes watch each other, some are taken for dead that are only slow. */
const PROFILES: readonly Omit<LedgerClusterOptions, "brokers">[] = [
	{},
	{ takeoverAfterMs: 1_500 },
	{ standbyReplicas: 1 },
	{ client: "platformatic" },
	{ client: "platformatic", takeoverAfterMs: 1_500, standbyReplicas: 1 },
];
/** Faults begin for so long, milliseconds. */
const FAULTS_MS = 9_000;
/** Calm between the last fault and the last command, milliseconds. */
const CALM_MS = 500;

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
	const profile = PROFILES[seed % PROFILES.length];
	const cluster = new LedgerCluster({ brokers: broker.brokers, partitions: PARTITIONS, ...profile });
	const workload = new Workload(cluster, new Random(seed ^ 0x5eed));
	const faults = new Faults(cluster, strikeBroker ? broker : undefined);
	try {
		await cluster.start(...Array.from({ length: NODES }, (_, i) => `n${i + 1}`));
		workload.begin(CLIENTS);
		await faults.play(schedule);
		await pause(CALM_MS);
		await workload.end();
		const history = await readBack(cluster, workload.calls);
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
		await cluster.remove();
	}
}

/** In the order of time, each with its process. */
function linesOf({ processes }: LedgerCluster): string[] {
	return processes
		.flatMap(({ id, pid, lines }) =>
			lines.map((line) => `${line.slice(0, 24)} ${id}(${pid}) ${line.slice(25)}`),
		)
		.sort();
}
