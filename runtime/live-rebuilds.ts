/**
 * Rebuilds of actors while their partition goes on: folded anew beside it, and put in place by a record of the owner's.
 * Owns what is asked for and what is prepared; how operators ask is rebuild.ts.
 *
 * The partition does not wait for the fold of a long history: `rebuild` only begins it. When that has caught up, the owner
 * appends `rebuilt`; at that record the little that came meanwhile is folded, and the actor is exchanged. Holding back the
 * actor's messages instead would have their outputs come after those of later records, and be dropped as repeats.
 */
import { MycelogError } from "../persistence/errors.ts";
import { type Log, type PartitionId, partitionName } from "../persistence/log.ts";
import { Actor } from "./actor.ts";
import type { Address } from "./address.ts";
import type { Behaviours } from "./behaviour.ts";
import type { Clock } from "./clock.ts";
import type { Logger } from "./logger.ts";
import type { Draft, Message } from "./message.ts";
import { FOLD_PAGE_RECORDS, PartitionFold } from "./partition-fold.ts";
import { REBUILT, rebuiltDraft, rebuiltIn } from "./recovery-records.ts";

/** Actors folded in one pass at most: so many are in memory a second time. */
export const REBUILDS_AT_ONCE_MAX = 1_000;
/** Pause before a history that could not be read is read again, milliseconds. */
const RETRY_MS = 1_000;

export interface LiveRebuildParts {
	readonly log: Log;
	readonly behaviours: Behaviours;
	readonly clock: Clock;
	readonly logger: Logger;
	readonly append: (draft: Draft) => Promise<number>;
	/** Where the partition's loop stands: nothing behind it may be folded here. */
	readonly position: () => number;
}

interface Request {
	/** Offset of the newest record that asks for it. */
	offset: number;
	/** A pass is under way that will answer it; the pass for somebody else's `rebuilt` may hold its actor too, and will not. */
	preparing: boolean;
	/** Its `rebuilt` is on its way: whoever asks now is answered by the next one. */
	answered: boolean;
	readonly done: PromiseWithResolvers<void>;
}

export class LiveRebuilds {
	readonly #partition: PartitionId;
	readonly #parts: LiveRebuildParts;
	readonly #requests = new Map<Address, Request>();
	/** Folds that hold the actor or will; several actors share one. */
	readonly #folds = new Map<Address, PartitionFold>();
	#running = false;
	#closed = false;
	/** Offset of the newest `rebuilt` whose actor was given out. */
	#done = -1;

	constructor(partition: PartitionId, parts: LiveRebuildParts) {
		this.#partition = partition;
		this.#parts = parts;
	}

	/** Asked for by a record. Resolves when its `rebuilt` is in the log or folded: a checkpoint must not come before. */
	request({ to, offset }: Message): Promise<void> {
		let request = this.#requests.get(to);
		if (!request || request.answered) {
			request = { offset, preparing: false, answered: false, done: Promise.withResolvers<void>() };
			this.#requests.set(to, request);
		}
		request.offset = offset;
		void this.#run();
		return request.done.promise;
	}

