/**
 * The partition loop: folds one owned partition's records, in order, and hands their effects on.
 * Owns dedupe, expiry, dead-lettering and checkpoints; effects are carried out by partition-effects.ts.
 */
import { MycelogError } from "../persistence/errors.ts";
import type { LogRecord, PartitionId, Release } from "../persistence/log.ts";
import { partitionName } from "../persistence/log.ts";
import type { Checkpoint } from "../persistence/snapshots.ts";
import { type Actor, timerEvent, timerFacts } from "./actor.ts";
import { ActorCache, type ActorCacheParts } from "./actor-cache.ts";
import { type Address, typeOf } from "./address.ts";
import type { Effect } from "./effect.ts";
import type { LiveNodes } from "./live-nodes.ts";
import { LiveRebuilds } from "./live-rebuilds.ts";
import { type Draft, encodeBody, type Message, messageOf, newOwnerIn } from "./message.ts";
import type { NodeName } from "./node-name.ts";
import { OutputGroup } from "./output-group.ts";
import type { Ownership } from "./ownership.ts";
import type { PartitionEffects } from "./partition-effects.ts";
import type { Wait } from "./progress.ts";
import { isRebuild } from "./recovery-records.ts";
import { Timers } from "./timers.ts";
import { CLIENTS_TOPIC } from "./topics.ts";
import type { Tracing } from "./tracing.ts";
import { Watermarks } from "./watermarks.ts";
import { WorkRunner } from "./work.ts";

/** Records folded between two checkpoints at most. */
export const CHECKPOINT_RECORDS_MAX = 5_000;
/** A change waits at most this long for its checkpoint, milliseconds. */
export const CHECKPOINT_AFTER_MS = 2_000;
/** Outputs that wait for the log, of one checkpoint interval (two at most overlap); past it the partition reads no further. */
export const OUTPUTS_PENDING_MAX = 10_000;
/** Times a throwing transition is tried. Transitions are pure: more tries cannot help, one more excludes a fluke. */
export const TRANSITION_TRIES_MAX = 2;

export interface PartitionParts extends ActorCacheParts {
	readonly node: NodeName;
	readonly nodes: LiveNodes;
	/** Where several nodes share the log. */
	readonly ownership: Ownership | undefined;
	/** Go on with states that miss what the log dropped before it was folded, rather than not at all. */
	readonly acceptLostRecords: boolean;
	readonly effects: PartitionEffects;
	readonly tracing: Tracing | undefined;
}

export class Partition {
	readonly id: PartitionId;
	readonly #parts: PartitionParts;
	readonly #source: string;
	readonly #actors: ActorCache;
	readonly #timers: Timers;
	readonly #work: WorkRunner;
	readonly #rebuilds: LiveRebuilds;
	/** Timer records appended but not folded yet, so that a second look does not append them again. */
	readonly #fired = new Set<string>();
	#watermarks = new Watermarks();
	#next = 0;
	/** Offset of the record by which this node took over; 0 where no other node could. */
	#epoch = 0;
	/** Another node took over since: what follows in the log is not this one's to fold. */
	#fenced = false;
	/** End of the log when this partition was assigned: before it we are recovering. */
	#recoveredTo = 0;
	#live = false;
	#outputs = new OutputGroup();
	#foldedSinceCheckpoint = 0;
	/** An actor has had as many messages as its type takes between two snapshots. */
	#snapshotDue = false;
	#checkpointing: Promise<void> | undefined;
	#cancelCheckpoint: (() => void) | undefined;
	#cancelSweep: (() => void) | undefined;
	/** The last one failed: the next waits for its time, however much is folded meanwhile. */
	#checkpointFailed = false;
	/** An output is not in the log and not on its way: only a new start makes it again, from the last checkpoint. */
	#outputLost = false;
	#released = false;

