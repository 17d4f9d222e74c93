/**
 * How many records a second the appender gets into each log. Owns the sizes; the work is append-job.ts.
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import type { AppendParameters, AppendResult } from "./append-job.ts";
import type { Benchmark, Surroundings, Variant } from "./benchmark.ts";
import { runJob } from "./processes.ts";

const PARTITIONS = 8;
const IN_FLIGHT = 2_000;
const VALUE_BYTES = 400;

export const append: Benchmark = {
	name: "append",
	title: "Append rate",
	about: `Appender on one log, ${IN_FLIGHT.toLocaleString("en-US")} records waiting over ${PARTITIONS} partitions, ${VALUE_BYTES}-byte values with the envelope's headers, nobody reading.`,
	async open(surroundings) {
		const { brokers } = await surroundings.kafka();
		const directory = () => mkdtempSync(join(surroundings.directory, "append-"));
		const embedded = (durability: "power" | "process") => () => ({ directory: directory(), durability });
		const kafka = () => ({ brokers, prefix: `bench-append-${randomBytes(6).toString("hex")}` });
		return {
			variants: [
				variant("embedded (power)", embedded("power"), surroundings),
				variant("embedded (process)", embedded("process"), surroundings),
				variant("Kafka", kafka, surroundings),
			],
			close: async () => {},
		};
	},
};

function variant(name: string, log: () => AppendParameters["log"], { seconds }: Surroundings): Variant {
	return {
		name,
		async measure() {
			const { recordsPerSecond, recordsPerBatch } = await runJob<AppendResult>("append-job.ts", {
				log: log(),
				partitions: PARTITIONS,
				inFlight: IN_FLIGHT,
				valueBytes: VALUE_BYTES,
				warmSeconds: seconds / 2,
				seconds,
			} satisfies AppendParameters);
			return [
				{ metric: "records", unit: "/s", value: recordsPerSecond },
				{ metric: "of one batch", unit: "records", value: recordsPerBatch },
			];
		},
	};
}
