/**
 * What one client library makes of the Kafka log: appends one at a time, then many, then everything read back. Prints
 * one line of JSON.
 */
import { Appender } from "../persistence/appender.ts";
import type { KafkaClient } from "../persistence/kafka-client-names.ts";
import { KafkaLog } from "../persistence/log-kafka.ts";
import { recordOf } from "../runtime/message.ts";
import { ACTORS_TOPIC } from "../runtime/topics.ts";
import { quantile } from "./figures.ts";
import { topicsOf } from "./tally.ts";

export interface KafkaClientsParameters {
	readonly client: KafkaClient;
	readonly brokers: string;
	readonly prefix: string;
	readonly partitions: number;
	/** Records under way at any time, over all partitions, while many are appended. */
	readonly inFlight: number;
	readonly valueBytes: number;
	readonly warmSeconds: number;
	readonly seconds: number;
}

export interface KafkaClientsResult {
	/** Milliseconds of processor time until the log is open. */
	readonly openCpuMs: number;
	/** Bytes, with the log open and nothing done. */
	readonly openBytes: number;
	/** Milliseconds until one record alone is acknowledged. */
	readonly alone50: number;
	readonly alone99: number;
	readonly appendsPerSecond: number;
	/** Microseconds of processor time a record. */
	readonly appendCpu: number;
	readonly readsPerSecond: number;
	readonly readCpu: number;
}

const READ_RECORDS = 10_000;

const parameters = JSON.parse(process.argv[2] as string) as KafkaClientsParameters;
const { client, brokers, prefix, partitions, inFlight } = parameters;
const log = new KafkaLog({ brokers: brokers.split(","), prefix, clientId: "bench", client });
await log.open(topicsOf(partitions));
const openCpuMs = cpuMs();
const openBytes = process.memoryUsage.rss();
const appender = new Appender(log);
const body = new Uint8Array(parameters.valueBytes);
let appended = 0;

function append(): Promise<number> {
	const number = appended++;
	const origin = { source: "bench~1", major: number, minor: 0 };
	const draft = { to: "tally/bench/1", kind: "command", type: "add", body } as const;
	const id = { topic: ACTORS_TOPIC, partition: number % partitions };
	return appender.append(id, recordOf(draft, origin, Date.now()));
}

function cpuMs(): number {
	const { user, system } = process.cpuUsage();
	return (user + system) / 1000;
}

/** Until the time is up. */
async function repeat(seconds: number, work: () => Promise<unknown>): Promise<void> {
	const until = performance.now() + seconds * 1000;
	while (performance.now() < until) await work();
}

const latencies: number[] = [];
await repeat(parameters.warmSeconds / 2, append);
await repeat(parameters.seconds / 2, async () => {
	const since = performance.now();
	await append();
	latencies.push(performance.now() - since);
});
const alone = Float64Array.from(latencies).sort();

const many = (seconds: number) =>
	Promise.all(Array.from({ length: inFlight }, () => repeat(seconds, append)));
await many(parameters.warmSeconds);
const before = { at: performance.now(), cpu: cpuMs(), records: appender.stats.records };
await many(parameters.seconds);
const records = appender.stats.records - before.records;
const appendsPerSecond = (records / (performance.now() - before.at)) * 1000;
const appendCpu = ((cpuMs() - before.cpu) / records) * 1000;

let read = 0;
const reading = { at: performance.now(), cpu: cpuMs() };
for (let partition = 0; partition < partitions; partition++) {
	const id = { topic: ACTORS_TOPIC, partition };
	const { start, end } = await log.bounds(id);
	for (let next = start; next < end; ) {
		const page = await log.read(id, next, { maxRecords: READ_RECORDS, waitMs: 0 });
		read += page.length;
		next = (page.at(-1)?.offset ?? end) + 1;
	}
}
if (read !== appender.stats.records) throw new Error(`${appender.stats.records} appended, ${read} read back`);
const result: KafkaClientsResult = {
	openCpuMs,
	openBytes,
	alone50: quantile(alone, 0.5),
	alone99: quantile(alone, 0.99),
	appendsPerSecond,
	appendCpu,
	readsPerSecond: (read / (performance.now() - reading.at)) * 1000,
	readCpu: ((cpuMs() - reading.cpu) / read) * 1000,
};
process.stdout.write(`${JSON.stringify(result)}\n`);
await log.close(10_000);
process.exit(0);
