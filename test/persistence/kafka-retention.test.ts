/** Old records on Kafka: deleted by the owners of their partitions, as far as checkpoints reach, over both client libraries. */
import { randomBytes } from "node:crypto";
import { expect, inject, onTestFinished, test, vi } from "vitest";
import { KAFKA_CLIENTS } from "../../persistence/kafka-client-names.ts";
import { KafkaRetention } from "../../persistence/kafka-retention.ts";
import type { PartitionId } from "../../persistence/log.ts";
import { KafkaLog } from "../../persistence/log-kafka.ts";
import { many } from "./log-contract.ts";

const KEPT: PartitionId = { topic: "clients", partition: 0 };
const BROKERS_OWN: PartitionId = { topic: "node", partition: 0 };
const RETENTION_MS = 1_000;
/** When records were stamped, and when it is looked. */
const OLD = 5_000;
const YOUNG = 9_500;
const LOOK = 10_000;
const TOPICS = [
	{ name: KEPT.topic, partitions: 1, retentionMs: RETENTION_MS, keepsUncovered: true },
	{ name: BROKERS_OWN.topic, partitions: 1, retentionMs: 3_600_000 },
];

test.each(KAFKA_CLIENTS)(
	"scenario 37: with %s records that no checkpoint covers are kept, however old; covered ones go, young ones stay",
	async (client) => {
		const brokers = inject("kafkaBrokers").split(",");
		const prefix = `retention-${randomBytes(6).toString("hex")}`;
		const warnings: string[] = [];
		const log = new KafkaLog({
			brokers,
			prefix,
			clientId: "owner",
			client,
			onWarning: (message) => warnings.push(message),
		});
		onTestFinished(() => log.close(5_000));
		await log.open(TOPICS);
		const stamped = (count: number, timestamp: number) => many(count).map((one) => ({ ...one, timestamp }));
		await log.append(KEPT, stamped(10, OLD));
		await log.append(KEPT, stamped(5, YOUNG));
		let covered = 4;
		let delivered = 0;
		await log.own([KEPT.topic], {
			assigned: async () => 0,
			revoked: async () => {},
			records: (_, batch) => {
				delivered += batch.length;
			},
			uncovered: () => covered,
		});
		await expect.poll(() => delivered, { timeout: 20_000 }).toBe(15);
		await log.trim(LOOK);
		// What was covered at the last look: whoever has taken the partition since began there or later.
		expect(await log.bounds(KEPT)).toEqual({ start: 0, end: 15 });
		await log.trim(LOOK);
		expect(await log.bounds(KEPT)).toEqual({ start: 4, end: 15 });
		await expect(log.read(KEPT, 3, { maxRecords: 1, waitMs: 0 })).rejects.toMatchObject({
			code: "log.offset-trimmed",
		});
		covered = 15;
		await log.trim(LOOK);
		expect(await log.bounds(KEPT)).toEqual({ start: 4, end: 15 });
		await log.trim(LOOK);
		expect(await log.bounds(KEPT)).toEqual({ start: 10, end: 15 });
		await log.trim(LOOK);
		expect(await log.bounds(KEPT)).toEqual({ start: 10, end: 15 });
		await log.trim(YOUNG + 2 * RETENTION_MS);
		expect(await log.bounds(KEPT)).toEqual({ start: 15, end: 15 });
		expect(await log.append(KEPT, stamped(1, YOUNG))).toBe(15);
		expect(warnings).toEqual([]);
	},
);

test("it is looked every 30 s until the log closes; what cannot be deleted is warned of once, and tried again", async () => {
	vi.useFakeTimers();
	onTestFinished(() => void vi.useRealTimers());
	const deleted: number[] = [];
	const warnings: string[] = [];
	let refusal: Error | undefined = new Error("TOPIC_AUTHORIZATION_FAILED");
	let asked = 0;
	const retention = new KafkaRetention({
		reader: {
			offsetAt: async () => undefined,
			deleteRecords: async (_, __, before) => {
				if (refusal) throw refusal;
				deleted.push(before);
			},
		},
		topicName: ({ topic }) => `mycelog.${topic}`,
		topics: TOPICS,
		owned: () => [KEPT, BROKERS_OWN],
		uncovered: () => ++asked,
		progress: { health: () => ({ status: "healthy" }) },
		onWarning: (message) => warnings.push(message),
	});
	retention.start();
	const looks = (count: number) => vi.advanceTimersByTimeAsync(count * 30_000);
	await looks(3);
	expect(asked).toBe(3);
	expect(warnings).toEqual([
		"old records of mycelog.clients were not deleted, its log grows: TOPIC_AUTHORIZATION_FAILED",
	]);
	refusal = undefined;
	await looks(2);
	expect(deleted).toEqual([3, 4]);
	retention.stop();
	await looks(2);
	expect(asked).toBe(5);
});
