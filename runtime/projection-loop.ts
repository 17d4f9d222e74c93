/**
 * What runs behind a projection: reads the mailboxes that this node owns, calls the handler until it succeeds or may not
 * be called again, and keeps the place in each partition. Owns cursors and retries; controls and watching are
 * projection.ts.
 */
import { MycelogError } from "../persistence/errors.ts";
import { unlessAborted } from "./abort.ts";
import type { Clock } from "./clock.ts";
import type { Retries } from "./define-actor.ts";
import type { Logger } from "./logger.ts";
import type { Node } from "./node.ts";
import { unknownType } from "./operator.ts";
import type { Partition } from "./partition.ts";
import { type ProjectionBatch, type ReadBatch, readBatch } from "./projection-batch.ts";
import { type Place, placeOf, positionText, StoredPositions } from "./projection-positions.ts";
import { ACTORS_TOPIC } from "./topics.ts";
import { Watermarks } from "./watermarks.ts";
import { WORK_ATTEMPTS_DEFAULT, WORK_BACKOFF_MS_DEFAULT, WORK_BACKOFF_MS_MAX } from "./work.ts";

/** Records of one call of a handler at most, if it is not told another number. */
export const PROJECTION_BATCH_RECORDS_DEFAULT = 500;
/** How often a projection that has caught up looks for more, milliseconds. */
export const PROJECT_EVERY_MS = 20;
/** How often the runtime stores the place in one partition while records are handled, milliseconds. */
export const POSITION_STORED_EVERY_MS = 1_000;
/** Records without one for the handler after which the place is stored all the same. */
export const POSITION_STORED_EVERY_RECORDS = 10_000;
/** Before the log is asked again that did not answer, milliseconds. */
const LOG_RETRY_MS = 1_000;

/** Of `node.project`. */
export interface ProjectionOptions {
	/** Its place is stored under this: 1 to 100 letters, digits, `.`, `_`, `-`. */
	readonly name: string;
	/** Never called twice at once on one node. Rejects: called again, see `retries`. */
	readonly handler: (batch: ProjectionBatch, signal: AbortSignal) => void | Promise<void>;
	/** Actor types whose messages it gets. Default: all of the node. */
	readonly types?: readonly string[];
	/** Where nothing is stored yet: all that the log keeps, or what comes from now on. Default: `start`. */
	readonly from?: "start" | "end";
	/** Gives the position that the handler has stored; without it the runtime stores one after the handler has run. */
	readonly load?: (partition: number) => string | undefined | Promise<string | undefined>;
	/** Records of one call at most. Default: PROJECTION_BATCH_RECORDS_DEFAULT. */
	readonly batch?: number;
	/** Of the handler and of `load`. Default: WORK_ATTEMPTS_DEFAULT, WORK_BACKOFF_MS_DEFAULT. */
	readonly retries?: Retries;
}

export interface ProjectionParts {
	readonly node: Node;
	readonly clock: Clock;
	readonly logger: Logger;
	readonly types: readonly string[];
}

export interface Cursor {
	/** Another object after the partition was away. */
	readonly of: Partition;
	place: Place;
	/** What is stored; undefined: nothing. */
	stored: string | undefined;
	storedAt: number;
	/** Records looked at, and whether one of them was handled, since. */
	scanned: number;
	handled: boolean;
}

export class ProjectionLoop {
	/** By partition. */
	readonly cursors = new Map<number, Cursor>();
	/** Tries that failed since one succeeded. */
	attempts = 0;
	readonly #options: ProjectionOptions;
	readonly #parts: ProjectionParts;
	readonly #types: ReadonlySet<string>;
	readonly #positions: StoredPositions;
	readonly #changed: () => void;

	/** Throws `actor.unknown-type`. */
	constructor(options: ProjectionOptions, parts: ProjectionParts, changed: () => void) {
		const { types = parts.types } = options;
		const unknown = types.find((type) => !parts.types.includes(type));
		if (unknown !== undefined) {
			throw unknownType(unknown, parts.types);
		}
		this.#options = options;
		this.#parts = parts;
		this.#types = new Set(types);
		this.#positions = new StoredPositions(parts.node, options.name);
		this.#changed = changed;
	}

