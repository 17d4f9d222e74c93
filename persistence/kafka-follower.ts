/**
 * Reads the partitions this member owns, from where their owners stand, and hands over what it did not append itself.
 * Owns one fetch loop a broker; which partitions are owned is kafka-membership.ts, single reads are kafka-reader.ts.
 *
 * Why not through kafkajs' consumer: its fetch names every partition and comes back with each append, this member's
 * own ones too, which the owner has from the acknowledgement already. On one node that cost 7 times the processor
 * time of everything else. So a loop that brought nothing but own records pauses before it asks again.
 */
import { MycelogError } from "./errors.ts";
import type { FetchedPartition, KafkaCluster } from "./kafka-cluster.ts";
import type { KafkaProgress } from "./kafka-progress.ts";
import { type PartitionBounds, type PartitionId, partitionName } from "./log.ts";
import type { OwnedPartition } from "./owned-partition.ts";

/** Milliseconds a fetch waits for news: also how long a partition that was just assigned may wait for its first one. */
const FETCH_WAIT_MS = 250;
/** Bytes of one fetch, and of one partition in it: every partition gets its turn. */
const FETCH_BYTES_MAX = 8 * 1024 * 1024;
const PARTITION_BYTES_MAX = 1024 * 1024;
/**
 * Pause after a fetch that brought own records only, milliseconds; cut short where others' are known to be there. Where
 * other members share the log theirs may come at any moment, and each pause is a delay of a call between two nodes.
 */
const OWN_PAUSE_MS_ALONE = 10;
const OWN_PAUSE_MS_SHARED = 1;
/** Between two looks at owners that have no room, milliseconds. */
const FULL_PAUSE_MS = 10;
/** Between two tries after a failure, with leaders looked up anew, milliseconds. */
const RETRY_MS = 200;

export interface FollowerParts {
	/** With connections of its own: fetches hold them. */
	readonly cluster: KafkaCluster;
	readonly topicName: (id: PartitionId) => string;
	readonly boundsOf: (id: PartitionId) => Promise<PartitionBounds>;
	/** An append of this process to the partition is under way: a fetch may see it before its acknowledgement. */
	readonly isWriting: (id: PartitionId) => boolean;
	readonly progress: KafkaProgress;
	/** Told when a partition cannot be followed any further. */
	readonly onError: (error: unknown) => void;
}

interface Followed {
	readonly owned: OwnedPartition;
	readonly topic: string;
	/** Where the log goes on, if it does so behind the owner's next offset: markers and trimmed records have no owner. */
	readFrom: number;
}

export class KafkaFollower {
	/** No other member shares the log. */
	alone = true;
	readonly #parts: FollowerParts;
	readonly #cluster: KafkaCluster;
	readonly #followed = new Map<string, Followed>();
	readonly #topics = new Set<string>();
	/** By the id of the broker that leads them, as of the newest look at the leaders. */
	#led = new Map<string, Followed[]>();
	readonly #loops = new Map<string, Promise<void>>();
	#looking: Promise<void> | undefined;
	#lookAgain = false;
	readonly #pauses = new Set<() => void>();
	#closed = false;

	constructor(parts: FollowerParts) {
		this.#parts = parts;
		this.#cluster = parts.cluster;
	}

	connect(): Promise<void> {
		return this.#cluster.connect();
	}

	async disconnect(): Promise<void> {
		this.#closed = true;
		this.hurry();
		await this.#cluster.disconnect();
		await Promise.all([this.#looking, ...this.#loops.values()]);
	}

	/** Hand over records from `owned.next` on, until `unfollow`. */
	follow(owned: OwnedPartition): void {
		const { id, next } = owned;
		this.#followed.set(partitionName(id), { owned, topic: this.#parts.topicName(id), readFrom: next });
		this.#findLeaders();
	}

	unfollow(id: PartitionId): void {
		this.#followed.delete(partitionName(id));
		this.#findLeaders();
	}

	/** Records of others are known to be there: no pause now. */
	hurry(): void {
		for (const end of [...this.#pauses]) end();
	}

	#findLeaders(): void {
		this.#lookAgain = true;
		this.#looking ??= this.#look().finally(() => {
			this.#looking = undefined;
		});
	}

	async #look(): Promise<void> {
		while (this.#lookAgain && !this.#closed) {
			this.#lookAgain = false;
			await this.#parts.progress.shut;
			try {
				await this.#placeAtLeaders();
			} catch (cause) {
				this.#parts.progress.failed((cause as Error).message);
				await this.#pause(RETRY_MS);
				await this.#refresh();
				this.#lookAgain = true;
			}
		}
	}

