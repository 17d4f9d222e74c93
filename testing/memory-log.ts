/**
 * A log in memory that keeps the port's promises, and fails when a test tells it to.
 * Owns records, who owns which partition, and faults; for tests of what stands on a log, never of a log.
 * A `MemoryStorage` is what survives a process; a `MemoryLog` is one process's connection to it.
 */
import { MycelogError } from "../persistence/errors.ts";
import type {
	Log,
	LogHealth,
	LogRecord,
	Member,
	NewRecord,
	PartitionBounds,
	PartitionId,
	PartitionOwner,
	ReadLimit,
	Release,
	TopicSpec,
} from "../persistence/log.ts";
import { oversizeError, partitionName } from "../persistence/log.ts";
import { OwnedPartition } from "../persistence/owned-partition.ts";
import type { Clock } from "../runtime/clock.ts";
import { systemClock } from "../runtime/clock.ts";

/** Records a page while an owner catches up. */
const PAGE_RECORDS = 1_000;

/** Between two tries to prepare a partition, milliseconds. */
const SERVE_RETRY_MS = 1_000;

/** What happens to one append before it is stored: throw to fail it, return a promise to hold it up. */
export type Fault = (records: readonly NewRecord[], id: PartitionId) => Promise<void> | void;

/** The way of an append to the storage and of the acknowledgement back; calls `store` once, late, or never. */
export type Network = (
	store: () => number,
	records: readonly NewRecord[],
	id: PartitionId,
) => Promise<number>;

/** The records of all partitions, and the processes that take part in owning them. */
export class MemoryStorage {
	readonly #records = new Map<string, LogRecord[]>();
	/** Offsets that compaction took. */
	readonly #removed = new Map<string, ReadonlySet<number>>();
	readonly #starts = new Map<string, number>();
	readonly #topics = new Map<string, number>();
	readonly #owners = new Map<string, MemoryLog>();
	readonly #members = new Set<MemoryLog>();
	/** Moves of a partition, one after the other. */
	readonly #moves = new Map<string, Promise<void>>();

