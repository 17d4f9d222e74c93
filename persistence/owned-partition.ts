/**
 * Hands one owned partition's records to its owner: in order, none twice, one call at a time.
 * Owns the next expected offset and the bounded queue between a driver and the owner; knows no driver.
 */
import type { LogRecord, PartitionId, PartitionOwner } from "./log.ts";

/** Records waiting between driver and owner; past it a driver must read them again from the log. */
export const OWNED_QUEUE_RECORDS_MAX = 4096;
/** Records handed over in one call, so that checkpoints and other partitions get their turn. */
export const OWNED_BATCH_RECORDS_MAX = 512;

export class OwnedPartition {
	readonly id: PartitionId;
	/** The driver's own mark that it reads this partition from the log at present. */
	catchingUp = false;
	readonly #holds: () => boolean;
	readonly #owner: PartitionOwner;
	#next: number;
	#end = 0;
	#queue: LogRecord[] = [];
	#running: Promise<void> | undefined;
	#handing = false;
	#released = false;
	readonly #onError: (error: unknown) => void;

	/**
	 * `next`: first offset to deliver. `onError`: the owner's rejection, after which delivery has stopped.
	 * `holds`: false while it is not known whether the partition is still this owner's; `resume` when it is again.
	 */
	constructor(
		id: PartitionId,
		next: number,
		owner: PartitionOwner,
		onError: (error: unknown) => void,
		holds: () => boolean = () => true,
	) {
		this.#holds = holds;
		this.id = id;
		this.#next = next;
		this.#owner = owner;
		this.#onError = onError;
	}

	/** The offset of the next record wanted: everything before it was delivered or is queued. */
	get next(): number {
		return this.#next;
	}

	/** The log is known to reach up to here. */
	get end(): number {
		return Math.max(this.#end, this.#next);
	}

	/** The driver heard where the log ends. */
	reaches(end: number): void {
		this.#end = end;
	}

	/** False: an offer would be refused, whatever it holds. */
	get hasRoom(): boolean {
		return !this.#released && this.#queue.length < OWNED_QUEUE_RECORDS_MAX && this.#holds();
	}

	/**
	 * Take records whose first offset is the next expected one; records before it are dropped as seen.
	 * False: there is a gap before them or no room, and the driver must offer them again later from `next`.
	 */
	offer(records: readonly LogRecord[], contiguous: boolean): boolean {
		if (!this.hasRoom) return false;
		let first = 0;
		while (first < records.length && (records[first] as LogRecord).offset < this.#next) first++;
		if (first === records.length) return true;
		// A fetch from `next` may skip offsets (transaction markers); an acknowledgement may not.
		if (!contiguous && (records[first] as LogRecord).offset !== this.#next) return false;
		for (let i = first; i < records.length; i++) this.#queue.push(records[i] as LogRecord);
		this.#next = (records[records.length - 1] as LogRecord).offset + 1;
		this.#pump();
		return true;
	}

	/** Hand over what had to wait until the partition was known to be this owner's. */
	resume(): void {
		this.#pump();
	}

	/** Resolves when everything queued has been handed over, or the partition was released. */
	async drained(): Promise<void> {
		while (this.#running && !this.#released) await this.#running;
	}

	/** Stop delivering; resolves when a call under way has ended. Queued records are forgotten. */
	async release(): Promise<void> {
		this.#released = true;
		this.#queue = [];
		await this.#running;
	}

	#pump(): void {
		// An owner may cause an append whose acknowledgement offers records again, before its call has returned.
		if (this.#running || this.#handing) return;
		while (this.#queue.length > 0 && this.#holds()) {
			const batch = this.#queue.splice(0, OWNED_BATCH_RECORDS_MAX);
			let result: Promise<void> | void;
			this.#handing = true;
			try {
				result = this.#owner.records(this.id, batch);
			} catch (error) {
				this.#fail(error);
				return;
			} finally {
				this.#handing = false;
			}
			if (result) {
				this.#running = result
					.catch((error: unknown) => this.#fail(error))
					.finally(() => {
						this.#running = undefined;
						this.#pump();
					});
				return;
			}
		}
	}

	#fail(error: unknown): void {
		this.#released = true;
		this.#queue = [];
		this.#onError(error);
	}
}
