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

test(`${THROWS} handlers that throw leave the log healthy: no probe fails, nothing is refused, the next command is handled`, async () => {
	const changes: LogHealth[] = [];
	const healthy = Promise.withResolvers<void>();
	const log = new KafkaLog({
		brokers: inject("kafkaBrokers").split(","),
		prefix: `test-${randomBytes(6).toString("hex")}`,
		clientId: "throwing",
		probe: nodePartition("throwing"),
		onHealth: (health) => {
			changes.push(health);
			if (health.status === "healthy") healthy.resolve();
		},
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
	// Topics that were just made may have been without leaders for a moment.
	if (log.health().status !== "healthy") await healthy.promise;
	const before = { ...log.probes };
	const changesBefore = changes.length;
	const answers = await Promise.allSettled(
		Array.from({ length: THROWS }, (_, i) => {
			return node.ask(`counter/${i % 10}`, { type: "fail" }, { kind: "command", timeoutMs: 30_000 });
		}),
	);
	for (const answer of answers) expect(answer).toMatchObject({ reason: expect.any(RefusedError) });
	expect(node.metrics.deadLetters).toBe(THROWS);
	expect(log.health()).toEqual({ status: "healthy" });
	expect(changes.slice(changesBefore)).toEqual([]);
	expect(log.probes).toMatchObject({ failed: before.failed, opened: 0 });
	expect(node.metrics.submitsRefused).toBe(0);
	expect(await node.ask("counter/1", { type: "add", by: 5 }, { kind: "command", timeoutMs: 30_000 })).toBe(5);
});
