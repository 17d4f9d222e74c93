/**
 * Ownership of partitions through a Kafka consumer group: which partitions are this member's, and their hand-over.
 * Owns the member of the group, whose partitions all stay paused: records come by kafka-follower.ts and, as soon as
 * they are acknowledged, from the writer. Offsets are the owner's (checkpoints), never the group's.
 */
import type { Consumer, Kafka } from "kafkajs";
import { coPartitionedAssigner } from "./kafka-assigner.ts";
import type { KafkaFollower } from "./kafka-follower.ts";
import type { KafkaProgress } from "./kafka-progress.ts";
import type { LogRecord, PartitionId, PartitionOwner } from "./log.ts";
import { partitionName } from "./log.ts";
import { OwnedPartition } from "./owned-partition.ts";

/** Milliseconds. A dead member is noticed after the session timeout; a rebalance within one heartbeat. */
const SESSION_MS = 10_000;
const HEARTBEAT_MS = 500;
/** Between two tries to find the group's coordinator, milliseconds, and how many there are. */
const COORDINATOR_RETRY_MS = 1_000;
const COORDINATOR_TRIES_MAX = 20;

export interface MembershipParts {
	readonly kafka: Kafka;
	readonly group: string;
	readonly prefix: string;
	readonly progress: KafkaProgress;
	readonly follower: KafkaFollower;
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
			// With all partitions paused this is the pause between two heartbeats.
			maxWaitTimeInMs: HEARTBEAT_MS,
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
			eachBatch: () => Promise.reject(new Error("a paused partition was fetched by the consumer group")),
		});
		await first;
	}

	/** Records this process appended itself: no need to wait until they are fetched back. */
	appended(id: PartitionId, records: readonly LogRecord[]): void {
		const owned = this.#owned.get(partitionName(id));
		// Refused: others' records lie before them.
		if (owned && !owned.offer(records, false)) this.#parts.follower.hurry();
	}

	/** Let the owner make everything safe, then leave, so that the next owner finds it so. */
	async leave(): Promise<void> {
		await this.#serving;
		await this.#release([...this.#owned.values()]);
		await this.#consumer.disconnect();
	}

	/** Called while kafkajs emits, before its first fetch of the new generation: pausing must not wait. */
	#take(assignment: Readonly<Record<string, number[]>>): Promise<void> {
		this.#consumer.pause(Object.entries(assignment).map(([topic, partitions]) => ({ topic, partitions })));
		const ids = this.#idsOf(assignment);
		const names = new Set(ids.map(partitionName));
		const fresh = ids.filter((id) => !this.#assigned.has(partitionName(id)));
		this.#assigned = names;
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
		this.#parts.follower.follow(owned);
	}

	async #release(lost: readonly OwnedPartition[]): Promise<void> {
		for (const { id } of lost) {
			this.#owned.delete(partitionName(id));
			this.#parts.follower.unfollow(id);
		}
		await Promise.all(
			lost.map(async (owned) => {
				await owned.release();
				await this.#owner?.revoked(owned.id);
			}),
		);
	}

	#idsOf(assignment: Readonly<Record<string, number[]>>): PartitionId[] {
		return Object.entries(assignment).flatMap(([name, partitions]) => {
			const topic = name.slice(this.#parts.prefix.length + 1);
			return partitions.map((partition) => ({ topic, partition }));
		});
	}
}
