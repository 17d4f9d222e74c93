/**
 * Starts a node of tallies on a log without snapshots and waits until it is ready. Owns the removal of snapshots that
 * the round before has left. Prints one line of JSON.
 */
import { randomUUID } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { SqliteLog } from "../persistence/log-sqlite.ts";
import { SqliteSnapshots } from "../persistence/snapshots-sqlite.ts";
import { Node } from "../runtime/node.ts";
import { failingLogger } from "./failing-logger.ts";
import { tallyBehaviour } from "./tally.ts";

export interface RecoverResult {
	readonly records: number;
	readonly seconds: number;
}

const { directory, partitions } = JSON.parse(process.argv[2] as string) as {
	directory: string;
	partitions: number;
};
for (const end of ["", "-wal", "-shm"]) rmSync(join(directory, `snapshots.db${end}`), { force: true });

const since = performance.now();
const node = new Node({
	id: "bench",
	boot: randomUUID(),
	log: new SqliteLog({ directory, durability: "power" }),
	snapshots: new SqliteSnapshots({ directory }),
	behaviours: [tallyBehaviour],
	partitions,
	outlets: { deliver: () => {}, signal: () => {} },
	logger: failingLogger,
	cluster: false,
});
await node.start();
while (!node.ready) await new Promise((resolve) => setTimeout(resolve, 1));
const seconds = (performance.now() - since) / 1000;
const records = node.metrics.command;
await node.stop(10_000);
process.stdout.write(`${JSON.stringify({ records, seconds } satisfies RecoverResult)}\n`);
