/** Claims on a real broker: what behaviours do wrong is never taken for the log's trouble. */
import { randomBytes } from "node:crypto";
import { expect, inject, onTestFinished, test } from "vitest";
import type { LogHealth } from "../../persistence/log.ts";
import { KafkaLog } from "../../persistence/log-kafka.ts";
import { SqliteSnapshots } from "../../persistence/snapshots-sqlite.ts";
import { Node, RefusedError } from "../../runtime/node.ts";
import { nodePartition } from "../../runtime/topics.ts";
import { counterBehaviour } from "../kit/counter.ts";
import { collectingLogger, temporaryDirectory } from "../kit/runtime-node.ts";

const THROWS = 100;
/** Enough for every partition to have some. */
const COUNTERS = 20;

test(`${THROWS} handlers that throw leave the log healthy: no probe fails, nothing is refused, the next command is handled`, async () => {
	const changes: LogHealth[] = [];
	const log = new KafkaLog({
		brokers: inject("kafkaBrokers").split(","),
		prefix: `test-${randomBytes(6).toString("hex")}`,
		clientId: "throwing",
		probe: nodePartition("throwing"),
		onHealth: (health) => void changes.push(health),
	});
	const directory = temporaryDirectory();
	const node = new Node({
		id: "throwing",
		boot: "1",
		log,
		snapshots: new SqliteSnapshots({ directory: directory.path }),
		behaviours: [counterBehaviour],
		partitions: 4,
		outlets: { deliver: () => {}, signal: () => {} },
		logger: collectingLogger(),
		cluster: true,
	});
	onTestFinished(async () => {
		await node.stop(5_000);
		directory.remove();
	});
	await node.start();
	const fail = (count: number) =>
		Promise.allSettled(
			Array.from({ length: count }, (_, i) => {
				return node.ask(`counter/${i % COUNTERS}`, { type: "fail" }, { kind: "command", timeoutMs: 30_000 });
			}),
		);
	// Topics that were just made may be without leaders for a moment, which the first record in each finds out.
	await fail(COUNTERS);
	await expect.poll(() => log.health().status, { timeout: 30_000 }).toBe("healthy");
	const before = { ...log.probes };
	const changesBefore = changes.length;
	const answers = await fail(THROWS);
	for (const answer of answers) expect(answer).toMatchObject({ reason: expect.any(RefusedError) });
	expect(node.metrics.deadLetters).toBe(COUNTERS + THROWS);
	expect(log.health()).toEqual({ status: "healthy" });
	expect(changes.slice(changesBefore)).toEqual([]);
	expect(log.probes).toMatchObject({ failed: before.failed, opened: 0 });
	expect(node.metrics.submitsRefused).toBe(0);
	expect(await node.ask("counter/1", { type: "add", by: 5 }, { kind: "command", timeoutMs: 30_000 })).toBe(5);
});