	constructor(id: PartitionId, parts: PartitionParts) {
		this.id = id;
		this.#parts = parts;
		this.#source = partitionName(id);
		this.#actors = new ActorCache(id, parts);
		this.#timers = new Timers(parts.clock, (address) => this.#due(address));
		this.#work = new WorkRunner(parts);
		const append = (draft: Draft) => parts.effects.emit(draft);
		this.#rebuilds = new LiveRebuilds(id, { ...parts, append, position: () => this.#next });
	}

	/** The next offset to fold: everything before it is in the actors' states. */
	get next(): number {
		return this.#next;
	}

	/** Caught up with the log as it was at assignment. */
	get live(): boolean {
		return this.#live;
	}

	/** The log reached up to here when it was assigned. */
	get recoveredTo(): number {
		return this.#recoveredTo;
	}

	/** Why it reads no further at present, as far as it is its own doing. */
	get waitsFor(): Wait | undefined {
		const { pending } = this.#outputs;
		if (pending > OUTPUTS_PENDING_MAX) return { outputs: pending };
		const attempts = this.#actors.rebuildTries;
		return attempts > 0 ? { rebuild: { attempts } } : undefined;
	}

	get actorsInMemory(): number {
		return this.#actors.size;
	}

	/** Load the newest checkpoint; resolves to the offset to fold from. */
	async restore(): Promise<number> {
		const { log, snapshots, logger, ownership } = this.#parts;
		this.#epoch = (await ownership?.take(this.id)) ?? 0;
		const { start, end } = await log.bounds(this.id);
		const checkpoint = snapshots.checkpoint(this.id);
		const partition = this.#source;
		if (checkpoint && checkpoint.next <= end) {
			this.#watermarks = Watermarks.decode(checkpoint.watermarks);
			this.#next = Math.max(checkpoint.next, start);
			if (checkpoint.next < start) this.#missRecords(checkpoint.next, start);
		} else {
			if (checkpoint) {
				const fields = { partition, checkpoint: checkpoint.next, start, end };
				logger.error(fields, "the checkpoint is ahead of the log: folding from the log's start");
			}
			// Snapshots of what this log does not hold are of another history.
			snapshots.forget(this.id, end);
			this.#next = start;
		}
		this.#recoveredTo = end;
		if (this.#next >= end) this.#goLive();
		return this.#next;
	}

	/** Those in a client's mailbox are let go of in time, by brokers with a retention of their own unfolded too; others never are. */
	#missRecords(checkpoint: number, start: number): void {
		const { logger, acceptLostRecords } = this.#parts;
		const partition = this.#source;
		const fields = { partition, checkpoint, start, lost: start - checkpoint };
		if (this.id.topic !== CLIENTS_TOPIC && !acceptLostRecords) {
			const text =
				`${partition} begins at offset ${start} in the log and its snapshots are as of ${checkpoint}: ` +
				`${fields.lost} records are gone that nobody has folded`;
			throw new MycelogError("log.records-lost", text, fields);
		}
		logger.error(fields, "the log dropped records before they were folded: going on from its start");
	}

	/** Fold a batch. Returns a promise while an actor is rebuilt or too many outputs wait. Fails with `log.fenced`. */
	records(batch: readonly LogRecord[], from = 0): Promise<void> | void {
		return this.#actors.during(batch, () => this.#records(batch, from));
	}

