/**
 * Members that watch each other: each writes signs of life, all read them, and one that is silent for too long is
 * reported. Owns the signs and the judgement; taking a silent member out of the group is kafka-group.ts.
 *
 * Why beside Kafka's own sessions: brokers allow none below six seconds unless they are told to. A wrong guess does no
 * harm: whoever was taken out is fenced, hears of it with its next heartbeat, and joins again.
 */
import type { KafkaReader } from "./kafka-reader.ts";
import type { Member, NewRecord, PartitionId, TopicSpec } from "./log.ts";

export const SIGNS_TOPIC = "signs";
const SIGNS: PartitionId = { topic: SIGNS_TOPIC, partition: 0 };
/** Nobody reads old ones, milliseconds. */
const RETENTION_MS = 3_600_000;
/** Signs in the time after which a member is silent: so many may be lost or late. */
const SIGNS_PER_SILENCE = 5;
/** Records of one read, and how long it waits for a first one, milliseconds. */
const READ_RECORDS_MAX = 500;
const READ_WAIT_MS = 500;
/** Pause after a failed read, milliseconds. */
const READ_RETRY_MS = 300;

export const signsTopic: TopicSpec = { name: SIGNS_TOPIC, partitions: 1, retentionMs: RETENTION_MS };

export interface WatchParts {
	readonly member: Member;
	/** Milliseconds. */
	readonly silenceMs: number;
	readonly append: (id: PartitionId, record: NewRecord) => Promise<number>;
	/** With a connection of its own: it waits in its reads. */
	readonly reader: KafkaReader;
	readonly topicName: string;
	/** Told once a silence; once more, where it rejects. */
	readonly onSilent: (member: Pick<Member, "id" | "name">) => Promise<void>;
}

interface Watched {
	readonly id: string;
	readonly name: string;
	/** performance.now(), when its newest sign was read. */
	seenAt: number;
	told: boolean;
}

export class KafkaWatch {
	readonly #parts: WatchParts;
	readonly #watched = new Map<string, Watched>();
	readonly #value: Buffer;
	#timer: NodeJS.Timeout | undefined;
	#ownSeenAt = Number.NEGATIVE_INFINITY;
	#writing = false;
	#reading: Promise<void> | undefined;
	#closed = false;

	constructor(parts: WatchParts) {
		this.#parts = parts;
		this.#value = Buffer.from(parts.member.name);
	}

	async start(): Promise<void> {
		const { reader, topicName } = this.#parts;
		await reader.connect();
		const { end } = await reader.bounds(topicName, SIGNS.partition);
		this.#reading = this.#read(end);
		this.#timer = setInterval(() => this.#tick(), this.#everyMs);
		this.#tick();
	}

	/** The members that count; a newcomer has the whole time for its first sign. */
	update(members: readonly Pick<Member, "id" | "name">[]): void {
		const before = new Map(this.#watched);
		this.#watched.clear();
		const seenAt = performance.now();
		for (const { id, name } of members) {
			if (name === this.#parts.member.name) continue;
			this.#watched.set(name, before.get(name) ?? { id, name, seenAt, told: false });
		}
	}

	async stop(): Promise<void> {
		this.#closed = true;
		clearInterval(this.#timer);
		await this.#parts.reader.disconnect();
		await this.#reading;
	}

	get #everyMs(): number {
		return this.#parts.silenceMs / SIGNS_PER_SILENCE;
	}

	#tick(): void {
		this.#sign();
		const now = performance.now();
		// Who does not hear itself is deaf, and has nothing to say of others.
		if (now - this.#ownSeenAt > 2 * this.#everyMs) return;
		for (const watched of this.#watched.values()) {
			if (watched.told || now - watched.seenAt <= this.#parts.silenceMs) continue;
			watched.told = true;
			this.#parts.onSilent(watched).catch(() => {
				watched.told = false;
			});
		}
	}

	/** One at a time: a log that does not take them is a reason for silence, not for a queue. */
	#sign(): void {
		if (this.#writing) return;
		this.#writing = true;
		const record = { key: "", value: this.#value, headers: {}, timestamp: Date.now() };
		this.#parts
			.append(SIGNS, record)
			.catch(() => {
				// The writer has said why; the next sign is due soon.
			})
			.finally(() => {
				this.#writing = false;
			});
	}

	/** Until `stop`, whatever fails meanwhile. */
	async #read(from: number): Promise<void> {
		const { reader, topicName } = this.#parts;
		const limit = { maxRecords: READ_RECORDS_MAX, waitMs: READ_WAIT_MS };
		let next = from;
		while (!this.#closed) {
			try {
				const records = await reader.read(topicName, SIGNS.partition, next, limit);
				for (const { offset, value } of records) {
					next = offset + 1;
					this.#heard(Buffer.from(value).toString());
				}
			} catch {
				// Deaf for a while, which #tick takes into account; what was said meanwhile says nothing of now.
				await new Promise((resolve) => setTimeout(resolve, READ_RETRY_MS));
				next = await reader.bounds(topicName, SIGNS.partition).then(
					({ end }) => end,
					() => next,
				);
			}
		}
	}

	#heard(name: string): void {
		const now = performance.now();
		if (name === this.#parts.member.name) {
			// It was deaf: what the others said meanwhile is not known, so they get the whole time again.
			if (now - this.#ownSeenAt > 2 * this.#everyMs) {
				for (const watched of this.#watched.values()) watched.seenAt = now;
			}
			this.#ownSeenAt = now;
			return;
		}
		const watched = this.#watched.get(name);
		if (!watched) return;
		watched.seenAt = now;
		watched.told = false;
	}
}
