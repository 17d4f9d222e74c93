/**
 * Lets go of old records of the partitions this process owns, and of none that no checkpoint covers: brokers would, they
 * know of none. Owns when that is done and how far; topics it is done for are kept for ever by the brokers.
 */
import type { KafkaProgress } from "./kafka-progress.ts";
import type { KafkaReader } from "./kafka-reader.ts";
import { type PartitionId, partitionName, type TopicSpec } from "./log.ts";
import { takesNewWork } from "./log-health.ts";

/** Between two looks for old records, milliseconds: longer than others need to take a partition from this process. */
const TRIM_EVERY_MS = 30_000;

export interface RetentionParts {
	readonly reader: Pick<KafkaReader, "offsetAt" | "deleteRecords">;
	readonly topicName: (id: PartitionId) => string;
	readonly topics: readonly TopicSpec[];
	readonly owned: () => readonly PartitionId[];
	/** From which offset on no checkpoint covers the partition's records. */
	readonly uncovered: (id: PartitionId) => number;
	readonly progress: Pick<KafkaProgress, "health">;
	readonly onWarning: (message: string, fields: Readonly<Record<string, unknown>>) => void;
}

interface Known {
	/** As of the last look. */
	readonly uncovered: number;
	/** Everything before it has been deleted. */
	readonly deleted: number;
}

export class KafkaRetention {
	readonly #parts: RetentionParts;
	readonly #retentionMs: ReadonlyMap<string, number>;
	#known = new Map<string, Known>();
	#failed = false;
	#timer: NodeJS.Timeout | undefined;
	#stopped = false;

	constructor(parts: RetentionParts) {
		this.#parts = parts;
		const kept = parts.topics.filter(({ keepsUncovered }) => keepsUncovered);
		this.#retentionMs = new Map(
			kept.flatMap(({ name, retentionMs }) => (retentionMs === undefined ? [] : [[name, retentionMs]])),
		);
	}

	start(): void {
		if (this.#retentionMs.size === 0) return;
		this.#timer = setTimeout(() => {
			void this.look(Date.now()).then(() => {
				if (!this.#stopped) this.start();
			});
		}, TRIM_EVERY_MS).unref();
	}

	stop(): void {
		this.#stopped = true;
		clearTimeout(this.#timer);
	}

	/** `now`: milliseconds since 1970, by the clock that records are stamped with. */
	async look(now: number): Promise<void> {
		const before = this.#known;
		this.#known = new Map();
		for (const id of this.#parts.owned()) {
			const retentionMs = this.#retentionMs.get(id.topic);
			if (retentionMs === undefined) continue;
			// Whoever knows the checkpoints may be gone by now.
			if (this.#stopped) return;
			const name = partitionName(id);
			const { uncovered, deleted } = before.get(name) ?? { uncovered: 0, deleted: 0 };
			const known = { uncovered: this.#parts.uncovered(id), deleted };
			this.#known.set(name, known);
			// As of the last look: whoever owns the partition in truth by now began no earlier than there.
			if (uncovered <= deleted || !takesNewWork(this.#parts.progress.health())) continue;
			const upTo = await this.#deleted(id, now - retentionMs, uncovered);
			if (!this.#stopped) this.#known.set(name, { ...known, deleted: Math.max(deleted, upTo) });
		}
	}

	/** How far the partition was cut; 0: it was not. */
	async #deleted(id: PartitionId, before: number, uncovered: number): Promise<number> {
		const { reader, topicName, onWarning } = this.#parts;
		const topic = topicName(id);
		try {
			const upTo = Math.min((await reader.offsetAt(topic, id.partition, before)) ?? uncovered, uncovered);
			if (upTo > 0 && !this.#stopped) await reader.deleteRecords(topic, id.partition, upTo);
			this.#failed = false;
			return upTo;
		} catch (error) {
			const { message } = error as Error;
			const text = `old records of ${topic} were not deleted, its log grows: ${message}`;
			// Once: the next look meets the same trouble.
			if (!this.#failed && !this.#stopped) onWarning(text, { topic, partition: id.partition });
			this.#failed = true;
			return 0;
		}
	}
}