	/** The actor to go on with, folded up to this message; undefined: the one in memory is right. */
	due(actor: Actor, message: Message): Promise<Actor> | undefined {
		// Its checkpoint was lost and its snapshot was not, or this is the second look at the record.
		if (message.type !== REBUILT || message.offset <= Math.max(actor.offset, this.#done)) return undefined;
		if (message.from !== undefined) return undefined;
		const { refused, request } = rebuiltIn(message);
		return refused === undefined ? this.#finish(actor, message.offset, request) : undefined;
	}

	/** What is being folded is given up; the next owner begins anew. */
	close(): void {
		this.#closed = true;
		const closed = new MycelogError("log.closed", `${partitionName(this.#partition)} was let go of`);
		for (const { done } of this.#requests.values()) done.reject(closed);
		this.#requests.clear();
		this.#folds.clear();
	}

	async #finish({ address, behaviour }: Actor, before: number, answers: number): Promise<Actor> {
		const fold = this.#folds.get(address) ?? this.#foldOf([address, ...this.#unfolded()]);
		await this.#untilRead(() => fold.to(before));
		const actor = fold.take(address) ?? Actor.fresh(address, behaviour);
		actor.dirty = true;
		actor.sinceSnapshot = 0;
		this.#folds.delete(address);
		this.#settle(address, answers);
		this.#done = before;
		void this.#run();
		return actor;
	}

	#settle(address: Address, answers: number): void {
		const request = this.#requests.get(address);
		if (!request || request.offset > answers) return;
		request.done.resolve();
		this.#requests.delete(address);
	}

	/** Whose `rebuilt` may come next: they are folded in the same pass. */
	#unfolded(): Address[] {
		const unfolded = [...this.#requests.keys()].filter((address) => !this.#folds.has(address));
		return unfolded.slice(0, REBUILDS_AT_ONCE_MAX);
	}

	#waiting(): Address[] {
		const waiting = [...this.#requests].filter(([, { preparing, answered }]) => !preparing && !answered);
		return waiting.slice(0, REBUILDS_AT_ONCE_MAX).map(([address]) => address);
	}

	/** One pass after the other, each for all that was asked for until then. */
	async #run(): Promise<void> {
		if (this.#running) return;
		this.#running = true;
		try {
			for (;;) {
				const waiting = this.#waiting();
				if (this.#closed || waiting.length === 0) return;
				await this.#prepare(waiting);
			}
		} catch (error) {
			for (const { done } of this.#requests.values()) done.reject(error);
		} finally {
			this.#running = false;
		}
	}

	async #prepare(addresses: readonly Address[]): Promise<void> {
		const fold = this.#foldOf(addresses);
		for (const address of addresses) (this.#requests.get(address) as Request).preparing = true;
		let refused: string | undefined;
		try {
			await this.#untilRead(() => this.#catchUp(fold));
		} catch (error) {
			if (!MycelogError.is(error, "log.offset-trimmed")) throw error;
			refused = error.message;
		}
		await Promise.all(addresses.map((address) => this.#answer(address, fold, refused)));
	}

	async #answer(address: Address, fold: PartitionFold, refused: string | undefined): Promise<void> {
		const request = this.#requests.get(address);
		if (this.#closed || !request) return;
		request.preparing = false;
		// The loop came to an earlier `rebuilt` meanwhile.
		if (this.#folds.get(address) !== fold) return;
		request.answered = true;
		if (refused !== undefined) this.#folds.delete(address);
		const answer = { request: request.offset, ...(refused === undefined ? undefined : { refused }) };
		await this.#parts.append(rebuiltDraft(address, answer));
		request.done.resolve();
		if (refused !== undefined) this.#settle(address, request.offset);
	}

	/** Until it is a page behind the loop, which waits for the rest. */
	async #catchUp(fold: PartitionFold): Promise<void> {
		for (let before = -1; !this.#closed; ) {
			await fold.to(this.#parts.position());
			const next = fold.next ?? 0;
			if (next === before || this.#parts.position() - next <= FOLD_PAGE_RECORDS) return;
			before = next;
		}
	}

	#foldOf(addresses: readonly Address[]): PartitionFold {
		const { log, behaviours } = this.#parts;
		const fold = new PartitionFold(log, this.#partition, behaviours, { wanted: new Set(addresses) });
		for (const address of addresses) this.#folds.set(address, fold);
		return fold;
	}

	/** Tried until the log answers or is closed: a partition must not stop because its broker is away for a while. */
	async #untilRead(read: () => Promise<void>): Promise<void> {
		const { clock, logger } = this.#parts;
		for (;;) {
			try {
				await read();
				return;
			} catch (err) {
				const isFinal = MycelogError.is(err, "log.closed") || MycelogError.is(err, "log.offset-trimmed");
				if (this.#closed || isFinal) throw err;
				logger.warn({ partition: partitionName(this.#partition), err }, "history not readable; trying again");
				await new Promise<void>((resolve) => clock.after(RETRY_MS, resolve));
			}
		}
	}
}
