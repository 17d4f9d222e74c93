/**
 * Retention and checkpoints together, on the embedded log and on Kafka: a node never finds that the log let go of what it
 * must fold.
 */
import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, expect, inject, test } from "vitest";
import type { Log } from "../../persistence/log.ts";
import { KafkaLog } from "../../persistence/log-kafka.ts";
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
async function start<OfDriver extends Log>(log: OfDriver, path = directory.path) {
	const snapshots = new SqliteSnapshots({ directory: path });
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
		cluster: log.driver === "kafka",
		clientsRetentionMs: RETENTION_MS,
	});
	await node.start();
	return {
		node,
		log,
		logger,
		mailbox: node.mailbox(ADDRESS),
		add: () => node.ask(ADDRESS, { type: "add", by: 1 }, { kind: "command", timeoutMs: 10_000 }),
		total: () => node.ask(ADDRESS, { type: "total" }, { kind: "query", timeoutMs: 10_000 }),
		checkpoint: () => node.partitions.find(({ id }) => id.topic === CLIENTS_TOPIC)?.checkpoint(),
	};
}

test("scenario 37: records that no checkpoint covers are kept although older than the retention, and go once one does", async () => {
	const embedded = () => new SqliteLog({ directory: directory.path, durability: "process" });
	const { node, log, mailbox, checkpoint, add } = await start(embedded());
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

	const again = await start(embedded());
	expect(await again.total()).toBe(4);
	expect(again.logger.lines.filter(({ level }) => level === "error")).toEqual([]);
	await again.node.stop(5_000);
});

test("scenario 37: the same on Kafka, where the next node finds in the shared snapshots what is gone from the log", async () => {
	const brokers = inject("kafkaBrokers").split(",");
	const prefix = `retention-${randomBytes(6).toString("hex")}`;
	const shared = () => new KafkaLog({ brokers, prefix, clientId: "n1" });
	const { node, log, mailbox, checkpoint, add, logger } = await start(shared());
	const look = () => log.trim(Date.now() + LATER);
	await add();
	await add();
	await checkpoint();
	const { end: covered } = await log.bounds(mailbox);
	await add();
	await add();
	const { end } = await log.bounds(mailbox);
	// A checkpoint counts at the look behind the one that finds it.
	await look();
	await look();
	expect(await log.bounds(mailbox)).toEqual({ start: covered, end });
	await checkpoint();
	await look();
	await look();
	expect(await log.bounds(mailbox)).toEqual({ start: end, end });
	expect(await log.read(mailbox, end, { maxRecords: 1, waitMs: 0 })).toEqual([]);
	await node.stop(5_000);

	const other = temporaryDirectory();
	const again = await start(shared(), other.path);
	expect(await again.total()).toBe(4);
	for (const lines of [logger.lines, again.logger.lines])
		expect(lines.filter(({ level }) => level === "error")).toEqual([]);
	await again.node.stop(5_000);
	other.remove();
});
