/**
 * Ownership of partitions through a Kafka consumer group: assignments in, records in order out.
 * Owns pause, seek and resume around assignments; offsets are the owner's (checkpoints), never the group's.
 */
import type { Consumer, EachBatchPayload, Kafka } from "kafkajs";
import { coPartitionedAssigner } from "./kafka-assigner.ts";
import type { KafkaProgress } from "./kafka-progress.ts";
import { toRecord } from "./kafka-records.ts";
import type { LogRecord, PartitionId, PartitionOwner } from "./log.ts";
import { partitionName } from "./log.ts";
import { OwnedPartition } from "./owned-partition.ts";

/** Milliseconds. A dead member is noticed after the session timeout; a rebalance within one heartbeat. */
const SESSION_MS = 10_000;
/** Between two tries to find the group's coordinator, milliseconds, and how many there are. */
const COORDINATOR_RETRY_MS = 1_000;
const COORDINATOR_TRIES_MAX = 20;
const HEARTBEAT_MS = 500;
/** Milliseconds a fetch waits for news; a disconnect waits for the fetch, and latency does not depend on it. */
const FETCH_WAIT_MS = 500;
/** Batches of different partitions handled side by side. */
const BATCHES_AT_ONCE = 16;

export interface MembershipParts {
	readonly kafka: Kafka;
	readonly group: string;
	readonly prefix: string;
	readonly progress: KafkaProgress;
	/** First offset that is still kept. */
	readonly startOf: (id: PartitionId) => Promise<number>;
	readonly onError: (error: unknown) => void;
}

export class KafkaMembership {
	readonly #parts: MembershipParts;
	readonly #consumer: Consumer;
	readonly #owned = new Map<string, OwnedPartition>();
	#owner: PartitionOwner | undefined;
	/** Assignments are served one after the other, in the order in which the group made them. */
	#serving: Promise<void> = Promise.resolve();
	#assigned = new Set<string>();

