/**
 * The topics of a Kafka log: made where missing, checked where found. Owns their settings on the broker, and what is
 * said about those that are not as this node requires.
 */
import { MycelogError } from "./errors.ts";
import type { FoundTopic, KafkaCluster } from "./kafka-cluster.ts";
import type { TopicSpec } from "./log.ts";

/** Bytes; above the runtime's record limit, because a batch carries keys and headers too. */
export const MESSAGE_BYTES_MAX = 1_048_588;
/** Copies of a topic where nobody says how many, as far as there are brokers: one may fail and one be in repair. */
export const REPLICATION_FACTOR_DEFAULT = 3;
const IN_SYNC = "min.insync.replicas";
/** By age and by size; -1: for ever. */
const RETENTIONS = ["retention.ms", "retention.bytes"] as const;
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

export interface Replication {
	/** Least number of copies; undefined: made with the default, found ones are only spoken of. */
	readonly factor?: number;
	/** Least number of copies that must have a record before it is acknowledged; undefined: likewise. */
	readonly inSync?: number;
}

export interface TopicsParts {
	readonly cluster: KafkaCluster;
	readonly prefix: string;
	readonly replication: Replication;
	/** Topics that hold less than they could. */
	readonly onWarning: (message: string, fields: Readonly<Record<string, unknown>>) => void;
}

/** Rejects with `log.topic-mismatch`: what was found, what is required, and what to do. */
export async function ensureKafkaTopics(parts: TopicsParts, topics: readonly TopicSpec[]): Promise<void> {
	if (topics.length === 0) return;
	const { cluster, prefix, replication } = parts;
	const wanted = defaultsFor(await cluster.countBrokers(), replication);
	if (wanted.inSync > wanted.factor) throw neverWritable(wanted);
	const names = topics.map(({ name }) => `${prefix}.${name}`);
	const existing = new Set((await cluster.describeTopics(names)).map(({ name }) => name));
	const missing = topics.filter(({ name }) => !existing.has(`${prefix}.${name}`));
	if (missing.length > 0) {
		const made = missing.map((spec) => ({
			name: `${prefix}.${spec.name}`,
			partitions: spec.partitions,
			replicationFactor: wanted.factor,
			settings: settingsOf(spec, wanted.inSync),
		}));
		await cluster.createTopics(made, TIMEOUT_MS).catch((cause: Error & { type?: string }) => {
			throw cause.type === "INVALID_REPLICATION_FACTOR" ? tooFewBrokers(wanted.factor, cause) : cause;
		});
	}
	const found = await topicsWithLeaders(cluster, names);
	const settings = await cluster.topicSettings(names, [IN_SYNC, ...RETENTIONS]);
	for (const spec of topics) {
		const name = `${prefix}.${spec.name}`;
		const topic = found.find((one) => one.name === name);
		const inForce = settings.get(name) ?? {};
		check(parts, wanted, { name, partitions: spec.partitions, topic, inSync: Number(inForce[IN_SYNC]) });
		if (!spec.compacted) checkRetention(parts, name, spec, inForce);
	}
}

function defaultsFor(brokers: number, { factor, inSync }: Replication): Required<Replication> {
	const copies = factor ?? Math.min(REPLICATION_FACTOR_DEFAULT, brokers);
	return { factor: copies, inSync: inSync ?? Math.max(1, copies - 1) };
}

function settingsOf(spec: TopicSpec, inSync: number) {
	const { compacted = false } = spec;
	const forAll = { "cleanup.policy": "delete", "retention.ms": brokersMs(spec), "retention.bytes": -1 };
	const kept = compacted ? COMPACTED : forAll;
	const all = { ...kept, "max.message.bytes": MESSAGE_BYTES_MAX, [IN_SYNC]: inSync };
	return Object.fromEntries(Object.entries(all).map(([name, value]) => [name, String(value)]));
}

/** How long brokers keep it: where checkpoints have a say, its partitions' owners delete (kafka-retention.ts). */
function brokersMs({ retentionMs = -1, keepsUncovered = false }: TopicSpec): number {
	return keepsUncovered ? -1 : retentionMs;
}

