/**
 * Snapshots for whoever owns a partition next: written to a compacted topic, read from it into the own store.
 * Owns that topic's records and how far they were read; the log stays the truth, this only spares folding it again.
 *
 * Why neither a stale owner nor a repeated or late append does harm here: a snapshot's key names the actor and the
 * offset, so what lies under one key is always the same, whoever wrote it; of an actor the highest offset is taken, and
 * only a durable one with a higher offset lets another be removed. A checkpoint's key names the epoch of its owner, and
 * the newest epoch's is taken; every snapshot that it counts on, or a newer one, lies before it.
 */
import type { Appender } from "./appender.ts";
import { MycelogError } from "./errors.ts";
import type { Log, LogRecord, NewRecord, PartitionId, TopicSpec } from "./log.ts";
import type { Checkpoint, SharedSnapshot, SnapshotStore, StoredSnapshot } from "./snapshots.ts";

export const SNAPSHOTS_TOPIC = "snapshots";
/** Bytes of one record; a larger snapshot travels in parts. */
const PART_BYTES_MAX = 512 * 1024;
/** Records of one read. */
const READ_RECORDS_MAX = 1_000;

export function snapshotsTopic(partitions: number): TopicSpec {
	return { name: SNAPSHOTS_TOPIC, partitions, compacted: true };
}

export interface SharedSnapshotsParts {
	readonly log: Log;
	readonly appender: Appender;
	readonly store: SnapshotStore;
	/** Milliseconds since 1970. */
	readonly now: () => number;
}

export class SharedSnapshots {
	readonly #parts: SharedSnapshotsParts;
	/** By partition number: what is read or written of it, one after the other. */
	readonly #reading = new Map<number, Promise<void>>();
	/** By partition number: up to where the own store knows the topic. */
	readonly #known = new Map<number, Known>();

	constructor(parts: SharedSnapshotsParts) {
		this.#parts = parts;
	}

	/** Bring the own store up to what others wrote of this partition number. */
	catchUp(partition: number): Promise<void> {
		const before = this.#reading.get(partition) ?? Promise.resolve();
		const reading = before.then(() => this.#read(partition));
		// The next one begins anew where this one failed.
		this.#reading.set(
			partition,
			reading.catch(() => {}),
		);
		return reading;
	}

	/**
	 * For the next owner: the snapshots of `changed`, then the checkpoint that counts on them. Resolves when they are
	 * durable; the own store must have them too, before it may be told that it knows them.
	 */
	async publish(checkpoint: Checkpoint, changed: readonly StoredSnapshot[]): Promise<Publication> {
		const { appender, store } = this.#parts;
		const { partition: id, epoch } = checkpoint;
		const records = changed.flatMap((snapshot) => this.#partsOf(id, snapshot));
		records.push(this.#checkpointRecord(checkpoint));
		// Only after what takes their place.
		for (const { address, offset } of changed) records.push(...this.#removals(address, offset));
		const older = store.checkpoint(id)?.epoch;
		if (older !== undefined && older !== epoch) records.push(this.#record(checkpointKey(id, older), {}));
		const target = { topic: SNAPSHOTS_TOPIC, partition: id.partition };
		const options = { retryForever: true };
		const appended = records.map((record) => appender.append(target, record, options));
		const offsets = await Promise.all(appended);
		const known = this.#known.get(id.partition) ?? new Known(undefined);
		this.#known.set(id.partition, known);
		return known.published(offsets);
	}

	#partsOf({ topic }: PartitionId, snapshot: StoredSnapshot): NewRecord[] {
		const { address, offset } = snapshot;
		const bytes = contentOf(snapshot);
		return keysOf(address, offset, bytes.length).map((key, part, { length: parts }) => {
			const headers = { topic, address, offset, part, parts };
			const value = bytes.subarray(part * PART_BYTES_MAX, (part + 1) * PART_BYTES_MAX);
			return this.#record(key, headers, value);
		});
	}

	/** Of the older snapshot of an actor, which the own store still has. */
	#removals(address: string, newer: number): NewRecord[] {
		const { store } = this.#parts;
		const older = store.stored(address);
		if (!older || older.offset >= newer) return [];
		// Only of a large one is it worth knowing how large it was as it was sent.
		const large = older.bytes > PART_BYTES_MAX / 4 ? store.load(address) : undefined;
		const keys = keysOf(address, older.offset, large ? contentOf(large).length : older.bytes);
		return keys.map((key) => this.#record(key, {}));
	}

	#checkpointRecord({ partition: id, epoch, next, watermarks }: Checkpoint): NewRecord {
		const headers = { topic: id.topic, epoch, next };
		return this.#record(checkpointKey(id, epoch), headers, Buffer.from(watermarks));
	}

	/** Without a value it removes its key. */
	#record(
		key: string,
		headers: Readonly<Record<string, string | number>>,
		value: Uint8Array = new Uint8Array(),
	): NewRecord {
		const texts = Object.entries(headers).map(([name, of]) => [name, String(of)]);
		return { key, value, headers: Object.fromEntries(texts), timestamp: this.#parts.now() };
	}

	async #read(partition: number): Promise<void> {
		const { log, store } = this.#parts;
		const id = { topic: SNAPSHOTS_TOPIC, partition };
		let next = store.followedTo(partition);
		const pieces = new Pieces();
		for (;;) {
			const records = await this.#page(log, id, next);
			const last = records.at(-1);
			if (!last) break;
			next = last.offset + 1;
			const snapshots: SharedSnapshot[] = [];
			const checkpoints: Checkpoint[] = [];
			for (const record of records) {
				if (record.value.length === 0) continue;
				if (record.headers["address"] === undefined) {
					checkpoints.push(checkpointOf(record, partition));
					continue;
				}
				const snapshot = pieces.add(record);
				if (snapshot) snapshots.push(snapshot);
			}
			// Of a snapshot that is not whole yet the parts must be read again, should this end here.
			store.merge(partition, pieces.open ?? next, checkpoints, snapshots);
		}
		this.#known.set(partition, new Known(next));
	}

	/** A topic that was made anew begins before what was read of the old one. */
	async #page(log: Log, id: PartitionId, from: number): Promise<LogRecord[]> {
		try {
			return await log.read(id, from, { maxRecords: READ_RECORDS_MAX, waitMs: 0 });
		} catch (error) {
			if (!MycelogError.is(error, "log.offset-trimmed")) throw error;
			return log.read(id, Number(error.details["start"]), { maxRecords: READ_RECORDS_MAX, waitMs: 0 });
		}
	}
}