	/** Everything stored in a partition that was not trimmed. */
	all(id: PartitionId): readonly LogRecord[] {
		return (this.#records.get(partitionName(id)) ?? []).slice(this.bounds(id).start);
	}

	/** Records from an offset on, at most so many. */
	page(id: PartitionId, from: number, most: number): LogRecord[] {
		const records = this.#records.get(partitionName(id)) ?? [];
		const removed = this.#removed.get(partitionName(id));
		if (!removed) return records.slice(from, from + most);
		return records
			.slice(from)
			.filter(({ offset }) => !removed.has(offset))
			.slice(0, most);
	}

	/** Of each key only the newest record is left, and nothing of a key whose newest record is empty. */
	compact(id: PartitionId): void {
		const records = this.#records.get(partitionName(id)) ?? [];
		const newest = new Map(records.map((record) => [record.key, record]));
		const removed = records.filter(
			(record) => newest.get(record.key) !== record || record.value.length === 0,
		);
		this.#removed.set(partitionName(id), new Set(removed.map(({ offset }) => offset)));
	}

	/** As Log has it. */
	bounds(id: PartitionId): PartitionBounds {
		const name = partitionName(id);
		return { start: this.#starts.get(name) ?? 0, end: this.#records.get(name)?.length ?? 0 };
	}

	/** Gives the offset of the first one. */
	store(id: PartitionId, records: readonly NewRecord[]): number {
		const name = partitionName(id);
		let stored = this.#records.get(name);
		if (!stored) {
			stored = [];
			this.#records.set(name, stored);
		}
		const base = stored.length;
		for (const { key, value, headers, timestamp } of records) {
			stored.push({ key, value, headers, timestamp, offset: stored.length });
		}
		for (const member of this.#members) member.news(id);
		return base;
	}

	/** Retention: records before `start` are gone. */
	trim(id: PartitionId, start: number): void {
		this.#starts.set(partitionName(id), start);
	}

	/** A log that lost its newest records: only those before `end` are left. */
	cut(id: PartitionId, end: number): void {
		this.#records.get(partitionName(id))?.splice(end);
	}

	/** Whose names start with this. */
	topics(prefix: string): string[] {
		return [...this.#topics.keys()].filter((name) => name.startsWith(prefix));
	}

	/** With its records. */
	removeTopic(name: string): void {
		this.#topics.delete(name);
	}

	/** Make the topics that are missing; other numbers of partitions are refused. */
	ensure(topics: readonly TopicSpec[]): void {
		for (const { name, partitions } of topics) {
			const found = this.#topics.get(name) ?? partitions;
			if (found !== partitions) {
				const text = `topic "${name}" has ${found} partitions, ${partitions} are required`;
				throw new MycelogError("log.topic-mismatch", text, { topic: name, found, required: partitions });
			}
			this.#topics.set(name, partitions);
		}
	}

	/** From now on a log hears of records and may own partitions. */
	join(log: MemoryLog): void {
		this.#members.add(log);
	}

	/** A process is gone, or has let go of everything. */
	leave(log: MemoryLog): void {
		this.#members.delete(log);
		for (const [name, owner] of this.#owners) if (owner === log) this.#owners.delete(name);
	}

	/** Everybody hears who takes part now, as the group's next generation tells it. */
	tellMembers(): void {
		const names = [...this.#members].flatMap(({ memberName }) => memberName ?? []);
		for (const member of this.#members) member.hear(names);
	}

	/** Whose partition it is; undefined: nobody's. */
	owner(id: PartitionId): MemoryLog | undefined {
		return this.#owners.get(partitionName(id));
	}

	/** Hand a partition over: the owner lets go of it first, if there is one. */
	move(id: PartitionId, to: MemoryLog): Promise<void> {
		return this.#inTurn(id, async () => {
			const from = this.#owners.get(partitionName(id));
			if (from === to || !this.#members.has(to) || !to.takesPart) return;
			await from?.letGo(id);
			this.#owners.delete(partitionName(id));
			await to.letGo(id);
			await this.#give(id, to);
		});
	}

	/** The owner prepares the partition once more. */
	again(id: PartitionId, owner: MemoryLog): Promise<void> {
		return this.#inTurn(id, async () => {
			if (this.#owners.get(partitionName(id)) === owner) await this.#give(id, owner);
		});
	}

	/** As `move`, for a group that gave up on the owner: it goes on until `retire`. */
	usurp(id: PartitionId, to: MemoryLog): Promise<void> {
		return this.#inTurn(id, async () => {
			if (this.#owners.get(partitionName(id)) === to) return;
			await to.letGo(id);
			await this.#give(id, to);
		});
	}

	/** An owner that was usurped hears of it. */
	retire(id: PartitionId, from: MemoryLog): Promise<void> {
		return this.#inTurn(id, async () => {
			if (this.#owners.get(partitionName(id)) !== from) await from.letGo(id);
		});
	}

	async #give(id: PartitionId, to: MemoryLog): Promise<void> {
		if (!this.#members.has(to) || !to.takesPart) return;
		this.#owners.set(partitionName(id), to);
		await to.take(id);
	}

	#inTurn(id: PartitionId, work: () => Promise<void>): Promise<void> {
		const name = partitionName(id);
		const done = (this.#moves.get(name) ?? Promise.resolve()).then(work);
		this.#moves.set(
			name,
			done.catch(() => {}),
		);
		return done;
	}
}

/** Of a MemoryLog. */
export interface MemoryLogOptions {
	/** Default: 1,000,000. */
	readonly maxRecordBytes?: number;
	/** Default: one of its own. */
	readonly storage?: MemoryStorage;
	/** For reads that wait. Default: the system's. */
	readonly clock?: Clock;
}

/** A log in memory: one process's connection to a MemoryStorage. */
export class MemoryLog implements Log {
	readonly driver = "memory";
	readonly addresses = ["memory"];
	/** Bytes of one record. */
	readonly maxRecordBytes: number;
	readonly storage: MemoryStorage;
	fault: Fault = () => {};
	network: Network = async (store, records, id) => {
		await this.fault(records, id);
		return store();
	};
	/** Reads may be held up or fail. */
	readFault: (id: PartitionId) => Promise<void> | void = () => {};
	/** What an owner's handler threw; its partition has stopped. */
	readonly ownerErrors: unknown[] = [];
	/** Partition and size of every append as it came in, failed ones included. */
	readonly appends: { readonly partition: string; readonly records: number }[] = [];
	/** Most appends that were ever under way for one partition at once. */
	underWayMost = 0;
	readonly #clock: Clock;
	readonly #underWay = new Map<string, number>();
	readonly #owned = new Map<string, OwnedPartition>();
	/** Their owner failed. */
	readonly #stopped = new WeakSet<OwnedPartition>();
	#topics: readonly TopicSpec[] = [];
	#owner: PartitionOwner | undefined;
	#news: (() => void)[] = [];
	readonly #ended = Promise.withResolvers<void>();
	#isDeaf = false;
	/** Undefined: it does not take part with others. */
	memberName: string | undefined;
	#state: "open" | "closed" | "crashed" = "open";

	constructor(options: MemoryLogOptions = {}) {
		this.maxRecordBytes = options.maxRecordBytes ?? 1_000_000;
		this.storage = options.storage ?? new MemoryStorage();
		this.#clock = options.clock ?? systemClock;
	}

	async open(topics: readonly TopicSpec[]): Promise<void> {
		this.storage.ensure(topics);
		this.#topics = topics;
		this.storage.join(this);
	}

	async append(id: PartitionId, records: readonly NewRecord[]): Promise<number> {
		if (this.#state === "closed") this.#mustBeOpen();
		const name = partitionName(id);
		this.appends.push({ partition: name, records: records.length });
		const underWay = (this.#underWay.get(name) ?? 0) + 1;
		this.#underWay.set(name, underWay);
		this.underWayMost = Math.max(this.underWayMost, underWay);
		try {
			return await this.network(() => this.#store(id, records), records, id);
		} finally {
			this.#underWay.set(name, (this.#underWay.get(name) ?? 1) - 1);
		}
	}

	async read(id: PartitionId, from: number, { maxRecords, waitMs }: ReadLimit): Promise<LogRecord[]> {
		this.#mustBeOpen();
		await this.readFault(id);
		this.#mustBeOpen();
		const { start } = this.storage.bounds(id);
		if (from < start) throw new MycelogError("log.offset-trimmed", `offset ${from} is gone`, { start });
		if (waitMs > 0 && this.storage.page(id, from, 1).length === 0) await this.#wait(waitMs);
		return this.storage.page(id, from, maxRecords);
	}

	async bounds(id: PartitionId): Promise<PartitionBounds> {
		this.#mustBeOpen();
		return this.storage.bounds(id);
	}

	async own(topics: readonly string[], owner: PartitionOwner, member?: Member): Promise<void> {
		this.#owner = owner;
		this.memberName = member?.name;
		this.storage.tellMembers();
		for (const { name: topic, partitions } of this.#topics) {
			if (!topics.includes(topic)) continue;
			for (let partition = 0; partition < partitions; partition++) {
				const id = { topic, partition };
				if (!this.storage.owner(id)) await this.storage.move(id, this);
			}
		}
	}

	async topics(prefix: string): Promise<string[]> {
		this.#mustBeOpen();
		return this.storage.topics(prefix);
	}

	async removeTopics(names: readonly string[]): Promise<void> {
		this.#mustBeOpen();
		for (const name of names) this.storage.removeTopic(name);
	}

	health(): LogHealth {
		if (this.#state === "open") return { status: "healthy" };
		return { status: "unavailable", cause: this.#state, sinceMs: 0 };
	}

	async close(deadlineMs: number): Promise<void> {
		if (this.#state !== "open") return;
		const released = Promise.all([...this.#owned.values()].map(({ id }) => this.letGo(id)));
		let cancel: () => void = () => {};
		const deadline = new Promise<void>((resolve) => {
			cancel = this.#clock.after(deadlineMs, resolve);
		});
		await Promise.race([released, deadline]);
		cancel();
		this.#end("closed");
	}

	/** The process is gone: nothing is let go of, nothing is answered any more. */
	crash(): void {
		this.#end("crashed");
	}

	get crashed(): boolean {
		return this.#state === "crashed";
	}

	/** Records of the partitions it owns do not come to it, for as long as this is so. */
	set deaf(isDeaf: boolean) {
		this.#isDeaf = isDeaf;
		if (!isDeaf) for (const owned of this.#owned.values()) void this.#feed(owned);
	}

	/** Everything stored in a partition. */
	all(id: PartitionId): readonly LogRecord[] {
		return this.storage.all(id);
	}

	/** It has said that it takes part in owning partitions. */
	get takesPart(): boolean {
		return this.#owner !== undefined;
	}

	/** For the storage: who takes part now. */
	hear(names: readonly string[]): void {
		if (this.#state === "open" && this.memberName)
			this.#owner?.members?.(names, names[0] === this.memberName);
	}

	/** For the storage: the partition is this process's from now on. */
	async take(id: PartitionId): Promise<void> {
		await this.letGo(id, "lost");
		const owner = this.#owner as PartitionOwner;
		let next: number | undefined;
		for (;;) {
			try {
				next = (await Promise.race([owner.assigned(id), this.#ended.promise])) ?? undefined;
				break;
			} catch (error) {
				if (this.#state !== "open") return;
				if (this.storage.owner(id) !== this) throw error;
				const pause = new Promise<void>((resolve) => this.#clock.after(SERVE_RETRY_MS, resolve));
				await Promise.race([pause, this.#ended.promise]);
			}
		}
		if (next === undefined || this.#state !== "open") return;
		const owned = new OwnedPartition(id, next, owner, (error) => this.#failed(id, owned, error));
		this.#owned.set(partitionName(id), owned);
		void this.#feed(owned);
	}

	/** For the storage: the partition goes to another process. */
	async letGo(id: PartitionId, how: Release = "handed-over"): Promise<void> {
		const owned = this.#owned.get(partitionName(id));
		this.#owned.delete(partitionName(id));
		if (!owned) return;
		const released = owned.release().then(() => this.#owner?.revoked(id, how));
		await Promise.race([released, this.#ended.promise]);
	}

	/** One that was fenced although the group means it takes over once more. */
	#failed(id: PartitionId, owned: OwnedPartition, error: unknown): void {
		this.#stopped.add(owned);
		if (!MycelogError.is(error, "log.fenced")) {
			this.ownerErrors.push(error);
			return;
		}
		this.#clock.after(SERVE_RETRY_MS, () => {
			const isOwner = this.#state === "open" && this.storage.owner(id) === this;
			if (isOwner && this.#owned.get(partitionName(id)) === owned) void this.storage.again(id, this);
		});
	}

	/** For the storage: a partition has more records. */
	news(id: PartitionId): void {
		const owned = this.#owned.get(partitionName(id));
		if (owned) void this.#feed(owned);
		for (const wake of this.#news.splice(0)) wake();
	}

	#store(id: PartitionId, records: readonly NewRecord[]): number {
		const oversize = oversizeError(records, this.maxRecordBytes);
		if (oversize) throw oversize;
		return this.storage.store(id, records);
	}

	async #feed(owned: OwnedPartition): Promise<void> {
		if (owned.catchingUp || this.#isDeaf) return;
		owned.catchingUp = true;
		while (this.#owned.get(partitionName(owned.id)) === owned && !this.#isDeaf) {
			const from = Math.max(owned.next, this.storage.bounds(owned.id).start);
			const page = this.storage.page(owned.id, from, PAGE_RECORDS);
			if (page.length === 0) break;
			if (owned.offer(page, true)) continue;
			await owned.drained();
			// A failed owner takes nothing any more.
			if (this.#stopped.has(owned)) break;
		}
		owned.catchingUp = false;
	}

	async #wait(waitMs: number): Promise<void> {
		await new Promise<void>((resolve) => {
			const cancel = this.#clock.after(waitMs, resolve);
			this.#news.push(() => {
				cancel();
				resolve();
			});
		});
		this.#mustBeOpen();
	}

	#end(state: "closed" | "crashed"): void {
		this.#owned.clear();
		this.#state = state;
		this.#ended.resolve();
		this.storage.leave(this);
		for (const wake of this.#news.splice(0)) wake();
	}

	#mustBeOpen(): void {
		if (this.#state !== "open") throw new MycelogError("log.closed", `the log is ${this.#state}`);
	}
}
