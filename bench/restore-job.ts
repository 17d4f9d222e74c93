/**
 * Either makes a data directory with many turnstiles that have a history and a snapshot, or starts a node on a copy of
 * one and asks every actor for its state. Prints one line of JSON.
 */
import { SqliteLog } from "../persistence/log-sqlite.ts";
import { SqliteSnapshots } from "../persistence/snapshots-sqlite.ts";
import { createNode } from "../runtime/index.ts";
import { failingLogger } from "./failing-logger.ts";
import { ROUND, turnstile } from "./turnstile.ts";

export interface RestoreParameters {
	readonly directory: string;
	readonly actors: number;
	readonly what: "make" | "restore";
}

export interface RestoreResult {
	/** From opening log and snapshots, milliseconds. */
	readonly readyMs: number;
	readonly answeredMs: number;
}

/** Messages under way; well below the queue of one partition. */
const WINDOW = 5_000;

const { directory, actors, what } = JSON.parse(process.argv[2] as string) as RestoreParameters;
const since = performance.now();
const node = createNode({
	log: new SqliteLog({ directory, durability: what === "make" ? "process" : "power" }),
	snapshots: new SqliteSnapshots({ directory }),
	actors: [turnstile()],
	logger: failingLogger,
});
await node.start();
const readyMs = performance.now() - since;
const ref = (i: number) => node.ref("turnstile", `t${i}`);

if (what === "make") {
	for (const event of ROUND) await all(async (i) => void (await ref(i).tell(event)));
} else {
	await all(async (i) => {
		const { context, value } = await ref(i).state();
		if (context.passed !== 1) throw new Error(`t${i} came back ${value}, ${context.passed} have passed`);
	});
	const { activations, command } = node.node.metrics;
	if (command > 0 || activations !== actors) {
		throw new Error(`${command} messages were folded and ${activations} of ${actors} snapshots taken`);
	}
}
const answeredMs = performance.now() - since;
await node.stop(60_000);
process.stdout.write(`${JSON.stringify({ readyMs, answeredMs } satisfies RestoreResult)}\n`);

/** Each actor once, a window of them at a time. */
async function all(one: (i: number) => Promise<void>): Promise<void> {
	let next = 0;
	const turns = Array.from({ length: Math.min(WINDOW, actors) }, async () => {
		while (next < actors) await one(next++);
	});
	await Promise.all(turns);
}