/** What was published and waits to be in the own store too. */
export interface Publication {
	/** Up to where the store knows the topic once it has this one; undefined: as far as before. */
	followedTo(): number | undefined;
	/** It has. */
	saved(): void;
}

/**
 * Up to where one store knows one partition of the topic, as its own records are added. A record of somebody else's
 * among them ends the knowledge until the topic is read again, and so does one that the store could not take.
 */
class Known {
	/** First record that is not known; undefined: nobody can say any more. */
	#next: number | undefined;
	#waiting: { readonly to: number; saved: boolean }[] = [];

	constructor(next: number | undefined) {
		this.#next = next;
	}

	/** `offsets`: of the own records, ascending. */
	published(offsets: readonly number[]): Publication {
		const end = this.#waiting.at(-1)?.to ?? this.#next;
		let to = end;
		// Some of them may have been read already.
		for (const offset of offsets) if (to !== undefined && offset <= to) to = Math.max(to, offset + 1);
		if (to === undefined || to <= (offsets.at(-1) as number)) {
			this.#next = undefined;
			this.#waiting = [];
			return { followedTo: () => undefined, saved: () => {} };
		}
		const entry = { to, saved: false };
		this.#waiting.push(entry);
		return {
			followedTo: () => (this.#next !== undefined && this.#waiting[0] === entry ? entry.to : undefined),
			saved: () => {
				entry.saved = true;
				while (this.#waiting[0]?.saved) this.#next = this.#waiting.shift()?.to;
			},
		};
	}
}

/** Puts snapshots that came in several records together. */
class Pieces {
	/** By address. */
	readonly #found = new Map<string, (LogRecord | undefined)[]>();

	/** Offset of the first part of which others are missing; undefined: none is. */
	get open(): number | undefined {
		let first: number | undefined;
		for (const pieces of this.#found.values()) {
			for (const piece of pieces) {
				if (piece && (first === undefined || piece.offset < first)) first = piece.offset;
			}
		}
		return first;
	}

	/** The snapshot that this record completes. */
	add(record: LogRecord): SharedSnapshot | undefined {
		const { address = "", offset, part, parts } = record.headers;
		if (parts === "1") return snapshotOf([record]);
		let pieces = this.#found.get(address);
		// A newer snapshot is coming: the older one, whose writer died over it, will not be completed any more.
		if (!pieces || pieces.some((piece) => piece && piece.headers["offset"] !== offset)) {
			pieces = new Array<LogRecord | undefined>(Number(parts)).fill(undefined);
			this.#found.set(address, pieces);
		}
		pieces[Number(part)] = record;
		if (pieces.includes(undefined)) return undefined;
		this.#found.delete(address);
		return snapshotOf(pieces as LogRecord[]);
	}
}

function contentOf({ version, state, timers, claim }: StoredSnapshot): Buffer {
	return Buffer.from(JSON.stringify({ version, state, timers, claim }));
}

function snapshotOf(pieces: readonly LogRecord[]): SharedSnapshot {
	const { topic = "", address = "", offset } = (pieces[0] as LogRecord).headers;
	const content = JSON.parse(Buffer.concat(pieces.map(({ value }) => value)).toString());
	return { ...content, topic, address, offset: Number(offset) };
}

function checkpointOf({ headers, value }: LogRecord, partition: number): Checkpoint {
	const { topic = "", epoch, next } = headers;
	const watermarks = Buffer.from(value).toString();
	return { partition: { topic, partition }, epoch: Number(epoch), next: Number(next), watermarks };
}

function keysOf(address: string, offset: number, bytes: number): string[] {
	const parts = Math.max(1, Math.ceil(bytes / PART_BYTES_MAX));
	return Array.from({ length: parts }, (_, part) => `${address}@${offset}#${part}`);
}

/** No address begins so. */
function checkpointKey({ topic }: PartitionId, epoch: number): string {
	return `!${topic}@${epoch}`;
}
