/**
 * The two Kafka client libraries side by side, under the same log. Owns the sizes; the work is kafka-clients-job.ts.
 */
import { randomBytes } from "node:crypto";
import { KAFKA_CLIENTS, type KafkaClient } from "../persistence/kafka-client-names.ts";
import type { Benchmark, Surroundings, Variant } from "./benchmark.ts";
import type { KafkaClientsParameters, KafkaClientsResult } from "./kafka-clients-job.ts";
import { runJob } from "./processes.ts";

const PARTITIONS = 8;
const IN_FLIGHT = 2_000;
const VALUE_BYTES = 400;
const KB = 1024;

export const kafkaClients: Benchmark = {
	name: "kafka-clients",
	title: "Kafka client libraries",
	about: `The Kafka log over each client library, ${PARTITIONS} partitions, ${VALUE_BYTES}-byte values with the envelope's headers: one append at a time, ${IN_FLIGHT.toLocaleString("en-US")} waiting, and all of it read back. Processor time is the client process's alone.`,
	async open(surroundings) {
		const { brokers } = await surroundings.kafka();
		return {
			variants: KAFKA_CLIENTS.map((client) => variant(client, brokers, surroundings)),
			close: async () => {},
		};
	},
};

function variant(client: KafkaClient, brokers: string, { seconds }: Surroundings): Variant {
	return {
		name: client,
		async measure() {
			const measured = await runJob<KafkaClientsResult>("kafka-clients-job.ts", {
				client,
				brokers,
				prefix: `bench-client-${randomBytes(6).toString("hex")}`,
				partitions: PARTITIONS,
				inFlight: IN_FLIGHT,
				valueBytes: VALUE_BYTES,
				warmSeconds: seconds / 2,
				seconds,
			} satisfies KafkaClientsParameters);
			return [
				{ metric: "appends", unit: "/s", value: measured.appendsPerSecond },
				{ metric: "CPU of an append", unit: "µs", value: measured.appendCpu },
				{ metric: "alone p50", unit: "ms", value: measured.alone50 },
				{ metric: "alone p99", unit: "ms", value: measured.alone99 },
				{ metric: "reads", unit: "/s", value: measured.readsPerSecond },
				{ metric: "CPU of a read", unit: "µs", value: measured.readCpu },
				{ metric: "CPU to open", unit: "ms", value: measured.openCpuMs },
				{ metric: "memory when open", unit: "KB", value: measured.openBytes / KB },
			];
		},
	};
}
