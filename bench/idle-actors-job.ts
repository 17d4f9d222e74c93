/**
 * Fills a data directory with client actors that have a history and a snapshot, as `mycelog start` finds them. Ends
 * after a clean stop. Prints one line of JSON.
 */
import { randomUUID } from "node:crypto";
import { BEHAVIOURS } from "../cli/behaviours.ts";
import { SqliteLog } from "../persistence/log-sqlite.ts";
import { SqliteSnapshots } from "../persistence/snapshots-sqlite.ts";
import { Node } from "../runtime/node.ts";
import { PARTITIONS_DEFAULT } from "../runtime/topics.ts";
import { failingLogger } from "./failing-logger.ts";

export interface IdleActorsResult {
	/** Snapshots in the directory. */
	readonly actors: number;
}

/** Messages under way while filling; well below the queue of one partition. */
const WINDOW = 5_000;
const PAGE_ADDRESSES = 10_000;

const { directory, actors } = JSON.parse(process.argv[2] as string) as { directory: string; actors: number };
const node = new Node({
	id: "bench",
	boot: randomUUID(),
	log: new SqliteLog({ directory, durability: "process" }),
	snapshots: new SqliteSnapshots({ directory }),
	behaviours: BEHAVIOURS,
	partitions: PARTITIONS_DEFAULT,
	outlets: { deliver: () => {}, signal: () => {} },
	logger: failingLogger,
	cluster: false,
});
await node.start();
for (let from = 0; from < actors; from += WINDOW) {
	const count = Math.min(WINDOW, actors - from);
	const tell = (_: unknown, i: number) =>
		node.tell(`client/ws-${(from + i) % 1000}/client-${from + i}`, {
			type: "client.left",
			connection: "gone",
			acked: -1,
		});
	await Promise.all(Array.from({ length: count }, tell));
}
await node.stop(60_000);

const snapshots = new SqliteSnapshots({ directory, readOnly: true });
let found = 0;
for (let after = ""; ; ) {
	const page = snapshots.addresses({ after, limit: PAGE_ADDRESSES });
	found += page.length;
	after = page.at(-1) ?? after;
	if (page.length < PAGE_ADDRESSES) break;
}
snapshots.close();
process.stdout.write(`${JSON.stringify({ actors: found } satisfies IdleActorsResult)}\n`);
