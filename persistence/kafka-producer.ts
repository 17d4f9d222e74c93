/**
 * Produce requests, one a leader, and the numbers by which brokers know a repeat. Owns the producer's identity and the
 * sequence of each partition; when and how often something is sent is kafka-writer.ts.
 *
 * A batch keeps its number until it is acknowledged, whatever request or leader it goes to: a broker that has it
 * already answers with the offset it got then. A number is never given to other records. So after a batch that was
 * given up, of which nobody knows whether it was written, the identity is given up too: all partitions go on under a new
 * one, from zero.
 */
import type { KafkaCluster, ProducerIdentity } from "./kafka-cluster.ts";
import { type NewRecord, type PartitionId, partitionName } from "./log.ts";

/** Sequence numbers are 31 bits and start again after the last. */
const SEQUENCES = 2 ** 31;

export interface BatchNumber {
	readonly producer: ProducerIdentity;
	readonly sequence: number;
}

export interface Numbered {
	readonly id: PartitionId;
	readonly records: readonly NewRecord[];
	/** Set when it is first sent. */
	number?: BatchNumber | undefined;
}

export class KafkaProducer {
	readonly #cluster: KafkaCluster;
	readonly #topicName: (id: PartitionId) => string;
	readonly #topics = new Set<string>();
	#identity: Promise<ProducerIdentity> | undefined;
	/** Where each partition stands, and under which identity. */
	readonly #next = new Map<string, BatchNumber>();

	constructor(cluster: KafkaCluster, topicName: (id: PartitionId) => string) {
		this.#cluster = cluster;
		this.#topicName = topicName;
	}

	async connect(): Promise<void> {
		await this.#cluster.connect();
		await this.#current();
	}

	disconnect(): Promise<void> {
		return this.#cluster.disconnect();
	}

	/** The id of the broker that leads a partition, as far as is known. */
	leaderOf(id: PartitionId): string | undefined {
		const topic = this.#topicName(id);
		if (!this.#topics.has(topic)) return undefined;
		return Object.keys(this.#cluster.findLeaderForPartitions(topic, [id.partition]))[0];
	}

	/** Leaders may have moved. */
	async lookAgain(): Promise<void> {
		await this.#cluster.refreshMetadata();
	}

	/**
	 * No two batches of one partition, nor one while another of its partition is under way. Answers in the order of the
	 * batches: the first record's offset, or why there is none. Never rejects.
	 */
	async send(batches: readonly Numbered[]): Promise<(number | Error)[]> {
		const answers: (number | Error)[] = [];
		const sent = batches.map(async (batch, i) => ({ batch, i, leader: await this.#prepared(batch) }));
		const prepared = await Promise.allSettled(sent);
		for (const [i, one] of prepared.entries()) if (one.status === "rejected") answers[i] = one.reason;
		const ready = prepared.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
		const requests = Map.groupBy(ready, ({ leader, batch }) => `${leader} ${batch.number?.producer.id}`);
		await Promise.all(
			[...requests.values()].map(async (request) => {
				const leader = request[0]?.leader as string;
				const given = await this.#request(
					leader,
					request.map(({ batch }) => batch),
				);
				for (const [j, { i, batch }] of request.entries()) {
					const answer = given[j] as number | Error;
					if (typeof answer === "number") this.#acknowledged(batch);
					answers[i] = answer;
				}
			}),
		);
		return answers;
	}

	/** Nobody knows whether it was written, and its number will not be used again. */
	giveUp({ number }: Numbered): void {
		const identity = this.#identity;
		void identity?.then(
			(current) => {
				if (current === number?.producer && this.#identity === identity) this.#identity = undefined;
			},
			() => {
				// It was never given.
			},
		);
	}

	/** The id of its leader. */
	async #prepared(batch: Numbered): Promise<string> {
		const topic = this.#topicName(batch.id);
		if (!this.#topics.has(topic)) {
			await this.#cluster.addTargetTopic(topic);
			this.#topics.add(topic);
		}
		batch.number ??= this.#numberOf(batch, await this.#current());
		const leader = this.leaderOf(batch.id);
		if (leader === undefined) throw new Error(`${topic}/${batch.id.partition} has no leader`);
		return leader;
	}

	async #request(leader: string, batches: readonly Numbered[]): Promise<readonly (number | Error)[]> {
		try {
			const broker = await this.#cluster.findBroker({ nodeId: leader });
			const { producer } = (batches[0] as Numbered).number as BatchNumber;
			return await broker.produce(
				producer,
				batches.map(({ id, records, number }) => ({
					topic: this.#topicName(id),
					partition: id.partition,
					sequence: (number as BatchNumber).sequence,
					records,
				})),
			);
		} catch (error) {
			return batches.map(() => error as Error);
		}
	}

	#numberOf({ id }: Numbered, producer: ProducerIdentity): BatchNumber {
		const next = this.#next.get(partitionName(id));
		return next?.producer === producer ? next : { producer, sequence: 0 };
	}

	#acknowledged({ id, records, number }: Numbered): void {
		const { producer, sequence } = number as BatchNumber;
		this.#next.set(partitionName(id), { producer, sequence: (sequence + records.length) % SEQUENCES });
	}

	#current(): Promise<ProducerIdentity> {
		if (this.#identity) return this.#identity;
		const identity = this.#cluster.newProducer();
		this.#identity = identity;
		identity.catch(() => {
			if (this.#identity === identity) this.#identity = undefined;
		});
		return identity;
	}
}
