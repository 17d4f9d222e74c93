/**
 * A log in memory that keeps the port's promises, and fails when a test tells it to.
 * Owns records and faults; for tests of what stands on a log, never of a log.
 */
import { MycelogError } from "../../persistence/errors.ts";
import type {
	Log,
	LogHealth,
	LogRecord,
	NewRecord,
	PartitionBounds,
	PartitionId,
	PartitionOwner,
	ReadLimit,
	TopicSpec,
} from "../../persistence/log.ts";
import { partitionName } from "../../persistence/log.ts";
import { OwnedPartition } from "../../persistence/owned-partition.ts";

/** What happens to one append before it is stored: throw to fail it, return a promise to hold it up. */
export type Fault = (records: readonly NewRecord[], id: PartitionId) => Promise<void> | void;

export class MemoryLog implements Log {
	readonly driver = "memory";
	readonly maxRecordBytes: number;
	fault: Fault = () => {};
	/** Partition and size of every append as it came in, failed ones included. */
	readonly appends: { readonly partition: string; readonly records: number }[] = [];
	/** Most appends that were ever under way for one partition at once. */
	underWayMost = 0;
	readonly #records = new Map<string, LogRecord[]>();
	readonly #underWay = new Map<string, number>();
	readonly #owned = new Map<string, OwnedPartition>();
	#topics: readonly TopicSpec[] = [];
	#owner: PartitionOwner | undefined;
	#news: (() => void)[] = [];
	#closed = false;

	constructor(maxRecordBytes = 1_000_000) {
		this.maxRecordBytes = maxRecordBytes;
	}

	async open(topics: readonly TopicSpec[]): Promise<void> {
		this.#topics = topics;
	}

	async append(id: PartitionId, records: readonly NewRecord[]): Promise<number> {
		const name = partitionName(id);
		this.appends.push({ partition: name, records: records.length });
		const underWay = (this.#underWay.get(name) ?? 0) + 1;
		this.#underWay.set(name, underWay);
		this.underWayMost = Math.max(this.underWayMost, underWay);
		try {
			await this.fault(records, id);
			return this.#store(id, records);
		} finally {
			this.#underWay.set(name, underWay - 1);
		}
	}

	async read(id: PartitionId, from: number, { maxRecords, waitMs }: ReadLimit): Promise<LogRecord[]> {
		this.#open();
		const page = () => this.all(id).slice(from, from + maxRecords);
		if (page().length === 0 && waitMs > 0) await this.#wait(waitMs);
		return page();
	}

	async bounds(id: PartitionId): Promise<PartitionBounds> {
		this.#open();
		return { start: 0, end: this.all(id).length };
	}

	async own(topics: readonly string[], owner: PartitionOwner): Promise<void> {
		this.#owner = owner;
		for (const { name: topic, partitions } of this.#topics) {
			if (!topics.includes(topic)) continue;
			for (let partition = 0; partition < partitions; partition++) {
				const id = { topic, partition };
				const next = await owner.assigned(id);
				const owned = new OwnedPartition(id, next, owner, (error) => {
					throw error;
				});
				this.#owned.set(partitionName(id), owned);
				void this.#feed(owned);
			}
		}
	}

	health(): LogHealth {
		return this.#closed ? { status: "unavailable", cause: "closed", sinceMs: 0 } : { status: "healthy" };
	}

	async close(): Promise<void> {
		if (this.#closed) return;
		const owned = [...this.#owned.values()];
		this.#owned.clear();
		await Promise.all(owned.map((partition) => partition.release()));
		await Promise.all(owned.map(({ id }) => this.#owner?.revoked(id)));
		this.#closed = true;
		for (const wake of this.#news) wake();
	}

	/** Everything stored in a partition. */
	all(id: PartitionId): readonly LogRecord[] {
		return this.#records.get(partitionName(id)) ?? [];
	}

	#store(id: PartitionId, records: readonly NewRecord[]): number {
		this.#open();
		const oversize = records.find(({ value }) => value.length > this.maxRecordBytes);
		if (oversize) throw new MycelogError("log.record-too-large", `over the limit of ${this.maxRecordBytes}`);
		const stored = [...this.all(id)];
		const base = stored.length;
		for (const record of records) stored.push({ ...record, offset: stored.length });
		this.#records.set(partitionName(id), stored);
		const owned = this.#owned.get(partitionName(id));
		if (owned) void this.#feed(owned);
		for (const wake of this.#news.splice(0)) wake();
		return base;
	}

	async #feed(owned: OwnedPartition): Promise<void> {
		if (owned.catchingUp) return;
		owned.catchingUp = true;
		while (this.#owned.get(partitionName(owned.id)) === owned) {
			const page = this.all(owned.id).slice(owned.next, owned.next + 1_000);
			if (page.length === 0) break;
			if (!owned.offer(page, true)) await owned.drained();
		}
		owned.catchingUp = false;
	}

	#wait(waitMs: number): Promise<void> {
		return new Promise((resolve) => {
			const timer = setTimeout(resolve, waitMs);
			this.#news.push(() => {
				clearTimeout(timer);
				resolve();
			});
		});
	}

	#open(): void {
		if (this.#closed) throw new MycelogError("log.closed", "the log is closed");
	}
}
