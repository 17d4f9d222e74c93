/** Topics that are not as a node requires: what is said about them before anything is written. */
import { randomBytes } from "node:crypto";
import { ConfigResourceTypes, Kafka, logLevel } from "kafkajs";
import { expect, inject, onTestFinished, test } from "vitest";
import type { TopicSpec } from "../../persistence/log.ts";
import { KafkaLog, type KafkaLogOptions } from "../../persistence/log-kafka.ts";
import { makeTopics } from "../kit/make-topics.ts";

const TOPICS: readonly TopicSpec[] = [{ name: "actors", partitions: 4 }];

interface Stage {
	readonly prefix: string;
	readonly topic: string;
	readonly warnings: string[];
	open(options?: Partial<KafkaLogOptions>, topics?: readonly TopicSpec[]): Promise<KafkaLog>;
	/** How long a topic's records are kept, as the broker says. */
	settingsOf(topic: string): Promise<Record<string, string>>;
}

/** A topic that was there before, on the one broker of the test run. */
async function stage(partitions: number, settings: Readonly<Record<string, string>> = {}): Promise<Stage> {
	const brokers = inject("kafkaBrokers").split(",");
	const prefix = `topics-${randomBytes(6).toString("hex")}`;
	const topic = `${prefix}.actors`;
	const admin = new Kafka({ brokers, logLevel: logLevel.NOTHING }).admin();
	await admin.connect();
	onTestFinished(() => admin.disconnect());
	const configEntries = Object.entries(settings).map(([name, value]) => ({ name, value }));
	await makeTopics(admin, [{ topic, numPartitions: partitions, configEntries }]);
	const warnings: string[] = [];
	return {
		prefix,
		topic,
		warnings,
		async settingsOf(name) {
			const configNames = ["retention.ms", "retention.bytes"];
			const resource = { type: ConfigResourceTypes.TOPIC, name, configNames };
			const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: [resource] });
			const entries = resources[0]?.configEntries ?? [];
			return Object.fromEntries(entries.map(({ configName, configValue }) => [configName, configValue]));
		},
		async open(options = {}, topics = TOPICS) {
			const onWarning = (message: string) => void warnings.push(message);
			const log = new KafkaLog({ brokers, prefix, clientId: "test", onWarning, ...options });
			onTestFinished(() => log.close(5_000));
			await log.open(topics);
			return log;
		},
	};
}

test("scenario 54: a topic with wrong partitions is refused with found, required and what to do", async () => {
	const { topic, open } = await stage(6);
	await expect(open()).rejects.toMatchObject({
		code: "log.topic-mismatch",
		message: `topic ${topic} has partitions 6, this node requires 4: start with --partitions 6 or another --prefix`,
		details: { topic, setting: "partitions", found: 6, required: 4 },
	});
});

test("scenario 54: a topic with replication factor 1 where 3 is required is refused with found, required and what to do", async () => {
	const { topic, open } = await stage(4);
	await expect(open({ replicationFactor: 3 })).rejects.toMatchObject({
		code: "log.topic-mismatch",
		message: expect.stringMatching(
			`${topic} has replication factor 1, this node requires 3: .*--kafka-replication-factor 1`,
		),
		details: { topic, setting: "replication factor", found: 1, required: 3, fix: expect.any(String) },
	});
});

test("scenario 54: fewer in-sync replicas than required are refused with found, required and what to do", async () => {
	const { open } = await stage(4);
	await expect(open({ minInsyncReplicas: 2 })).rejects.toMatchObject({
		code: "log.topic-mismatch",
		message:
			"2 in-sync replicas are required of topics with 1 replicas: start more brokers, or lower --kafka-min-insync-replicas",
		details: { setting: "min.insync.replicas", found: 1, required: 2, fix: expect.any(String) },
	});
});

test("a topic that can never be written, because more replicas must be in sync than there are, is refused", async () => {
	const { topic, open } = await stage(4, { "min.insync.replicas": "2" });
	await expect(open()).rejects.toMatchObject({
		code: "log.topic-mismatch",
		message: expect.stringContaining(`--alter --topic ${topic} --add-config min.insync.replicas=1`),
		details: { topic, setting: "min.insync.replicas", found: 2, required: 1 },
	});
});

test("more copies than there are brokers are refused before a topic is made", async () => {
	const brokers = inject("kafkaBrokers").split(",");
	const prefix = `topics-${randomBytes(6).toString("hex")}`;
	const log = new KafkaLog({ brokers, prefix, clientId: "test", replicationFactor: 3 });
	onTestFinished(() => log.close(5_000));
	await expect(log.open(TOPICS)).rejects.toMatchObject({
		code: "log.topic-mismatch",
		message: expect.stringMatching(/too few brokers for replication factor 3: start more brokers/),
	});
});

test("a topic whose records brokers would let go of, with or without a checkpoint, is spoken of with what to do", async () => {
	const { topic, open, warnings } = await stage(4, { "retention.ms": "60000", "retention.bytes": "1000000" });
	await open();
	const lost = "brokers delete records that no checkpoint covers, which are lost";
	const how = `kafka-configs.sh --alter --topic ${topic} --add-config`;
	// A broker that is slow is asked, and spoken of, once more.
	expect([...new Set(warnings)]).toEqual([
		`topic ${topic} has retention.ms 60000: ${lost}: ${how} retention.ms=-1`,
		`topic ${topic} has retention.bytes 1000000: ${lost}: ${how} retention.bytes=-1`,
	]);
});

test("brokers keep for ever what owners let go of, and keep to the retention where nobody owns it", async () => {
	const { prefix, settingsOf, open } = await stage(4);
	await open({}, [
		{ name: "clients", partitions: 1, retentionMs: 60_000, keepsUncovered: true },
		{ name: "node", partitions: 1, retentionMs: 60_000 },
	]);
	const forEver = { "retention.ms": "-1", "retention.bytes": "-1" };
	expect(await settingsOf(`${prefix}.clients`)).toEqual(forEver);
	expect(await settingsOf(`${prefix}.node`)).toEqual({ ...forEver, "retention.ms": "60000" });
});

test("what is as required is opened without a warning", async () => {
	const { open, warnings } = await stage(4, { "retention.ms": "-1" });
	const log = await open({ replicationFactor: 1 });
	await log.append({ topic: "actors", partition: 3 }, [
		{ key: "", value: new Uint8Array(1), headers: {}, timestamp: 1 },
	]);
	expect(warnings).toEqual([]);
});
