/**
 * Makes very many turnstiles on one node, lets them leave memory, and then asks one after the other that sleeps. Owns
 * the sequence; everything is in this one process. Prints one line of JSON.
 */
import { SqliteLog } from "../persistence/log-sqlite.ts";
import { SqliteSnapshots } from "../persistence/snapshots-sqlite.ts";
import { createNode } from "../runtime/index.ts";
import { failingLogger } from "./failing-logger.ts";
import { quantile } from "./figures.ts";
import { collectGarbage } from "./garbage.ts";
import { residentKb } from "./processes.ts";
import { ROUND, turnstile } from "./turnstile.ts";

export interface SleepersParameters {
	readonly directory: string;
	readonly actors: number;
	/** Asked one at a time, each chosen by chance among all. */
	readonly asks: number;
}

export interface SleepersResult {
	readonly madePerSecond: number;
	/** All of them asleep and garbage collected, KB. */
	readonly resident: number;
	/** Highest since the process began, KB. */
	readonly residentMost: number;
	/** First messages, milliseconds. */
	readonly p50: number;
	readonly p99: number;
}

/** Messages under way while actors are made; well below the queue of one partition. */
const WINDOW = 5_000;
/** Without a message after which an actor leaves memory, milliseconds. */
const PASSIVATE_MS = 100;
const LOOK_MS = 100;
/** Seconds until the last one must have left. */
const ASLEEP_SECONDS_MAX = 120;
const COLLECTIONS = 3;
const GIVE_BACK_MS = 1_000;

const { directory, actors, asks } = JSON.parse(process.argv[2] as string) as SleepersParameters;
const node = createNode({
	log: new SqliteLog({ directory, durability: "power" }),
	snapshots: new SqliteSnapshots({ directory }),
	actors: [turnstile(PASSIVATE_MS)],
	logger: failingLogger,
});
await node.start();
const ref = (i: number) => node.ref("turnstile", `t${i}`);

let residentMost = 0;
const since = performance.now();
for (let from = 0; from < actors; from += WINDOW) {
	const count = Math.min(WINDOW, actors - from);
	await Promise.all(Array.from({ length: count }, (_, i) => ref(from + i).tell(ROUND[0])));
	residentMost = Math.max(residentMost, residentKb(process.pid));
}
const madePerSecond = (actors / (performance.now() - since)) * 1000;

const inMemory = () => node.node.partitions.reduce((sum, partition) => sum + partition.actorsInMemory, 0);
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
for (let i = 0; inMemory() > 0; i++) {
	if (i * LOOK_MS > ASLEEP_SECONDS_MAX * 1000) throw new Error(`${inMemory()} actors do not leave memory`);
	await pause(LOOK_MS);
}
const { activations } = node.node.metrics;
if (activations < actors) throw new Error(`${activations} of ${actors} actors were made`);
residentMost = Math.max(residentMost, residentKb(process.pid));
for (let i = 0; i < COLLECTIONS; i++) {
	collectGarbage();
	// Pages are given back by another thread.
	await pause(GIVE_BACK_MS);
}
const resident = residentKb(process.pid);

const latencies: number[] = [];
for (const i of sleepers()) {
	const asked = performance.now();
	const passed = await ref(i).ask({ type: "count" });
	latencies.push(performance.now() - asked);
	if (passed !== 0) throw new Error(`t${i} says that ${passed} have passed`);
}
latencies.sort((a, b) => a - b);
if (node.node.metrics.activations !== activations + asks) throw new Error("some of them did not sleep");
const result: SleepersResult = {
	madePerSecond,
	resident,
	residentMost,
	p50: quantile(latencies, 0.5),
	p99: quantile(latencies, 0.99),
};
await node.stop(60_000);
process.stdout.write(`${JSON.stringify(result)}\n`);

/** None twice. */
function sleepers(): Set<number> {
	const chosen = new Set<number>();
	while (chosen.size < asks) chosen.add(Math.floor(Math.random() * actors));
	return chosen;
}