	#records(batch: readonly LogRecord[], from: number): Promise<void> | void {
		const now = this.#parts.clock.now();
		for (let i = from; i < batch.length; i++) {
			// Looked at before each record: one alone may have thousands of outputs, a batch of them millions.
			if (this.#outputs.pending > OUTPUTS_PENDING_MAX) {
				this.#parts.metrics.outputStalls++;
				return this.#outputs.below(OUTPUTS_PENDING_MAX).then(() => this.records(batch, i));
			}
			const waiting = this.#record(batch[i] as LogRecord, now);
			if (waiting) return waiting.then(() => this.records(batch, i));
		}
		const { metrics, clock } = this.#parts;
		if (this.#live) metrics.processing.observeSince(batch, clock.now());
		else if (this.#next >= this.#recoveredTo) this.#goLive();
		this.#planCheckpoint();
	}

	/** The actor as the loop sees it now: a consistent read between two records. */
	async actor(address: Address): Promise<Actor> {
		return this.#actors.get(address, this.#parts.clock.now(), this.#next);
	}

	/** Write what changed since the last one. Outputs of the records it covers are in the log before. */
	checkpoint(): Promise<void> {
		this.#checkpointing ??= this.#writeCheckpoint().finally(() => {
			this.#checkpointing = undefined;
		});
		return this.#checkpointing;
	}

	/** Stop timers and, while it is still this node's, write a last checkpoint. Call when no record is delivered any more. */
	async release(how: Release): Promise<void> {
		this.#released = true;
		if (how === "lost") this.#fenced = true;
		this.#timers.stop();
		this.#work.stop();
		this.#rebuilds.close();
		this.#actors.close();
		this.#cancelCheckpoint?.();
		this.#cancelSweep?.();
		// One under way waits for the log, and ends without a trace.
		if (how === "lost") return;
		await this.#checkpointing;
		await this.checkpoint();
	}

	/** A promise: the actor is being rebuilt, nothing was changed, call again after it. */
	#record(record: LogRecord, now: number): Promise<unknown> | undefined {
		const newOwner = newOwnerIn(record);
		if (newOwner !== undefined) {
			this.#handOver(record, newOwner);
			return undefined;
		}
		const message = messageOf(record);
		if ("unreadable" in message) {
			this.#park(record, message.unreadable, 0);
			this.#advance(record);
			return undefined;
		}
		const { metrics } = this.#parts;
		const { origin } = message;
		if (origin && this.#watermarks.isRepeat(origin)) {
			metrics.duplicates++;
			this.#advance(record);
			return undefined;
		}
		let actor: Actor | Promise<Actor> | undefined;
		if (isExpired(message, now)) metrics.expired++;
		else {
			try {
				actor = this.#actors.get(message.to, now, record.offset);
			} catch (error) {
				this.#park(record, error as Error, 0, message);
			}
		}
		if (actor instanceof Promise) return actor;
		const rebuilt = actor && this.#rebuilds.due(actor, message);
		if (rebuilt) return rebuilt.then((fresh) => this.#actors.put(fresh, now));
		this.#advance(record);
		// Only now: what a checkpoint says was seen must be in the states that it covers.
		if (origin) this.#watermarks.seen(origin, record.offset);
		if (!actor) return undefined;
		// What is folded again has been in its trace before.
		const span = this.#live ? this.#parts.tracing?.process(message, this.id) : undefined;
		this.#fold(actor, message);
		span?.end(actor.failedAt === message.offset ? "the actor failed on it" : undefined);
		return undefined;
	}

	/** Earlier owners are history; a later one has folded everything up to here, and goes on alone. Throws `log.fenced`. */
	#handOver(record: LogRecord, newOwner: string): void {
		if (record.offset > this.#epoch && newOwner !== this.#parts.node.text) {
			this.#fenced = true;
			const text = `${newOwner} took ${this.#source} over at offset ${record.offset}`;
			const details = { partition: this.#source, epoch: this.#epoch, newOwner, newEpoch: record.offset };
			throw new MycelogError("log.fenced", text, details);
		}
		this.#advance(record);
	}

	#advance(record: LogRecord): void {
		this.#next = record.offset + 1;
		this.#foldedSinceCheckpoint++;
	}

	#fold(actor: Actor, message: Message): void {
		// Its checkpoint was lost and its snapshot was not: this record is in its state, and what came of it in the log.
		if (message.offset <= actor.offset) return;
		this.#parts.metrics[message.kind]++;
		const effects = this.#receive(actor, message);
		if (++actor.sinceSnapshot === actor.behaviour.snapshotEvery) this.#snapshotDue = true;
		if (message.kind === "command" || message.kind === "timer") this.#watch(actor, message);
		if (!effects) return;
		if (isRebuild(message)) this.#outputs.add(this.#rebuilds.request(message), () => false);
		for (let i = 0; i < effects.length; i++) {
			this.#parts.effects.run(effects[i] as Effect, message, this.id, i, this.#outputs);
		}
	}

	/** Undefined: the behaviour threw every time and the record was parked. */
	#receive(actor: Actor, message: Message): readonly Effect[] | undefined {
		for (let tries = 1; ; tries++) {
			try {
				return actor.receive(message);
			} catch (error) {
				if (tries < TRANSITION_TRIES_MAX) continue;
				actor.fail(message);
				this.#park(message.record, error as Error, tries, message);
				return undefined;
			}
		}
	}

	#park(record: LogRecord, cause: Error | string, attempts: number, message?: Message): void {
		this.#parts.effects.park(this.id, record, { cause, attempts }, this.#outputs);
		if (message?.replyTo) {
			const text = typeof cause === "string" ? cause : `${cause.name}: ${cause.message}`;
			this.#parts.effects.reply(message.replyTo, { ok: false, error: text }, this.#outputs);
		}
	}

	#watch(actor: Actor, message: Message): void {
		if (message.kind === "timer") this.#fired.delete(firedKey(actor.address, message.facts ?? {}));
		const at = actor.nextTimerAt;
		if (!this.#live) return;
		if (at !== undefined) this.#timers.watch(actor.address, at);
		if (actor.behaviour.work) this.#work.reconcile(actor);
		// What an earlier process sent may arrive after this one has looked for its claims.
		this.#checkClaim(actor);
	}

	#checkClaim(actor: Actor): void {
		const { claim } = actor;
		if (claim === actor.toldLost) return;
		// It let go of what it was told of: should that claim come again, it is told again.
		actor.toldLost = undefined;
		if (!claim || !this.#parts.nodes.isGone(claim)) return;
		actor.toldLost = claim;
		this.#parts.effects.claimLost(actor.address, claim, this.#next);
	}

	/** Actors hear of claims on processes that are gone, those that are not in memory too. */
	checkClaims(): void {
		if (!this.#live || this.#released || this.#fenced) return;
		const { snapshots, nodes, effects } = this.#parts;
		const claims = new Map(snapshots.claims(this.id).map(({ address, claim }) => [address, claim]));
		for (const actor of this.#actors.all()) {
			claims.delete(actor.address);
			this.#checkClaim(actor);
		}
		for (const [address, claim] of claims) {
			if (nodes.isGone(claim)) effects.claimLost(address, claim, this.#next);
		}
	}

	/** Caught up: deadlines count from now on, and actors hear of claims on processes that are gone. */
	#goLive(): void {
		this.#live = true;
		const { snapshots } = this.#parts;
		const stored = snapshots.timers(this.id);
		this.#wake(stored.map(({ address }) => address));
		for (const { address, at } of stored) this.#timers.watch(address, at);
		for (const actor of this.#actors.all()) {
			if (actor.behaviour.work) this.#work.reconcile(actor);
			if (actor.nextTimerAt !== undefined) this.#timers.watch(actor.address, actor.nextTimerAt);
		}
		this.checkClaims();
	}

	/** Before any deadline is looked at: what it means now is for the actor to say. `stored`: those with timers. */
	#wake(stored: readonly Address[]): void {
		const { behaviours, effects } = this.#parts;
		const woken = new Map<Address, string>();
		for (const address of stored) {
			const type = behaviours.get(typeOf(address))?.wokenType;
			if (type) woken.set(address, type);
		}
		for (const { address, behaviour, hasTimers } of this.#actors.all()) {
			if (behaviour.wokenType && hasTimers) woken.set(address, behaviour.wokenType);
		}
		for (const [to, type] of woken) effects.append({ to, kind: "command", type, body: encodeBody({ type }) });
	}

	#due(address: Address): void {
		const { clock, effects, logger } = this.#parts;
		const append = (actor: Actor) => {
			if (this.#released || this.#fenced) return;
			const now = clock.now();
			if (actor.behaviour.work) this.#work.reconcile(actor);
			for (const timer of actor.timers) {
				const facts = timerFacts(timer);
				if (timer.work || timer.at > now || this.#fired.has(firedKey(address, facts))) continue;
				this.#fired.add(firedKey(address, facts));
				const event = timerEvent(timer);
				effects.append({ to: address, kind: "timer", type: event.type, body: encodeBody(event), facts });
			}
			const later = [...actor.timers].filter((t) => !t.work && t.at > now).map((t) => t.at);
			if (later.length > 0) this.#timers.watch(address, Math.min(...later));
		};
		this.actor(address).then(append, (err) => {
			const level = this.#released ? "debug" : "error";
			logger[level]({ address, partition: this.#source, err }, "timer not fired");
		});
	}

	#planCheckpoint(): void {
		if (this.#released) return;
		const isDue = this.#snapshotDue || this.#foldedSinceCheckpoint >= CHECKPOINT_RECORDS_MAX;
		if (isDue && !this.#checkpointFailed) {
			this.#snapshotDue = false;
			void this.checkpoint();
			return;
		}
		this.#cancelCheckpoint ??= this.#parts.clock.after(CHECKPOINT_AFTER_MS, () => {
			this.#cancelCheckpoint = undefined;
			if (!this.#released) void this.checkpoint();
		});
	}

	async #writeCheckpoint(): Promise<void> {
		const { snapshots, metrics, logger, ownership } = this.#parts;
		const changed = [...this.#actors.dirty()];
		const folded = this.#foldedSinceCheckpoint;
		if (this.#fenced || this.#outputLost) return;
		if (folded === 0 && changed.length === 0) {
			this.#passivate();
			return;
		}
		this.#foldedSinceCheckpoint = 0;
		try {
			const rows = changed.map((actor) => actor.snapshot());
			const checkpoint: Checkpoint = {
				partition: this.id,
				next: this.#next,
				watermarks: this.#watermarks.encode(),
				epoch: this.#epoch,
			};
			for (const actor of changed) {
				actor.dirty = false;
				actor.sinceSnapshot = 0;
			}
			const outputs = this.#outputs;
			this.#outputs = new OutputGroup();
			// A checkpoint before its outputs would lose them in a crash: nobody would make them again.
			await outputs.settled();
			if (outputs.lost !== undefined) {
				this.#outputLost = true;
				throw outputs.lost;
			}
			const shared = await ownership?.share(checkpoint, rows);
			// Whoever has the partition now, this node again perhaps, has stored more since.
			if (this.#fenced) return;
			snapshots.save(checkpoint, rows, shared?.followedTo());
			shared?.saved();
		} catch (err) {
			for (const actor of changed) actor.dirty = true;
			this.#foldedSinceCheckpoint += folded;
			this.#checkpointFailed = true;
			this.#planCheckpoint();
			// The last one of a node that stops while its log is away: the node says so once, for all of them.
			const level = this.#released && MycelogError.is(err) ? "debug" : "error";
			logger[level]({ partition: this.#source, err }, "checkpoint not written; the next one covers it");
			return;
		}
		this.#checkpointFailed = false;
		metrics.checkpoints++;
		metrics.snapshotsWritten += changed.length;
		this.#passivate();
	}

	/** Here alone, where every actor that is clean is stored; again when the next one may go, should no record come. */
	#passivate(): void {
		const { clock } = this.#parts;
		const nextMs = this.#actors.passivate(clock.now());
		if (nextMs === undefined || this.#released) return;
		this.#cancelSweep ??= clock.after(nextMs, () => {
			this.#cancelSweep = undefined;
			if (!this.#released) void this.checkpoint();
		});
	}
}

/** Commands never expire: they were accepted, and count. */
function isExpired({ kind, expiresAt }: Message, now: number): boolean {
	return expiresAt !== undefined && expiresAt < now && (kind === "query" || kind === "frame");
}

function firedKey(address: Address, facts: Readonly<Record<string, string>>): string {
	return `${address}\n${facts["timer"]}\n${facts["at"]}`;
}
