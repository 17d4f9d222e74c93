/**
 * What kafkajs and the broker allow without Mycelog. Owns only the parameters; the work is kafka-raw-job.ts.
 */
import { randomBytes } from "node:crypto";
import type { Benchmark, Surroundings, Variant } from "./benchmark.ts";
import type { KafkaRawParameters, KafkaRawResult } from "./kafka-raw-job.ts";
import { runJob } from "./processes.ts";

/** About what a stamped echo call weighs. */
const VALUE_BYTES = 400;

export const kafkaRaw: Benchmark = {
	name: "kafka-raw",
	title: "Raw kafkajs append → read",
	about: `One topic, one partition, acks=all, ${VALUE_BYTES}-byte values, producer and consumer in one process. A call over Mycelog is two such records, one after the other.`,
	async open(surroundings) {
		const { brokers } = await surroundings.kafka();
		return {
			variants: [
				variant("one at a time", 1, brokers, surroundings),
				variant("64 in flight, micro-batched", 64, brokers, surroundings),
			],
			close: async () => {},
		};
	},
};

function variant(name: string, inFlight: number, brokers: string, { seconds }: Surroundings): Variant {
	return {
		name,
		async measure() {
			const { recordsPerSecond, p50, p99, acknowledgedP50 } = await runJob<KafkaRawResult>(
				"kafka-raw-job.ts",
				{
					brokers,
					topic: `bench-raw-${randomBytes(6).toString("hex")}`,
					inFlight,
					valueBytes: VALUE_BYTES,
					warmSeconds: seconds / 2,
					seconds,
				} satisfies KafkaRawParameters,
			);
			return [
				{ metric: "records", unit: "/s", value: recordsPerSecond },
				{ metric: "p50", unit: "ms", value: p50 },
				{ metric: "p99", unit: "ms", value: p99 },
				{ metric: "acknowledged p50", unit: "ms", value: acknowledgedP50 },
			];
		},
	};
}
