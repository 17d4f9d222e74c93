/** What a cluster has made on its broker: topics and consumer groups by their names. */
import { Kafka, logLevel } from "kafkajs";
import { inject } from "vitest";
import type { NodeProcess } from "./node-process.ts";

export interface KafkaNames {
	readonly topics: readonly string[];
	readonly groups: readonly string[];
}

export async function kafkaNames(node: NodeProcess): Promise<KafkaNames> {
	const { prefix } = node;
	const brokers = inject("kafkaBrokers").split(",");
	const admin = new Kafka({ brokers, logLevel: logLevel.NOTHING }).admin();
	await admin.connect();
	try {
		const own = (names: readonly string[]) => names.filter((name) => name.startsWith(prefix)).sort();
		const { groups } = await admin.listGroups();
		return { topics: own(await admin.listTopics()), groups: own(groups.map(({ groupId }) => groupId)) };
	} finally {
		await admin.disconnect();
	}
}
