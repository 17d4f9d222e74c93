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
import type { SnapshotStore } from "../persistence/snapshots.ts";
import { Actor } from "./actor.ts";
import type { Address } from "./address.ts";
import type { Behaviours } from "./behaviour.ts";
import type { Clock } from "./clock.ts";
import type { Logger } from "./logger.ts";
import type { Draft, Message } from "./message.ts";
import { FOLD_PAGE_RECORDS, type FoldBegin, PartitionFold } from "./partition-fold.ts";
import { REBUILT, rebuildIn, rebuiltDraft, rebuiltIn } from "./recovery-records.ts";
import { outdatedIn, snapshotBegin } from "./snapshot-begin.ts";

/** Actors folded in one pass at most: so many are in memory a second time. */
export const REBUILDS_AT_ONCE_MAX = 1_000;
/** Pause before a history that could not be read is read again, milliseconds. */
const RETRY_MS = 1_000;

export interface LiveRebuildParts {
	readonly log: Log;
	readonly snapshots: SnapshotStore;
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
	/** The stored snapshot is enough to all who ask. */
	snapshot: boolean;
	readonly done: PromiseWithResolvers<void>;
}

export class LiveRebuilds {
	readonly #partition: PartitionId;
	readonly #parts: LiveRebuildParts;
	readonly #requests = new Map<Address, Request>();
	/** Folds that hold the actor or will; several actors share one. */
	readonly #folds = new Map<Address, PartitionFold>();
	readonly #fromSnapshots = new WeakSet<PartitionFold>();
	#running = false;
	#closed = false;
	/** Offset of the newest `rebuilt` whose actor was given out. */
	#done = -1;

	constructor(partition: PartitionId, parts: LiveRebuildParts) {
		this.#partition = partition;
		this.#parts = parts;
	}

	/** Asked for by a record. Resolves when its `rebuilt` is in the log or folded: a checkpoint must not come before. */
	request(message: Message): Promise<void> {
		const { to, offset } = message;
		const snapshot = rebuildIn(message).snapshot === true;
		let request = this.#requests.get(to);
		if (!request || request.answered) {
			const done = Promise.withResolvers<void>();
			request = { offset, preparing: false, answered: false, snapshot, done };
			this.#requests.set(to, request);
		}
		request.offset = offset;
		request.snapshot &&= snapshot;
		void this.#run();
		return request.done.promise;
	}

	/** The actor to go on with, folded up to this message; undefined: the one in memory is right. */
	due(actor: Actor, message: Message): Promise<Actor> | undefined {
		// Its checkpoint was lost and its snapshot was not, or this is the second look at the record.
		if (message.type !== REBUILT || message.offset <= Math.max(actor.offset, this.#done)) return undefined;
		if (message.from !== undefined) return undefined;
		const { refused, request, snapshot } = rebuiltIn(message);
		if (refused !== undefined) return undefined;
		// Folded again from the checkpoint, what is in memory has come from there as well.
		if (snapshot && !this.#folds.has(actor.address)) {
			this.#settle(actor.address, request);
			return undefined;
		}
		return this.#finish(actor, message.offset, { request, snapshot: snapshot === true });
	}

	/** What is being folded is given up; the next owner begins anew. */
	close(): void {
		this.#closed = true;
		const closed = new MycelogError("log.closed", `${partitionName(this.#partition)} was let go of`);
		for (const { done } of this.#requests.values()) done.reject(closed);
		this.#requests.clear();
		this.#folds.clear();
	}

	async #finish(
		{ address, behaviour }: Actor,
		before: number,
		answered: { readonly request: number; readonly snapshot: boolean },
	): Promise<Actor> {
		const known = this.#folds.get(address);
		const isEnough = known && (answered.snapshot || !this.#fromSnapshots.has(known));
		const fold = isEnough ? known : this.#foldOf([address, ...this.#unfolded()]);
		await this.#untilRead(() => fold.to(before));
		const actor = fold.take(address) ?? Actor.fresh(address, behaviour);
		actor.dirty = true;
		actor.sinceSnapshot = 0;
		this.#folds.delete(address);
		this.#settle(address, answered.request);
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
		const unfolded = [...this.#requests]
			.filter(([address, { snapshot }]) => !snapshot && !this.#folds.has(address))
			.map(([address]) => address);
		return unfolded.slice(0, REBUILDS_AT_ONCE_MAX);
	}

	/** Of those that begin with the same as the first one. */
	#waiting(): Address[] {
		const waiting = [...this.#requests].filter(([, { preparing, answered }]) => !preparing && !answered);
		const alike = waiting.filter(([, { snapshot }]) => snapshot === waiting[0]?.[1].snapshot);
		return alike.slice(0, REBUILDS_AT_ONCE_MAX).map(([address]) => address);
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
		const requests = addresses.map((address) => this.#requests.get(address) as Request);
		for (const request of requests) request.preparing = true;
		const isFromSnapshot = requests[0]?.snapshot === true;
		const { begin, unusable } = isFromSnapshot
			? snapshotBegin(this.#parts, this.#partition, addresses)
			: { begin: undefined, unusable: new Map<Address, string>() };
		const usable = addresses.filter((address) => !unusable.has(address));
		const fold = this.#foldOf(usable, begin);
		let refused: string | undefined;
		try {
			if (usable.length > 0) await this.#untilRead(() => this.#catchUp(fold));
		} catch (error) {
			if (!MycelogError.is(error, "log.offset-trimmed")) throw error;
			refused = error.message;
		}
		const outdated = outdatedIn(fold);
		const answers = usable.map((address) => this.#answer(address, fold, refused ?? outdated.get(address)));
		for (const [address, why] of unusable) answers.push(this.#answer(address, undefined, why));
		await Promise.all(answers);
	}

	/** Without a fold there was none to go on with. */
	async #answer(
		address: Address,
		fold: PartitionFold | undefined,
		refused: string | undefined,
	): Promise<void> {
		const request = this.#requests.get(address);
		if (this.#closed || !request) return;
		request.preparing = false;
		const isFromSnapshot = fold === undefined || this.#fromSnapshots.has(fold);
		// The loop came to an earlier `rebuilt` meanwhile.
		if (fold && this.#folds.get(address) !== fold) return;
		// Somebody has asked for all of it meanwhile.
		const isShort = isFromSnapshot && !request.snapshot;
		if (fold && (isShort || refused !== undefined)) this.#folds.delete(address);
		if (isShort) return;
		request.answered = true;
		const answer = {
			request: request.offset,
			...(refused === undefined ? undefined : { refused }),
			...(isFromSnapshot ? { snapshot: true } : undefined),
		};
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

	#foldOf(addresses: readonly Address[], begin?: FoldBegin): PartitionFold {
		const { log, behaviours } = this.#parts;
		const fold = new PartitionFold(log, this.#partition, behaviours, { wanted: new Set(addresses), begin });
		for (const address of addresses) this.#folds.set(address, fold);
		if (begin) this.#fromSnapshots.add(fold);
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
