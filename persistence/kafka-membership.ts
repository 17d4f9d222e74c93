/**
 * Ownership of partitions by the members of a Kafka group: serves what a generation assigns, lets go of what it takes.
 * Owns the hand-over: a partition that moves is safe before anybody else gets it. Offsets are the owner's (checkpoints),
 * never the group's; records come by kafka-follower.ts and, as soon as they are acknowledged, from the writer.
 */
import { MycelogError } from "./errors.ts";
import type { KafkaCluster } from "./kafka-cluster.ts";
import type { KafkaFollower } from "./kafka-follower.ts";
import { type Assignment, KafkaGroup } from "./kafka-group.ts";
import type { KafkaProgress } from "./kafka-progress.ts";
import type { KafkaWatch, WatchParts } from "./kafka-watch.ts";
import type { LogRecord, Member, PartitionId, PartitionOwner, Release } from "./log.ts";
import { partitionName } from "./log.ts";
import { OwnedPartition } from "./owned-partition.ts";

/** Between two tries to serve a partition, milliseconds: doubles from the first to the last with each that fails. */
const SERVE_RETRY_MS_FIRST = 1_000;
const SERVE_RETRY_MS_MAX = 30_000;

export interface MembershipParts {
	/** With a connection of its own: a join holds it up. */
	readonly cluster: KafkaCluster;
	/** As `cluster`, for what must be said while a join holds that up. */
	readonly apart: <T>(work: (cluster: KafkaCluster) => Promise<T>) => Promise<T>;
	/** Milliseconds without a sign of life after which a member loses its partitions. */
	readonly silenceMs: number;
	/** Undefined: Kafka's own sessions tell who is silent. */
	readonly watch: ((onSilent: WatchParts["onSilent"]) => KafkaWatch) | undefined;
	readonly group: string;
	readonly prefix: string;
	readonly progress: KafkaProgress;
	readonly follower: KafkaFollower;
	readonly owner: PartitionOwner;
	readonly member: Member;
	readonly onError: (error: unknown) => void;
}

export class KafkaMembership {
	readonly #parts: MembershipParts;
	/** Topics that are shared, with their numbers of partitions. */
	readonly #topics = new Map<string, number>();
	readonly #owned = new Map<string, OwnedPartition>();
	/** Numbers that are served, being served or being let go of. */
	readonly #held = new Set<number>();
	#wanted: ReadonlySet<number> = new Set();
	/** How what is not wanted any more is let go of. */
	#release: Release = "handed-over";
	/** What is done with a number ends before the next thing begins. */
	readonly #work = new Map<number, Promise<void>>();
	#group: KafkaGroup | undefined;
	#watch: KafkaWatch | undefined;
	/** There are others that can take over. */
	#hasOthers = false;
	/** Nothing more is taken. */
	#retired = false;
	#closed = false;

	constructor(parts: MembershipParts) {
		this.#parts = parts;
	}

