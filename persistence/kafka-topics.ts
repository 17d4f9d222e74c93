/**
 * The topics of a Kafka log: made where missing, checked where found. Owns their settings on the broker.
 */
import type { Admin, ITopicMetadata } from "kafkajs";
import { MycelogError } from "./errors.ts";
import type { TopicSpec } from "./log.ts";

/** Bytes; above the runtime's record limit, because a batch carries keys and headers too. */
export const MESSAGE_BYTES_MAX = 1_048_588;
/**
 * Of compacted topics. Kafka compacts closed segments only, so they close soon; the ratio says how much of a partition
 * may be out of date. Readers have a day to see that a key was removed.
 */
const COMPACTED = {
	"cleanup.policy": "compact",
	"segment.bytes": 64 * 1024 * 1024,
	"segment.ms": 600_000,
	"min.cleanable.dirty.ratio": 0.2,
	"delete.retention.ms": 86_400_000,
};
const TIMEOUT_MS = 10_000;
/** Between two looks at topics that a broker is still setting up, milliseconds. */
const LOOK_AGAIN_MS = 100;

export async function ensureKafkaTopics(
	admin: Admin,
	prefix: string,
	topics: readonly TopicSpec[],
	replicationFactor: number,
): Promise<void> {
	const existing = new Set(await admin.listTopics());
	const missing = topics.filter(({ name }) => !existing.has(`${prefix}.${name}`));
	if (missing.length > 0) {
		// False: another node made them in the meantime, which the check below covers.
		await admin.createTopics({
			waitForLeaders: false,
			timeout: TIMEOUT_MS,
			topics: missing.map((spec) => ({
				topic: `${prefix}.${spec.name}`,
				numPartitions: spec.partitions,
				replicationFactor,
				configEntries: Object.entries(settingsOf(spec)).map(([name, value]) => ({
					name,
					value: String(value),
				})),
			})),
		});
	}
	const found = await topicsWithLeaders(
		admin,
		topics.map(({ name }) => `${prefix}.${name}`),
	);
	for (const { name, partitions } of topics) {
		const there = found.find((topic) => topic.name === `${prefix}.${name}`)?.partitions.length ?? 0;
		if (there === partitions) continue;
		const text = `topic ${prefix}.${name} has ${there} partitions, this node requires ${partitions}: start with --partitions ${there} or another --prefix`;
		throw new MycelogError("log.topic-mismatch", text, { topic: name, found: there, required: partitions });
	}
}

function settingsOf({ retentionMs = -1, compacted = false }: TopicSpec): Record<string, string | number> {
	const kept = compacted ? COMPACTED : { "retention.ms": retentionMs };
	return { ...kept, "max.message.bytes": MESSAGE_BYTES_MAX };
}

/** A topic just made is unknown, or without leaders, for a moment, and to some brokers longer than to others. */
async function topicsWithLeaders(admin: Admin, names: readonly string[]): Promise<readonly ITopicMetadata[]> {
	const deadline = performance.now() + TIMEOUT_MS;
	for (;;) {
		const late = performance.now() > deadline;
		try {
			const { topics } = await admin.fetchTopicMetadata({ topics: [...names] });
			if (late || topics.every(({ partitions }) => partitions.every(({ leader }) => leader >= 0)))
				return topics;
		} catch (error) {
			if (late || (error as { type?: string }).type !== "UNKNOWN_TOPIC_OR_PARTITION") throw error;
		}
		await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
	}
}
