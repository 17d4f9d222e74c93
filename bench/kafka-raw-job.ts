/**
 * The raw limit of a Kafka log: kafkajs alone, from handing a record over to reading it back. Waiting records leave in
 * one produce request, as the appender does it. Prints one line of JSON.
 */
import { Kafka, logLevel, Partitioners } from "kafkajs";
import { quantile } from "./figures.ts";

export interface KafkaRawParameters {
	readonly brokers: string;
	/** Made by this job, removed by it. */
	readonly topic: string;
	readonly inFlight: number;
	readonly valueBytes: number;
	readonly warmSeconds: number;
	readonly seconds: number;
}

export interface KafkaRawResult {
	readonly recordsPerSecond: number;
	/** Milliseconds from handing over to having read. */
	readonly p50: number;
	readonly p99: number;
	/** Milliseconds from handing over to the broker's acknowledgement. */
	readonly acknowledgedP50: number;
}

const parameters = JSON.parse(process.argv[2] as string) as KafkaRawParameters;
const { brokers, topic, inFlight, valueBytes } = parameters;
const kafka = new Kafka({ brokers: brokers.split(","), logLevel: logLevel.ERROR });
const admin = kafka.admin();
const producer = kafka.producer({
	createPartitioner: Partitioners.DefaultPartitioner,
	maxInFlightRequests: 1,
});
const consumer = kafka.consumer({ groupId: topic, minBytes: 1, allowAutoTopicCreation: false });

/** When each record was handed over, in order of offsets. */
const sentAt: number[] = [];
const value = Buffer.alloc(valueBytes, "x");
let waiting = 0;
let sending = false;
let latencies: number[] = [];
let acknowledgements: number[] = [];

function put(): void {
	waiting++;
	if (!sending) void send();
}

async function send(): Promise<void> {
	sending = true;
	while (waiting > 0) {
		const count = waiting;
		waiting = 0;
		const now = performance.now();
		for (let i = 0; i < count; i++) sentAt.push(now);
		const messages = Array.from({ length: count }, () => ({ key: "actor", value, partition: 0 }));
		await producer.send({ topic, messages, acks: -1 });
		acknowledgements.push(performance.now() - now);
	}
	sending = false;
}

function seconds(count: number): Promise<void> {
	return new Promise((resolve) => setTimeout(resolve, count * 1000));
}

await Promise.all([admin.connect(), producer.connect(), consumer.connect()]);
await admin.createTopics({ topics: [{ topic, numPartitions: 1, replicationFactor: 1 }] });
const joined = new Promise((resolve) => consumer.on(consumer.events.GROUP_JOIN, resolve));
await consumer.subscribe({ topic, fromBeginning: true });
await consumer.run({
	// Commits queue behind the fetches of the same connection; what is measured is the log.
	autoCommit: false,
	eachBatch: async ({ batch }) => {
		for (const { offset } of batch.messages) {
			latencies.push(performance.now() - (sentAt[Number(offset)] as number));
			put();
		}
	},
});
await joined;
for (let i = 0; i < inFlight; i++) put();
await seconds(parameters.warmSeconds);
latencies = [];
acknowledgements = [];
const since = performance.now();
await seconds(parameters.seconds);
const measured = Float64Array.from(latencies).sort();
const result: KafkaRawResult = {
	recordsPerSecond: (measured.length / (performance.now() - since)) * 1000,
	p50: quantile(measured, 0.5),
	p99: quantile(measured, 0.99),
	acknowledgedP50: quantile(Float64Array.from(acknowledgements).sort(), 0.5),
};
await admin.deleteTopics({ topics: [topic] });
process.stdout.write(`${JSON.stringify(result)}\n`);
process.exit(0);
