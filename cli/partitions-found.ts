/**
 * How many partitions the mailboxes of an existing log have. A wrong number would look for mailboxes in wrong
 * places and find nothing, so operators are not asked for it. Never creates a topic.
 */
import { MycelogError } from "../persistence/errors.ts";
import type { Log } from "../persistence/log.ts";
import type { KafkaLog } from "../persistence/log-kafka.ts";
import { ACTORS_TOPIC } from "../runtime/topics.ts";
import { LIMITS } from "./option-values.ts";
import type { Config } from "./options.ts";

/** Rejects with `log.topic-mismatch` where there is no Mycelog log. */
export async function partitionsFound({ prefix }: Config, log: Log): Promise<number> {
	if (log.driver !== "kafka") return inEmbeddedLog(log);
	const found = await (log as KafkaLog).partitionsOf(ACTORS_TOPIC);
	if (found > 0) return found;
	const topic = `${prefix}.${ACTORS_TOPIC}`;
	const text = `there is no topic ${topic} at ${log.addresses.join(", ")}: name another --prefix`;
	throw new MycelogError("log.topic-mismatch", text, { topic, brokers: log.addresses });
}

/** The log refuses partitions it does not have: the first refused one is found by halving. */
async function inEmbeddedLog(log: Log): Promise<number> {
	await log.bounds({ topic: ACTORS_TOPIC, partition: 0 });
	let present = 0;
	let missing: number = LIMITS.partitions;
	while (present < missing - 1) {
		const middle = (present + missing) >> 1;
		if (await hasPartition(log, middle)) present = middle;
		else missing = middle;
	}
	return present + 1;
}

async function hasPartition(log: Log, partition: number): Promise<boolean> {
	try {
		await log.bounds({ topic: ACTORS_TOPIC, partition });
		return true;
	} catch (error) {
		if (MycelogError.is(error, "log.topic-mismatch")) return false;
		throw error;
	}
}
