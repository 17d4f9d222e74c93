/**
 * Which client library carries the Kafka log. Owns the choice; what is asked of them is kafka-cluster.ts.
 */
import { KafkaJsCluster } from "./kafka-client-kafkajs.ts";
import type { KafkaClient } from "./kafka-client-names.ts";
import { PlatformaticCluster } from "./kafka-client-platformatic.ts";
import type { ClusterOptions, KafkaCluster } from "./kafka-cluster.ts";

/** What takes its time when it is first used: not part of any deadline. */
export async function loadClient(client: KafkaClient): Promise<void> {
	if (client === "platformatic") await PlatformaticCluster.load();
}

/** With connections of its own, none of them made yet. */
export function makeCluster(client: KafkaClient, options: ClusterOptions): KafkaCluster {
	return client === "platformatic" ? new PlatformaticCluster(options) : new KafkaJsCluster(options);
}