/** Of topics made by others, or by earlier versions. */
function checkRetention(
	{ onWarning }: TopicsParts,
	topic: string,
	spec: TopicSpec,
	inForce: Readonly<Record<string, string>>,
): void {
	if (brokersMs(spec) !== -1) return;
	for (const setting of RETENTIONS) {
		const found = Number(inForce[setting]);
		if (found === -1) continue;
		const fix = `kafka-configs.sh --alter --topic ${topic} --add-config ${setting}=-1`;
		const text = `topic ${topic} has ${setting} ${found}: brokers delete records that no checkpoint covers, which are lost`;
		onWarning(`${text}: ${fix}`, { topic, setting, found });
	}
}

interface Checked {
	readonly name: string;
	readonly partitions: number;
	readonly topic: FoundTopic | undefined;
	readonly inSync: number;
}

function check(
	{ replication, onWarning }: TopicsParts,
	wanted: Required<Replication>,
	{ name, partitions, topic, inSync }: Checked,
): void {
	const there = topic?.partitions.length ?? 0;
	const copies = Math.min(...(topic?.partitions ?? []).map(({ replicas }) => replicas.length));
	if (there !== partitions) {
		const fix = `start with --partitions ${there} or another --prefix`;
		throw mismatch(name, "partitions", { found: there, required: partitions, fix });
	}
	if (copies < wanted.factor) {
		const text = `kafka-reassign-partitions.sh gives it more replicas; --kafka-replication-factor ${copies} accepts it`;
		const least = { found: copies, required: wanted.factor, fix: text };
		if (replication.factor !== undefined) throw mismatch(name, "replication factor", least);
		onWarning(
			`topic ${name} has replication factor ${copies}, there are brokers for ${wanted.factor}: ${text}`,
			{
				topic: name,
			},
		);
	}
	// Where it is higher than there are copies, nothing can be written at all.
	const most = inSync > copies;
	if (inSync < wanted.inSync || most) {
		const required = most ? copies : wanted.inSync;
		const how = `kafka-configs.sh --alter --topic ${name} --add-config ${IN_SYNC}=${required}`;
		const fix = most ? how : `${how}; --kafka-min-insync-replicas ${inSync} accepts it`;
		if (replication.inSync !== undefined || most)
			throw mismatch(name, IN_SYNC, { found: inSync, required, fix });
		onWarning(`topic ${name} has ${IN_SYNC} ${inSync}, ${required} would be safer: ${fix}`, { topic: name });
	}
}

function mismatch(
	topic: string,
	setting: string,
	details: { readonly found: number; readonly required: number; readonly fix: string },
): MycelogError {
	const { found, required, fix } = details;
	const text = `topic ${topic} has ${setting} ${found}, this node requires ${required}: ${fix}`;
	return new MycelogError("log.topic-mismatch", text, { topic, setting, ...details });
}

/** No write would ever be acknowledged. */
function neverWritable({ factor, inSync }: Required<Replication>): MycelogError {
	const fix = "start more brokers, or lower --kafka-min-insync-replicas";
	const text = `${inSync} in-sync replicas are required of topics with ${factor} replicas: ${fix}`;
	return new MycelogError("log.topic-mismatch", text, {
		setting: IN_SYNC,
		found: factor,
		required: inSync,
		fix,
	});
}

function tooFewBrokers(required: number, cause: Error): MycelogError {
	const fix = `start more brokers, or --kafka-replication-factor with a smaller number`;
	const text = `Kafka has too few brokers for replication factor ${required}: ${fix}`;
	return new MycelogError(
		"log.topic-mismatch",
		text,
		{ setting: "replication factor", required, fix },
		{ cause },
	);
}

/** A topic just made is unknown, or without leaders, for a moment, and to some brokers longer than to others. */
async function topicsWithLeaders(
	cluster: KafkaCluster,
	names: readonly string[],
): Promise<readonly FoundTopic[]> {
	const deadline = performance.now() + TIMEOUT_MS;
	for (;;) {
		const late = performance.now() > deadline;
		try {
			const found = await cluster.describeTopics(names);
			const all = found.length === names.length;
			if (late || (all && found.every(({ partitions }) => partitions.every(({ leader }) => leader >= 0))))
				return found;
		} catch (error) {
			if (late || (error as { type?: string }).type !== "LEADER_NOT_AVAILABLE") throw error;
		}
		await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
	}
}