	/** Resolves when the first assignment is served. */
	async join(topics: readonly string[]): Promise<void> {
		const { cluster, apart, silenceMs, watch, prefix, group, member, progress, owner } = this.#parts;
		await cluster.connect();
		for (const topic of topics) {
			await cluster.addTargetTopic(`${prefix}.${topic}`);
			this.#topics.set(topic, cluster.findTopicPartitionMetadata(`${prefix}.${topic}`).length);
		}
		this.#group = new KafkaGroup({
			cluster,
			apart,
			silenceMs,
			group,
			member,
			partitions: Math.max(0, ...this.#topics.values()),
			progress,
			owned: () => [...this.#held],
			onAssigned: (assignment) => this.#take(assignment),
			onHeld: () => {
				for (const owned of this.#owned.values()) owned.resume();
			},
			onExpelled: async () => {
				await this.#letGo("lost");
				return !this.#closed && ((await owner.expelled?.()) ?? true);
			},
		});
		this.#watch = watch?.(async ({ id }) => {
			await this.#group?.evict(id);
		});
		await this.#watch?.start();
		await this.#group.join();
		await this.#settled();
	}

	/** Records this process appended itself: no need to wait until they are fetched back. */
	appended(id: PartitionId, records: readonly LogRecord[]): void {
		const owned = this.#owned.get(partitionName(id));
		// Refused: others' records lie before them.
		if (owned && !owned.offer(records, false)) this.#parts.follower.hurry();
	}

	get partitions(): readonly PartitionId[] {
		return [...this.#owned.values()].map(({ id }) => id);
	}

	/** Where an owned partition ends, as far as is known without asking; 0: it is not owned. */
	end(id: PartitionId): number {
		return this.#owned.get(partitionName(id))?.end ?? 0;
	}

	/** Let the others have everything and take nothing more. Without others there is nobody to serve it but this one. */
	async handOver(): Promise<void> {
		if (!this.#hasOthers) return;
		this.#retired = true;
		await this.#letGo("handed-over");
		await this.#group?.retire();
	}

	/** Let the owner make everything safe, then leave, so that the next owner finds it so. */
	async leave(): Promise<void> {
		this.#closed = this.#retired = true;
		await this.#watch?.stop();
		await this.#letGo("handed-over");
		await this.#group?.leave();
	}

	#take({ numbers, members, isLeader }: Assignment): void {
		this.#watch?.update(members);
		this.#parts.owner.members?.(
			members.map(({ name }) => name),
			isLeader,
		);
		this.#hasOthers = members.length > 1;
		this.#parts.follower.alone = !this.#hasOthers;
		this.#wanted = this.#retired ? new Set() : new Set(numbers);
		this.#release = "handed-over";
		const leaving = [...this.#held].filter((number) => !this.#wanted.has(number));
		void Promise.all(leaving.map((number) => this.#settle(number))).then(() => {
			// Whoever is to have them hears of it in the next generation.
			if (leaving.length > 0) this.#group?.rejoin();
		});
		for (const number of this.#wanted) void this.#settle(number);
	}

	async #letGo(how: Release): Promise<void> {
		this.#wanted = new Set();
		this.#release = how;
		await Promise.all([...this.#held].map((number) => this.#settle(number)));
	}

	async #settled(): Promise<void> {
		await Promise.all(this.#work.values());
	}

	/** Bring one number to where it is wanted, after what is under way with it. */
	#settle(number: number): Promise<void> {
		const before = this.#work.get(number) ?? Promise.resolve();
		const work = before.then(async () => {
			if (this.#wanted.has(number)) await this.#serve(number);
			else await this.#let(number, this.#release);
		});
		this.#work.set(number, work);
		return work.finally(() => {
			if (this.#work.get(number) === work) this.#work.delete(number);
		});
	}

	async #serve(number: number): Promise<void> {
		if (this.#held.has(number)) return;
		this.#held.add(number);
		const { owner, follower, onError, progress } = this.#parts;
		await Promise.all(
			this.#ids(number).map(async (id) => {
				for (let pauseMs = SERVE_RETRY_MS_FIRST; ; pauseMs = Math.min(2 * pauseMs, SERVE_RETRY_MS_MAX)) {
					try {
						const next = await owner.assigned(id);
						const holds = () => this.#group?.holds ?? false;
						const failed = (error: unknown) => void this.#failed(number, owned, error);
						const owned = new OwnedPartition(id, next, owner, failed, holds);
						this.#owned.set(partitionName(id), owned);
						follower.follow(owned);
						return;
					} catch (error) {
						if (!this.#wanted.has(number)) return;
						progress.failed((error as Error).message);
						onError(error);
						await new Promise((resolve) => setTimeout(resolve, pauseMs));
					}
				}
			}),
		);
	}

	/**
	 * The owner found that another took over. An owner before this one may have said so late: if the group still means
	 * this one, it takes over once more.
	 */
	async #failed(number: number, owned: OwnedPartition, error: unknown): Promise<void> {
		if (!MycelogError.is(error, "log.fenced")) {
			this.#parts.onError(error);
			return;
		}
		await this.#group?.confirmed();
		if (this.#owned.get(partitionName(owned.id)) !== owned) return;
		const before = this.#work.get(number) ?? Promise.resolve();
		this.#work.set(
			number,
			before.then(() => this.#let(number, "lost")),
		);
		await this.#settle(number);
	}

	async #let(number: number, how: Release): Promise<void> {
		if (!this.#held.has(number)) return;
		const { owner, follower, onError } = this.#parts;
		await Promise.all(
			this.#ids(number).map(async (id) => {
				follower.unfollow(id);
				const owned = this.#owned.get(partitionName(id));
				this.#owned.delete(partitionName(id));
				try {
					await owned?.release();
					await owner.revoked(id, how);
				} catch (error) {
					onError(error);
				}
			}),
		);
		this.#held.delete(number);
	}

	#ids(number: number): PartitionId[] {
		return [...this.#topics]
			.filter(([, partitions]) => number < partitions)
			.map(([topic]) => ({ topic, partition: number }));
	}
}