	constructor(parts: MembershipParts) {
		this.#parts = parts;
		this.#consumer = parts.kafka.consumer({
			groupId: parts.group,
			partitionAssigners: [coPartitionedAssigner],
			sessionTimeout: SESSION_MS,
			rebalanceTimeout: 4 * SESSION_MS,
			heartbeatInterval: HEARTBEAT_MS,
			maxWaitTimeInMs: FETCH_WAIT_MS,
			allowAutoTopicCreation: false,
			// The first group of a fresh broker waits until its coordinator is set up.
			retry: { initialRetryTime: 100, maxRetryTime: COORDINATOR_RETRY_MS, retries: COORDINATOR_TRIES_MAX },
		});
	}

	/** Resolves when the first assignment is served. */
	async join(topics: readonly string[], owner: PartitionOwner): Promise<void> {
		this.#owner = owner;
		await this.#consumer.connect();
		await this.#consumer.subscribe({ topics: topics.map((name) => `${this.#parts.prefix}.${name}`) });
		const first = new Promise<void>((resolve, reject) => {
			this.#consumer.on(this.#consumer.events.GROUP_JOIN, ({ payload }) => {
				this.#parts.progress.heard();
				this.#take(payload.memberAssignment).then(resolve, reject);
			});
			this.#consumer.on(this.#consumer.events.CRASH, ({ payload }) => {
				const { error, restart } = payload;
				if (restart) this.#parts.progress.failed(error.message);
				else this.#parts.progress.stopped(`the consumer group was left: ${error.message}`);
				if (!restart) reject(error);
			});
			this.#consumer.on(this.#consumer.events.HEARTBEAT, () => this.#parts.progress.heard());
		});
		await this.#consumer.run({
			autoCommit: false,
			eachBatchAutoResolve: false,
			partitionsConsumedConcurrently: BATCHES_AT_ONCE,
			eachBatch: (payload) => this.#batch(payload),
		});
		await first;
	}

	/** Records this process appended itself: no need to wait until they are fetched back. */
	appended(id: PartitionId, records: readonly LogRecord[]): void {
		this.#owned.get(partitionName(id))?.offer(records, false);
	}

	/** Let the owner make everything safe, then leave, so that the next owner finds it so. */
	async leave(): Promise<void> {
		await this.#serving;
		await this.#release([...this.#owned.values()]);
		await this.#consumer.disconnect();
	}

	/** Called while kafkajs emits, before its first fetch of the new generation: pausing must not wait. */
	#take(assignment: Readonly<Record<string, number[]>>): Promise<void> {
		const ids = this.#idsOf(assignment);
		const names = new Set(ids.map(partitionName));
		const fresh = ids.filter((id) => !this.#assigned.has(partitionName(id)));
		this.#assigned = names;
		for (const id of fresh) this.#consumer.pause([this.#topicPartitions(id)]);
		// kafkajs starts every generation where the group committed, which is nowhere: go on where the owner stands.
		for (const { id, next } of this.#owned.values()) if (names.has(partitionName(id))) this.#seek(id, next);
		const served = this.#serving.then(async () => {
			await this.#release([...this.#owned.values()].filter(({ id }) => !names.has(partitionName(id))));
			await Promise.all(fresh.map((id) => this.#serve(id)));
		});
		// What fails is told once; later assignments are still served.
		this.#serving = served.catch(this.#parts.onError);
		return served;
	}

	async #serve(id: PartitionId): Promise<void> {
		if (!this.#assigned.has(partitionName(id))) return;
		const wanted = (await this.#owner?.assigned(id)) ?? 0;
		const next = Math.max(wanted, await this.#parts.startOf(id));
		const owned = new OwnedPartition(id, next, this.#owner as PartitionOwner, this.#parts.onError);
		this.#owned.set(partitionName(id), owned);
		this.#seek(id, next);
		this.#consumer.resume([this.#topicPartitions(id)]);
	}

	async #release(lost: readonly OwnedPartition[]): Promise<void> {
		for (const { id } of lost) this.#owned.delete(partitionName(id));
		await Promise.all(
			lost.map(async (owned) => {
				await owned.release();
				await this.#owner?.revoked(owned.id);
			}),
		);
	}

	async #batch({ batch, resolveOffset, heartbeat, isRunning, isStale }: EachBatchPayload): Promise<void> {
		const topic = batch.topic.slice(this.#parts.prefix.length + 1);
		const id = { topic, partition: batch.partition };
		const owned = this.#owned.get(partitionName(id));
		if (!owned || isStale()) return;
		const first = batch.messages[0];
		if (!first) return;
		const fetchedFrom = Number((batch as unknown as { fetchedOffset: string }).fetchedOffset);
		// A fetch that began past what the owner has would open a hole: fetch again from where it stands, unless
		// what lies between is no longer kept.
		if (fetchedFrom > owned.next && fetchedFrom > (await this.#parts.startOf(id))) {
			this.#seek(id, owned.next);
			return;
		}
		const records = batch.messages.map(toRecord);
		while (isRunning() && this.#owned.get(partitionName(id)) === owned) {
			if (owned.offer(records, true)) {
				resolveOffset(batch.lastOffset());
				return;
			}
			await Promise.race([owned.drained(), new Promise((resolve) => setTimeout(resolve, HEARTBEAT_MS))]);
			await heartbeat();
		}
	}

	#seek(id: PartitionId, offset: number): void {
		this.#consumer.seek({ topic: this.#topic(id), partition: id.partition, offset: String(offset) });
	}

	#idsOf(assignment: Readonly<Record<string, number[]>>): PartitionId[] {
		return Object.entries(assignment).flatMap(([name, partitions]) => {
			const topic = name.slice(this.#parts.prefix.length + 1);
			return partitions.map((partition) => ({ topic, partition }));
		});
	}

	#topic({ topic }: PartitionId): string {
		return `${this.#parts.prefix}.${topic}`;
	}

	#topicPartitions(id: PartitionId): { topic: string; partitions: number[] } {
		return { topic: this.#topic(id), partitions: [id.partition] };
	}
}
