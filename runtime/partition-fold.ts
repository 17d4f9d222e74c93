/**
 * Folds some or all actors of one partition in one pass over it, from its first record or stored states on, as far as it is
 * told each time.
 * Owns where it stands; carries out nothing. One actor alone, step by step, is fold.ts.
 */
import { MycelogError } from "../persistence/errors.ts";
import { type PartitionId, partitionName, type ReadableLog } from "../persistence/log.ts";
import { Actor } from "./actor.ts";
import { type Address, typeOf } from "./address.ts";
import type { Behaviours } from "./behaviour.ts";
import { messageOf } from "./message.ts";
import { isHistory, isWholeRebuild } from "./recovery-records.ts";
import { Watermarks } from "./watermarks.ts";

/** Records a page: between two, whoever shares the process has its turn. */
export const FOLD_PAGE_RECORDS = 1_000;

/** States to go on from, all as of one checkpoint. */
export interface FoldBegin {
	/** First offset not contained in them. */
	readonly next: number;
	/** As of there. */
	readonly watermarks: Watermarks;
	readonly actors: ReadonlyMap<Address, Actor>;
}

export interface PartitionFoldOptions {
	/** Which actors. Default: all. */
	readonly wanted?: { has(address: Address): boolean; delete?(address: Address): void };
	/** Told after each page: records looked at since the last one. */
	readonly onRecords?: (records: number) => void;
	/** Default: nothing, and the first record. */
	readonly begin?: FoldBegin | undefined;
}

export class PartitionFold {
	/** Those that have had a message. */
	readonly actors = new Map<Address, Actor>();
	/** Commands and timers folded, repeats left out. */
	folded = 0;
	/** Actors that had a state to begin with and were folded anew behind it, with the offset: their states here are not theirs. */
	readonly outdated = new Map<Address, number>();
	readonly #log: ReadableLog;
	readonly #partition: PartitionId;
	readonly #behaviours: Behaviours;
	readonly #options: PartitionFoldOptions;
	readonly #watermarks: Watermarks;
	#next: number | undefined;
	/** One after the other, whoever asks. */
	#reading: Promise<void> = Promise.resolve();

	constructor(
		log: ReadableLog,
		partition: PartitionId,
		behaviours: Behaviours,
		options: PartitionFoldOptions,
	) {
		this.#log = log;
		this.#partition = partition;
		this.#behaviours = behaviours;
		this.#options = options;
		const { begin } = options;
		this.#watermarks = begin?.watermarks ?? new Watermarks();
		this.#next = begin?.next;
		for (const [address, actor] of begin?.actors ?? []) this.actors.set(address, actor);
	}

	/** The next offset to fold; undefined before the first page. */
	get next(): number | undefined {
		return this.#next;
	}

	/** An actor as it stands, which is not folded any further; undefined: it had no message. */
	take(address: Address): Actor | undefined {
		const actor = this.actors.get(address);
		this.actors.delete(address);
		this.#options.wanted?.delete?.(address);
		return actor;
	}

	/** Up to but without `end`. Rejects with `log.offset-trimmed` where the partition's beginning is gone. */
	to(end: number): Promise<void> {
		const read = () => this.#readTo(end);
		this.#reading = this.#reading.then(read, read);
		return this.#reading;
	}

	async #readTo(end: number): Promise<void> {
		this.#next ??= await this.#start();
		while (this.#next < end) {
			const maxRecords = Math.min(FOLD_PAGE_RECORDS, end - this.#next);
			const page = await this.#log.read(this.#partition, this.#next, { maxRecords, waitMs: 0 });
			const last = page.at(-1);
			if (!last) return;
			for (const record of page) if (record.offset < end) this.#fold(record);
			this.#next = Math.min(last.offset + 1, end);
			this.#options.onRecords?.(page.length);
			await new Promise((resolve) => setImmediate(resolve));
		}
	}

	async #start(): Promise<number> {
		const { start } = await this.#log.bounds(this.#partition);
		if (start === 0) return start;
		const partition = partitionName(this.#partition);
		const text = `${partition} starts at offset ${start}: older history is gone, and nothing can be folded from its beginning`;
		throw new MycelogError("log.offset-trimmed", text, { partition, start });
	}

	#fold(record: Parameters<typeof messageOf>[0]): void {
		const message = messageOf(record);
		if ("unreadable" in message) return;
		// Repeats are recognised over the whole partition, as the live loop does.
		if (message.origin && this.#watermarks.seen(message.origin, message.offset)) return;
		const { wanted } = this.#options;
		if (!isHistory(message.kind) || (wanted && !wanted.has(message.to))) return;
		let actor = this.actors.get(message.to);
		if (!actor) {
			const behaviour = this.#behaviours.get(typeOf(message.to));
			if (behaviour?.topic !== this.#partition.topic) return;
			actor = Actor.fresh(message.to, behaviour);
			this.actors.set(message.to, actor);
		}
		// A state may be newer than the checkpoint that it is stored with.
		if (message.offset <= actor.offset) return;
		if (this.#options.begin && isWholeRebuild(message)) this.outdated.set(message.to, message.offset);
		this.folded++;
		actor.sinceSnapshot++;
		try {
			actor.receive(message);
		} catch {
			// As the live loop does, which parks the record.
			actor.fail(message);
		}
	}
}
