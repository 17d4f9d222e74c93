/**
 * Which log driver a configuration means, made but not opened. Owns nothing of the drivers.
 */
import type { Log } from "../persistence/log.ts";
import { SqliteLog } from "../persistence/log-sqlite.ts";
import type { Logger } from "../runtime/logger.ts";
import { nodePartition } from "../runtime/topics.ts";
import { kafkaSecurityOf } from "./kafka-security.ts";
import type { Config } from "./options.ts";

export interface LogDriverOptions {
	readonly clientId: string;
	/** Beside a live node: the embedded log is opened to read only. Kafka takes any number of readers. */
	readonly readOnly: boolean;
	readonly kafkaSaslPassword: string | undefined;
	/** Undefined: whoever asks hears of faults by rejections alone. */
	readonly logger?: Logger;
}

export async function logOf(
	config: Config,
	{ clientId, readOnly, kafkaSaslPassword, logger }: LogDriverOptions,
): Promise<Log> {
	const { kafkaUri, prefix, dataDir, durability } = config;
	const stopped = (err: unknown, fields: object) =>
		logger?.error({ ...fields, err }, "a partition has stopped");
	if (!kafkaUri) {
		return new SqliteLog({
			directory: dataDir,
			durability,
			readOnly,
			onOwnerError: (partition, error) => stopped(error, partition),
		});
	}
	// Its client libraries take a third of a second to load.
	const { KafkaLog } = await import("../persistence/log-kafka.ts");
	return new KafkaLog({
		brokers: kafkaUri,
		prefix,
		clientId,
		client: config.kafkaClient,
		security: kafkaSecurityOf(config, kafkaSaslPassword),
		takeoverAfterMs: config.takeoverAfterMs,
		...(config.kafkaReplicationFactor && { replicationFactor: config.kafkaReplicationFactor }),
		...(config.kafkaMinInsyncReplicas && { minInsyncReplicas: config.kafkaMinInsyncReplicas }),
		onOwnerError: (error) => stopped(error, {}),
		onWarning: (message, fields) => logger?.warn(fields, message),
		onDebug: (message, fields) => logger?.debug({ ...fields }, `${config.kafkaClient}: ${message}`),
		// Replays and lists beside a live node write nothing.
		...(readOnly ? undefined : { probe: nodePartition(clientId) }),
		onHealth: (health) => {
			if (health.status === "healthy") logger?.info({ brokers: kafkaUri }, "Kafka answers again");
			else logger?.warn({ brokers: kafkaUri, ...health }, `Kafka is ${health.status}; trying on`);
		},
	});
}