	owned(): readonly Partition[] {
		return this.#parts.node.partitions.filter(({ id }) => id.topic === ACTORS_TOPIC);
	}

	/** Resolves to why it has ended: undefined if it was aborted. No handler runs any more then. */
	async run(signal: AbortSignal): Promise<Error | undefined> {
		this.attempts = 0;
		// The last call may have ended with its transaction in force, and an error all the same.
		if (this.#options.load) this.cursors.clear();
		try {
			for (;;) {
				const isNew = await this.#round(signal);
				signal.throwIfAborted();
				if (!isNew) await this.#wait(PROJECT_EVERY_MS, signal);
			}
		} catch (error) {
			await this.#storeAll();
			return signal.aborted ? undefined : (error as Error);
		}
	}

	/** Forget the places in all partitions of this node. */
	async reset(): Promise<void> {
		if (!this.#options.load) {
			await Promise.all(this.owned().map(({ id }) => this.#positions.reset(id.partition)));
		}
		this.cursors.clear();
	}

	/** One batch of each partition; false: none had any. */
	async #round(signal: AbortSignal): Promise<boolean> {
		const owned = this.owned();
		for (const [partition, { of }] of this.cursors) {
			if (!owned.includes(of)) this.cursors.delete(partition);
		}
		let isNew = false;
		for (const of of owned) {
			if (signal.aborted) return isNew;
			const cursor = await this.#patiently(signal, () => this.#cursor(of, signal));
			if (cursor.place.next < of.next) {
				await this.#advance(cursor, signal);
				isNew = true;
			}
			await this.#patiently(signal, () => this.#storeInTime(cursor));
		}
		return isNew;
	}

	async #cursor(of: Partition, signal: AbortSignal): Promise<Cursor> {
		const { partition } = of.id;
		const known = this.cursors.get(partition);
		if (known?.of === of) return known;
		const { load, from } = this.#options;
		const stored = load
			? await this.#tried(of, signal, () => load(partition))
			: await this.#positions.load(partition);
		const { start, end } = await this.#parts.node.log.bounds(of.id);
		const place = stored === undefined ? placeAt(from === "end" ? end : start) : placeOf(stored);
		if (place.next < start || place.next > end) {
			const text = `projection ${this.#options.name} is at offset ${place.next} of partition ${partition}, the log has ${start} to ${end}: reset it`;
			throw new MycelogError("log.offset-trimmed", text, {
				projection: this.#options.name,
				partition,
				start,
				end,
			});
		}
		const storedAt = this.#parts.clock.now();
		const cursor = { of, place, stored, storedAt, scanned: 0, handled: false };
		// What comes from now on must still do so after a restart.
		if (stored === undefined && from === "end") {
			const nothing = { records: [], place, position: positionText(place), scanned: 0 };
			if (!load) await this.#store(cursor);
			else if (!(await this.#handle(cursor, nothing, signal))) return this.#cursor(of, signal);
		}
		this.cursors.set(partition, cursor);
		this.#changed();
		return cursor;
	}

	async #advance(cursor: Cursor, signal: AbortSignal): Promise<void> {
		const { of, place } = cursor;
		const { batch: maxRecords = PROJECTION_BATCH_RECORDS_DEFAULT, load } = this.#options;
		const { log } = this.#parts.node;
		const range = { end: of.next, types: this.#types, maxRecords };
		const batch = await this.#patiently(signal, () => readBatch(log, of.id, place, range));
		const { records, scanned } = batch;
		cursor.scanned += scanned;
		const isOnlyPlace = load !== undefined && cursor.scanned >= POSITION_STORED_EVERY_RECORDS;
		if (records.length > 0 || isOnlyPlace) {
			if (!(await this.#handle(cursor, batch, signal))) return;
			cursor.handled = true;
		}
		cursor.place = batch.place;
		this.#changed();
	}

	/** False: somebody has stored another position meanwhile; it is loaded anew. */
	async #handle(cursor: Cursor, { records, position }: ReadBatch, signal: AbortSignal): Promise<boolean> {
		const { handler, load } = this.#options;
		const { partition } = cursor.of.id;
		const after = cursor.stored;
		let isOurs = true;
		await this.#tried(cursor.of, signal, async (attempt) => {
			// A transaction whose end was not heard of may be in force.
			if (load && attempt > 1 && (await load(partition)) !== after) {
				isOurs = false;
				this.cursors.delete(partition);
				return;
			}
			await handler({ partition, records, position, after }, signal);
		});
		if (load && isOurs) {
			cursor.stored = position;
			cursor.scanned = 0;
		}
		return isOurs;
	}

	/** With growing pauses, as often as it may; then rejects with `projection.handler-failed`. */
	async #tried<T>(of: Partition, signal: AbortSignal, work: (attempt: number) => T | Promise<T>): Promise<T> {
		const { retries = {} } = this.#options;
		const { attempts = WORK_ATTEMPTS_DEFAULT, backoffMs = WORK_BACKOFF_MS_DEFAULT } = retries;
		for (let attempt = 1; ; attempt++) {
			try {
				const result = await work(attempt);
				this.attempts = 0;
				return result;
			} catch (error) {
				signal.throwIfAborted();
				this.attempts = attempt;
				const cause = error as Error;
				const { partition } = of.id;
				const fields = { projection: this.#options.name, partition, attempts: attempt };
				if (attempt >= attempts) {
					const next = this.cursors.get(partition)?.place.next;
					const text = `projection ${this.#options.name} failed ${attempt} times at offset ${next ?? "-"} of partition ${partition}: ${cause.name}: ${cause.message}`;
					throw new MycelogError("projection.handler-failed", text, { ...fields, next }, { cause });
				}
				this.#parts.logger.warn({ ...fields, err: cause }, "handler of a projection failed; trying again");
				this.#changed();
				await this.#wait(Math.min(backoffMs * 2 ** (attempt - 1), WORK_BACKOFF_MS_MAX), signal);
			}
		}
	}

	/** What the log owes is waited for; what it no longer has is a failure. */
	async #patiently<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
		for (;;) {
			try {
				return await work();
			} catch (err) {
				signal.throwIfAborted();
				if (!MycelogError.is(err) || !err.retryable) throw err;
				this.#parts.logger.warn({ projection: this.#options.name, err }, "projection waits for the log");
				await this.#wait(LOG_RETRY_MS, signal);
			}
		}
	}

	async #storeInTime(cursor: Cursor): Promise<void> {
		if (this.#options.load) return;
		const isDue = this.#parts.clock.now() - cursor.storedAt >= POSITION_STORED_EVERY_MS;
		if ((cursor.handled && isDue) || cursor.scanned >= POSITION_STORED_EVERY_RECORDS)
			await this.#store(cursor);
	}

	async #store(cursor: Cursor): Promise<void> {
		const { partition } = cursor.of.id;
		const position = positionText(cursor.place);
		if (!(await this.#positions.store(partition, position))) this.cursors.delete(partition);
		cursor.stored = position;
		cursor.storedAt = this.#parts.clock.now();
		cursor.scanned = 0;
		cursor.handled = false;
	}

	/** What cannot be stored now is handled again by the next one. */
	async #storeAll(): Promise<void> {
		if (this.#options.load) return;
		const handled = [...this.cursors.values()].filter((cursor) => cursor.handled);
		const stored = await Promise.allSettled(handled.map((cursor) => this.#store(cursor)));
		for (const one of stored) {
			if (one.status === "fulfilled") continue;
			const fields = { projection: this.#options.name, err: one.reason };
			this.#parts.logger.warn(fields, "place of a projection not stored: what it handled last comes again");
		}
	}

	async #wait(ms: number, signal: AbortSignal): Promise<void> {
		const { promise, resolve } = Promise.withResolvers<void>();
		const cancel = this.#parts.clock.after(ms, resolve);
		await unlessAborted(promise, signal).finally(cancel);
	}
}

function placeAt(next: number): Place {
	return { next, watermarks: new Watermarks() };
}
