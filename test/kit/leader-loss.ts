/**
 * Three brokers, one log and its load, and the loss of leaders: what a round is, and when the brokers are whole again.
 */
import { randomBytes } from "node:crypto";
import { type Admin, Kafka, logLevel } from "kafkajs";
import type { KafkaClient } from "../../persistence/kafka-client-names.ts";
import { KafkaLog } from "../../persistence/log-kafka.ts";
import { type ClusterBroker, type LocalBrokers, startLocalBrokers } from "./kafka-brokers.ts";
import { KafkaLoad } from "./kafka-load.ts";

const TOPIC = "actors";
const PARTITIONS = 6;
/** Between two looks at the replicas, milliseconds. */
const LOOK_EVERY_MS = 100;

export interface LeaderLossOptions {
	readonly client: KafkaClient;
	/** Milliseconds until the controller gives a dead broker up: about as long as writes stand still. */
	readonly brokerSessionMs: number;
	/** Milliseconds until an append that is not acknowledged rejects; a third of it is one request's time. */
	readonly requestDeadlineMs: number;
}

export class LeaderLoss {
	readonly brokers: LocalBrokers;
	readonly log: KafkaLog;
	readonly load: KafkaLoad;
	readonly #admin: Admin;
	readonly #topic: string;

	private constructor(brokers: LocalBrokers, log: KafkaLog, admin: Admin, topic: string) {
		this.brokers = brokers;
		this.log = log;
		this.load = new KafkaLoad(log, TOPIC, PARTITIONS);
		this.#admin = admin;
		this.#topic = topic;
	}

	static async start({ client, brokerSessionMs, requestDeadlineMs }: LeaderLossOptions): Promise<LeaderLoss> {
		const settings = { "broker.session.timeout.ms": brokerSessionMs, "broker.heartbeat.interval.ms": 500 };
		const brokers = await startLocalBrokers({ count: 3, settings });
		const prefix = `loss-${randomBytes(6).toString("hex")}`;
		const addresses = brokers.brokers.split(",");
		const log = new KafkaLog({ brokers: addresses, prefix, clientId: "loss", client, requestDeadlineMs });
		const kafka = new Kafka({ brokers: addresses, logLevel: logLevel.NOTHING, retry: { retries: 20 } });
		const admin = kafka.admin();
		await admin.connect();
		await log.open([{ name: TOPIC, partitions: PARTITIONS }]);
		return new LeaderLoss(brokers, log, admin, `${prefix}.${TOPIC}`);
	}

	async stop(): Promise<void> {
		await this.log.close(5_000);
		await this.#admin.disconnect();
		await this.brokers.stop();
	}

	/** The leader of partition 0 at present. */
	async leader(): Promise<ClusterBroker> {
		const partitions = await this.#partitions();
		const id = partitions.find(({ partitionId }) => partitionId === 0)?.leader;
		const found = this.brokers.each.find((broker) => broker.id === id);
		if (!found) throw new Error(`partition 0 has no leader among the brokers: ${id}`);
		return found;
	}

	/** Resolves when every partition is again on all three brokers. */
	async whole(): Promise<void> {
		for (;;) {
			// Its own client meets brokers that are not up yet.
			const partitions = await this.#partitions().catch(() => []);
			if (partitions.length === PARTITIONS && partitions.every(({ isr }) => isr.length === 3)) return;
			await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
		}
	}

	async #partitions() {
		const { topics } = await this.#admin.fetchTopicMetadata({ topics: [this.#topic] });
		return topics[0]?.partitions ?? [];
	}

	/** Kill the leader under load, go on without it, and take it back. Resolves to the longest time without a write. */
	async round(): Promise<number> {
		const { load } = this;
		load.start();
		await load.more(20);
		const leader = await this.leader();
		const killedAt = performance.now();
		await leader.kill();
		await load.more(20);
		const stoodStillMs = performance.now() - killedAt;
		await leader.restart();
		await this.whole();
		await load.more(20);
		await load.stop();
		return stoodStillMs;
	}
}
