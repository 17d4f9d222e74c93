/**
 * Appends through the Appender for some seconds, a fixed number of records waiting at any time. Prints one line of
 * JSON.
 */
import { Appender } from "../persistence/appender.ts";
import type { Log } from "../persistence/log.ts";
import { KafkaLog } from "../persistence/log-kafka.ts";
import { SqliteLog } from "../persistence/log-sqlite.ts";
import { recordOf } from "../runtime/message.ts";
import { ACTORS_TOPIC } from "../runtime/topics.ts";
import { topicsOf } from "./tally.ts";

export interface AppendParameters {
	readonly log:
		| { readonly directory: string; readonly durability: "power" | "process" }
		| { readonly brokers: string; readonly prefix: string };
	readonly partitions: number;
	/** Records under way at any time, over all partitions. */
	readonly inFlight: number;
	readonly valueBytes: number;
	readonly warmSeconds: number;
	readonly seconds: number;
}

export interface AppendResult {
	readonly recordsPerSecond: number;
	readonly recordsPerBatch: number;
}

const parameters = JSON.parse(process.argv[2] as string) as AppendParameters;
const { log: where, partitions, inFlight } = parameters;
const log: Log =
	"directory" in where
		? new SqliteLog(where)
		: new KafkaLog({
				brokers: where.brokers.split(","),
				prefix: where.prefix,
				clientId: "bench",
				onOwnerError: (error) => {
					throw error;
				},
			});
await log.open(topicsOf(partitions));
const appender = new Appender(log);
const body = new Uint8Array(parameters.valueBytes);
let appended = 0;
let stopped = false;

function append(): void {
	const number = appended++;
	const origin = { source: "bench~1", major: number, minor: 0 };
	const draft = { to: "tally/bench/1", kind: "command", type: "add", body } as const;
	const id = { topic: ACTORS_TOPIC, partition: number % partitions };
	appender.append(id, recordOf(draft, origin, Date.now())).then(() => {
		if (!stopped) append();
	}, fail);
}

function fail(error: unknown): void {
	if (!stopped) throw error;
}

function seconds(count: number): Promise<void> {
	return new Promise((resolve) => setTimeout(resolve, count * 1000));
}

for (let i = 0; i < inFlight; i++) append();
await seconds(parameters.warmSeconds);
const before = { ...appender.stats };
const since = performance.now();
await seconds(parameters.seconds);
const records = appender.stats.records - before.records;
const result: AppendResult = {
	recordsPerSecond: (records / (performance.now() - since)) * 1000,
	recordsPerBatch: records / (appender.stats.batches - before.batches),
};
stopped = true;
process.stdout.write(`${JSON.stringify(result)}\n`);
await log.close(10_000);
process.exit(0);