	async #placeAtLeaders(): Promise<void> {
		const byTopic = Map.groupBy(this.#followed.values(), ({ topic }) => topic);
		const led = new Map<string, Followed[]>();
		for (const [topic, followed] of byTopic) {
			if (!this.#topics.has(topic)) await this.#cluster.addTargetTopic(topic);
			this.#topics.add(topic);
			const byNumber = new Map(followed.map((one) => [one.owned.id.partition, one]));
			const leaders = this.#cluster.findLeaderForPartitions(topic, [...byNumber.keys()]);
			for (const [leader, numbers] of Object.entries(leaders)) {
				// The broker's word for none.
				if (Number(leader) < 0) continue;
				const mine = numbers.flatMap((number) => byNumber.get(number) ?? []);
				led.set(leader, [...(led.get(leader) ?? []), ...mine]);
			}
		}
		this.#led = led;
		for (const leader of led.keys()) {
			if (this.#loops.has(leader)) continue;
			const loop = this.#loop(leader).finally(() => this.#loops.delete(leader));
			this.#loops.set(leader, loop);
		}
		const placed = new Set([...led.values()].flat());
		const leaderless = [...this.#followed.values()].filter((followed) => !placed.has(followed));
		if (leaderless.length === 0) return;
		// The others are read meanwhile; these are looked for until they have one.
		const names = leaderless.map(({ topic, owned }) => `${topic}/${owned.id.partition}`);
		throw new Error(`without a leader: ${names.join(", ")}`);
	}

	async #loop(leader: string): Promise<void> {
		for (;;) {
			await this.#parts.progress.shut;
			const led = this.#led.get(leader);
			if (!led || this.#closed) return;
			const ready = led.filter(({ owned }) => owned.hasRoom);
			if (ready.length === 0) {
				await this.#pause(FULL_PAUSE_MS);
				continue;
			}
			try {
				const fetched = await this.#fetch(leader, ready);
				this.#parts.progress.read();
				const news = this.#handOver(fetched);
				if (news === "own") await this.#pause(this.alone ? OWN_PAUSE_MS_ALONE : OWN_PAUSE_MS_SHARED);
			} catch (cause) {
				await this.#failed(cause as Error & { type?: string }, ready);
			}
		}
	}

	async #fetch(leader: string, ready: readonly Followed[]): Promise<Map<Followed, FetchedPartition>> {
		const asked = ready.map((followed) => {
			return { followed, from: Math.max(followed.owned.next, followed.readFrom) };
		});
		const broker = await this.#cluster.findBroker({ nodeId: leader });
		const answers = await broker.fetch({
			maxWaitMs: FETCH_WAIT_MS,
			maxBytes: FETCH_BYTES_MAX,
			partitions: asked.map(({ followed: { owned, topic }, from }) => {
				return { topic, partition: owned.id.partition, from, maxBytes: PARTITION_BYTES_MAX };
			}),
		});
		const named = new Map(
			asked.map((one) => [`${one.followed.topic}/${one.followed.owned.id.partition}`, one]),
		);
		const fetched = new Map<Followed, FetchedPartition>();
		for (const answer of answers) {
			const one = named.get(`${answer.topic}/${answer.partition}`);
			one?.followed.owned.reaches(answer.end);
			if (one && answer.next > one.from) fetched.set(one.followed, answer);
		}
		return fetched;
	}

	/** `own`: everything that came was appended by this process; `others`: not everything. */
	#handOver(fetched: ReadonlyMap<Followed, FetchedPartition>): "nothing" | "own" | "others" {
		let others = false;
		for (const [followed, { recordsFrom, next }] of fetched) {
			const { owned } = followed;
			// A batch that retention took in part comes whole.
			const before = Math.max(owned.next, followed.readFrom);
			if (next <= before) continue;
			const records = recordsFrom(before);
			if (records.length > 0 && !owned.offer(records, true)) continue;
			followed.readFrom = next;
			if (!this.#parts.isWriting(owned.id)) others = true;
		}
		if (fetched.size === 0) return "nothing";
		return others ? "others" : "own";
	}

	async #failed(cause: Error & { type?: string }, ready: readonly Followed[]): Promise<void> {
		if (this.#closed) return;
		try {
			if (cause.type !== "OFFSET_OUT_OF_RANGE") throw cause;
			// The broker does not say of which partition.
			await Promise.all(ready.map((followed) => this.#backInRange(followed)));
		} catch (error) {
			this.#parts.progress.failed((error as Error).message);
			await this.#pause(RETRY_MS);
			await this.#refresh();
			this.#findLeaders();
		}
	}

	/** What retention took is stepped over; a log that ends before its owner is not the one that the owner knows. */
	async #backInRange(followed: Followed): Promise<void> {
		const { id, next } = followed.owned;
		const at = Math.max(next, followed.readFrom);
		const { start, end } = await this.#parts.boundsOf(id);
		if (at < start) followed.readFrom = start;
		if (at <= end) return;
		this.unfollow(id);
		const text = `${followed.topic}/${id.partition} ends at offset ${end}, its owner is at ${at}: records are missing`;
		this.#parts.onError(new MycelogError("log.offset-trimmed", text, { offset: at, start, end }));
	}

	async #refresh(): Promise<void> {
		await this.#cluster.refreshMetadata().catch(() => {
			// The next try meets the same trouble and reports it.
		});
	}

	#pause(ms: number): Promise<void> {
		if (this.#closed) return Promise.resolve();
		return new Promise((resolve) => {
			const end = () => {
				clearTimeout(timer);
				this.#pauses.delete(end);
				resolve();
			};
			const timer = setTimeout(end, ms);
			this.#pauses.add(end);
		});
	}
}
