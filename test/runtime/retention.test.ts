/**
 * Retention and checkpoints together, on the embedded log: a node never finds that the log let go of what it must fold.
 */
import { afterEach, beforeEach, expect, test } from "vitest";
import { SqliteLog } from "../../persistence/log-sqlite.ts";
import { SqliteSnapshots } from "../../persistence/snapshots-sqlite.ts";
import { Node } from "../../runtime/node.ts";
import { CLIENTS_TOPIC } from "../../runtime/topics.ts";
import { counterBehaviour } from "../kit/counter.ts";
import { collectingLogger, temporaryDirectory } from "../kit/runtime-node.ts";

const RETENTION_MS = 60_000;
const LATER = 10 * RETENTION_MS;
const ADDRESS = "counter/a";

let directory: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
	directory = temporaryDirectory();
});
afterEach(() => directory.remove());

/** Its counters' mailboxes are in the topic that has a retention. */
async function start() {
	const log = new SqliteLog({ directory: directory.path, durability: "process" });
	const snapshots = new SqliteSnapshots({ directory: directory.path });
	const logger = collectingLogger();
	const node = new Node({
		id: "n1",
		boot: String(Math.random()),
		log,
		snapshots,
		behaviours: [{ ...counterBehaviour, topic: CLIENTS_TOPIC }],
		partitions: 1,
		outlets: { deliver: () => {}, signal: () => {} },
		logger,
		cluster: false,
		clientsRetentionMs: RETENTION_MS,
	});
	await node.start();
	const mailbox = node.mailbox(ADDRESS);
	const checkpoint = () => node.partitions.find(({ id }) => id.topic === CLIENTS_TOPIC)?.checkpoint();
	return { node, log, logger, mailbox, checkpoint };
}

test("scenario 37: records that no checkpoint covers are kept although older than the retention, and go once one does", async () => {
	const { node, log, mailbox, checkpoint } = await start();
	const add = () => node.ask(ADDRESS, { type: "add", by: 1 }, { kind: "command", timeoutMs: 10_000 });
	await add();
	await add();
	await checkpoint();
	await add();
	await add();
	expect(log.trim(Date.now() + LATER)).toBe(2);
	expect(await log.bounds(mailbox)).toEqual({ start: 2, end: 4 });
	await checkpoint();
	expect(log.trim(Date.now() + LATER)).toBe(1);
	expect(await log.bounds(mailbox)).toEqual({ start: 3, end: 4 });
	await node.stop(5_000);

	const again = await start();
	const total = await again.node.ask(ADDRESS, { type: "total" }, { kind: "query", timeoutMs: 10_000 });
	expect(total).toBe(4);
	expect(again.logger.lines.filter(({ level }) => level === "error")).toEqual([]);
	await again.node.stop(5_000);
});
