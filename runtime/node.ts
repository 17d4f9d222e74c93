/**
 * One node: owns partitions of a log, folds their actors, takes messages in and gives answers out.
 * Owns start, stop and the assignment of partitions; the gateway and embedders talk to actors through it.
 */
import { Appender } from "../persistence/appender.ts";
import { MycelogError } from "../persistence/errors.ts";
import type { Log, LogRecord, PartitionId, PartitionOwner, Release } from "../persistence/log.ts";
import { partitionName } from "../persistence/log.ts";
import { refusalOf, takesNewWork } from "../persistence/log-health.ts";
import { SharedSnapshots, snapshotsTopic } from "../persistence/shared-snapshots.ts";
import type { SnapshotStore } from "../persistence/snapshots.ts";
import { unlessAborted } from "./abort.ts";
import type { Actor } from "./actor.ts";
import type { Address } from "./address.ts";
import { Asks } from "./asks.ts";
import { type Behaviour, type Behaviours, behavioursByType } from "./behaviour.ts";
import { type Clock, systemClock } from "./clock.ts";
import { DeadLetters } from "./dead-letters.ts";
import type { ReplyResult } from "./effect.ts";
import { LiveNodes } from "./live-nodes.ts";
import type { Logger } from "./logger.ts";
import { type Draft, type Event, encodeBody, type ReplyTo } from "./message.ts";
import { newRuntimeMetrics, type RuntimeMetrics } from "./metrics.ts";
import { NodeChannel } from "./node-channel.ts";
import { NodeName, nodeIdOf } from "./node-name.ts";
import { NodeQuestions, QUESTIONS_CONNECTION } from "./node-questions.ts";
import { answerStatus, type NodeStatus, otherStatuses } from "./node-status.ts";
import { NodeTopics } from "./node-topics.ts";
import type { OperatorParts } from "./operator.ts";
import { Outbox } from "./outbox.ts";
import { Ownership } from "./ownership.ts";
import { Partition, type PartitionParts } from "./partition.ts";
import { type LocalOutlets, PartitionEffects } from "./partition-effects.ts";
import { Progress, type Stall } from "./progress.ts";
import { OWN_PREFIX } from "./recovery-records.ts";
import { Standby } from "./standby.ts";
import { CLIENTS_RETENTION_MS_DEFAULT, MAILBOX_TOPICS, mailboxTopics, nodeTopic } from "./topics.ts";
import { Tracing } from "./tracing.ts";

/** How long a message from outside may wait for the log's acknowledgement, milliseconds. */
export const SUBMIT_DEADLINE_MS = 10_000;

/** Of a Node; `createNode` has defaults for most. */
export interface NodeOptions {
	/** Stable over restarts, unique in the cluster; letters, digits, `.`, `_`, `-`. */
	readonly id: string;
	/** Tells this process from earlier ones of the same id. */
	readonly boot: string;
	readonly log: Log;
	readonly snapshots: SnapshotStore;
	readonly behaviours: readonly Behaviour[];
	/** Of the mailbox topics; fixed when a log is first opened. */
	readonly partitions: number;
	readonly outlets: LocalOutlets;
	readonly logger: Logger;
	/** Several nodes share the log: read the own node topic for replies and deliveries from them. */
	readonly cluster: boolean;
	/** Milliseconds that messages of clients are kept. Default: CLIENTS_RETENTION_MS_DEFAULT. */
	readonly clientsRetentionMs?: number;
	/** See PartitionParts. Default: false. */
	readonly acceptLostRecords?: boolean;
	readonly clock?: Clock;
	/** Nodes that keep each partition's snapshots up to date beside its owner. Default: 0. */
	readonly standbyReplicas?: number;
	/** This process has lost its place for good: `node.succeeded`, `node.forgotten`. It should be stopped. */
	readonly onPlaceLost?: (error: MycelogError) => void;
	/** At least 0, below 1; spreads retries. Default: Math.random. */
	readonly random?: () => number;
}

/** Of a question to an address. */
export interface AskOptions {
	readonly kind: "command" | "query";
	/** Milliseconds for the answer; then `actor.ask-timeout`. */
	readonly timeoutMs: number;
	readonly from?: Address;
	readonly facts?: Readonly<Record<string, string>> | undefined;
	readonly signal?: AbortSignal | undefined;
}

/** An answer under way. `result` rejects with `actor.ask-timeout`. */
export interface Expectation {
	readonly replyTo: ReplyTo;
	readonly result: Promise<ReplyResult>;
	/** Nobody waits any more: a reply that comes is dropped. */
	forget(): void;
}

/** A reply that says no: the actor refused, with its own words. */
export class RefusedError extends Error {
	override readonly name = "RefusedError";
}

/** The runtime of one process: its share of the partitions, what waits for answers, and the way into the log. */
export class Node implements PartitionOwner {
	readonly name: NodeName;
	readonly log: Log;
	readonly behaviours: Behaviours;
	readonly metrics: RuntimeMetrics = newRuntimeMetrics();
	readonly nodes: LiveNodes;
	readonly appender: Appender;
	/** Undefined: there are no other nodes. */
	readonly questions: NodeQuestions | undefined;
	/** Undefined: no OpenTelemetry SDK was there when the node was made. */
	readonly tracing: Tracing | undefined;
	readonly #options: NodeOptions;
	readonly #clock: Clock;
	readonly #asks: Asks;
	readonly #outbox: Outbox;
	readonly #channel: NodeChannel | undefined;
	readonly #topics: NodeTopics | undefined;
	readonly #standby: Standby | undefined;
	readonly #parts: PartitionParts;
	readonly #owned = new Map<string, Partition>();
	readonly #progress = new Progress();
	/** Its place is another's, or nobody's: it has said so. */
	#ended = false;
	/** It has been ready, as far as its partitions go. */
	#caughtUp = false;
	/** Whatever share of the partitions is this node's, it has been served. */
	#joined = false;

	constructor(options: NodeOptions) {
		this.#options = options;
		this.log = options.log;
		this.name = new NodeName(options.id, options.boot);
		this.behaviours = behavioursByType(options.behaviours);
		const clock = options.clock ?? systemClock;
		this.#clock = clock;
		const { log, logger } = options;
		const random = options.random ?? Math.random;
		this.appender = new Appender(log, {
			now: () => clock.now(),
			after: (delayMs, callback) => clock.after(delayMs, callback),
			random: () => random(),
			turn: setImmediate,
		});
		this.tracing = Tracing.find(this.name.id);
		const { appender, name: node, behaviours, metrics, tracing } = this;
		this.#asks = new Asks(clock, metrics);
		this.#outbox = new Outbox({ appender, behaviours, partitions: options.partitions, clock, node });
		this.#channel = options.cluster ? new NodeChannel({ log, appender, node, clock, logger }) : undefined;
		this.questions = this.#channel && new NodeQuestions(this, this.#channel);
		if (this.questions) answerStatus(this, this.questions);
		this.nodes = new LiveNodes(node, clock, () => {
			for (const partition of this.#owned.values()) partition.checkClaims();
		});
		const { nodes } = this;
		const deadLetters = new DeadLetters(appender, clock, logger);
		const effects = new PartitionEffects({
			outbox: this.#outbox,
			asks: this.#asks,
			node,
			nodes,
			outlets: options.outlets,
			channel: this.#channel,
			behaviours,
			deadLetters,
			metrics,
			logger,
			tracing,
		});
		const { snapshots } = options;
		let ownership: Ownership | undefined;
		if (options.cluster) {
			const shared = new SharedSnapshots({ log, appender, store: snapshots, now: () => clock.now() });
			ownership = new Ownership({ appender, node, clock, snapshots: shared });
			this.#topics = new NodeTopics({ log, clock, logger });
			const { partitions, standbyReplicas: replicas = 0 } = options;
			const standby = { snapshots: shared, replicas, partitions, name: node.text, clock, logger };
			this.#standby = replicas > 0 ? new Standby(standby) : undefined;
		}
		const { acceptLostRecords = false } = options;
		const shared = { log, snapshots, behaviours, metrics, logger, clock, node, nodes };
		this.#parts = { ...shared, ownership, effects, acceptLostRecords, tracing };
	}

	/** Resolves when the first partitions are restored; `ready` tells when they caught up. */
	async start(): Promise<void> {
		const { partitions, clientsRetentionMs } = this.#options;
		const topics = mailboxTopics(partitions, clientsRetentionMs ?? CLIENTS_RETENTION_MS_DEFAULT);
		const { id, text: name } = this.name;
		if (!this.#channel) {
			await this.log.open(topics);
			await this.log.own(MAILBOX_TOPICS, this);
		} else {
			await this.log.open([...topics, snapshotsTopic(partitions), nodeTopic(id)]);
			const since = await this.#channel.start({
				reply: (ask, result) => {
					if (!this.#asks.settle(ask, result)) this.metrics.lateReplies++;
				},
				deliver: (connection, message) => this.#options.outlets.deliver(connection, message),
				signal: (connection, signal) => {
					if (connection === QUESTIONS_CONNECTION) this.questions?.take(signal);
					else this.#options.outlets.signal(connection, signal);
				},
				succeeded: (by) => this.#succeeded(by),
			});
			await this.log.own(MAILBOX_TOPICS, this, { id, name, since });
		}
		this.#joined = true;
	}

	/** Give the partitions to other nodes, if there are any; what is submitted here goes on to them. */
	async handOver(): Promise<void> {
		await this.log.handOver?.();
	}

	/**
	 * What waits goes into the log, then checkpoint and let go of everything; ends within the deadline even if the log
	 * does not answer.
	 */
	async stop(deadlineMs: number): Promise<void> {
		const endsAt = this.#clock.now() + deadlineMs;
		this.#asks.close();
		this.nodes.stop();
		this.#topics?.stop();
		this.#standby?.stop();
		// Half of it: actors that tell each other for ever must not take the time of the checkpoints.
		await this.#within(deadlineMs / 2, this.appender.idle());
		const leftMs = Math.max(endsAt - this.#clock.now(), 0);
		await this.#within(leftMs, Promise.allSettled([this.log.close(leftMs), this.#channel?.stop()]));
		if (this.#owned.size > 0) {
			const fields = { partitions: this.#owned.size, health: this.log.health() };
			this.#options.logger.warn(fields, "stopped before all was stored; the next owner folds the rest again");
		}
		await this.appender.close();
		this.#options.snapshots.close();
	}

	/**
	 * Append to an actor's mailbox; resolves to the offset once durable, rejects within the deadline, and at once with
	 * `log.unavailable` while nothing gets into the log.
	 */
	submit(draft: Draft, deadlineMs = SUBMIT_DEADLINE_MS): Promise<number> {
		const refusal = refusalOf(this.log);
		if (refusal) {
			this.metrics.submitsRefused++;
			return Promise.reject(refusal);
		}
		try {
			const trace = draft.trace ?? this.tracing?.active();
			return this.#outbox.submit(trace ? { ...draft, trace } : draft, deadlineMs);
		} catch (error) {
			// No such mailbox: told as everything else is, so that one handler hears of it all.
			return Promise.reject(error);
		}
	}

	tell(to: Address, event: Event): Promise<number> {
		// Those are records of the runtime and of operators.
		if (event.type.startsWith(OWN_PREFIX))
			return Promise.reject(new TypeError(`${event.type} is no event for actors`));
		return this.submit({ to, kind: "command", type: event.type, body: encodeBody(event) });
	}

	/** What only this process knows and an actor must hear of: tried until it is in the log. */
	async report(to: Address, event: Event): Promise<number> {
		return this.#outbox.emit({ to, kind: "command", type: event.type, body: encodeBody(event) });
	}

	/** As `submit`, in a span of its own where there are traces. */
	send(draft: Draft, deadlineMs?: number): Promise<number> {
		if (!this.tracing) return this.submit(draft, deadlineMs);
		const submit = (trace: string) => this.submit({ ...draft, trace }, deadlineMs);
		return this.tracing.call("tell", draft.to, draft.type, submit);
	}

	/** The actor's reply. Rejects with RefusedError (its words), `actor.ask-timeout` or why it was not sent. */
	ask(to: Address, event: Event, options: AskOptions): Promise<unknown> {
		if (!this.tracing) return this.#ask(to, event, options);
		return this.tracing.call("ask", to, event.type, (trace) => this.#ask(to, event, options, trace));
	}

	async #ask(to: Address, event: Event, options: AskOptions, trace?: string): Promise<unknown> {
		const { kind, timeoutMs, from, facts, signal } = options;
		const body = encodeBody(event);
		const { ask, result } = this.#asks.open(`${event.type} to ${to}`, timeoutMs);
		const draft: Draft = {
			to,
			kind,
			type: event.type,
			body,
			replyTo: { node: this.name.text, ask },
			trace,
			...(from ? { from } : undefined),
			...(facts ? { facts } : undefined),
			...(kind === "query" ? { expiresAt: this.#clock.now() + timeoutMs } : undefined),
		};
		// A reply may come before the acknowledgement of its own message, and counts without it.
		this.submit(draft, timeoutMs).catch((error: unknown) => this.#asks.fail(ask, error));
		// Very many may wait at once: what is not needed without a signal is not made.
		const reply = await (signal
			? unlessAborted(result, signal).finally(() => this.#asks.forget(ask))
			: result);
		if (reply.ok) return reply.value;
		throw new RefusedError(reply.error);
	}

	async #within(ms: number, work: Promise<unknown>): Promise<void> {
		const { promise: deadline, resolve } = Promise.withResolvers<void>();
		const cancelDeadline = this.#clock.after(ms, resolve);
		await Promise.race([work, deadline]);
		cancelDeadline();
	}

	/** Somebody outside the actors owes an answer to this: where it must go, and its coming. */
	expect(what: string, timeoutMs: number): Expectation {
		const { ask, result } = this.#asks.open(what, timeoutMs);
		// Its time can be up before anybody listens: that must not end the process.
		result.catch(() => {});
		return { replyTo: { node: this.name.text, ask }, result, forget: () => this.#asks.forget(ask) };
	}

	/** Give an answer to whoever expects it, on this node or another. */
	answer(to: ReplyTo, result: ReplyResult): void {
		if (to.node !== this.name.text) {
			this.#channel?.sendReply(to, result).catch((err) => {
				this.#options.logger.warn({ err, node: to.node }, "answer not sent");
			});
		} else if (!this.#asks.settle(to.ask, result)) {
			this.metrics.lateReplies++;
		}
	}

	/** The live actor, if its partition is owned here: a consistent read, for operators. */
	async actor(address: Address): Promise<Actor | undefined> {
		return this.#owned.get(partitionName(this.mailbox(address)))?.actor(address);
	}

	/** By the node's clock, milliseconds since 1970. */
	now(): number {
		return this.#clock.now();
	}

	mailbox(address: Address): PartitionId {
		return this.#outbox.mailbox(address);
	}

	get partitions(): readonly Partition[] {
		return [...this.#owned.values()];
	}

	/** Records of owned partitions that are known to be in the log and are not folded. */
	get lag(): number {
		return this.partitions.reduce((lag, one) => lag + Math.max(0, this.endOf(one) - one.next), 0);
	}

	/** An owned partition's log is known to reach up to here. */
	endOf({ id, recoveredTo }: Partition): number {
		return Math.max(this.appender.end(id), this.log.end?.(id) ?? 0, recoveredTo);
	}

	/** What the other nodes say of their partitions, as far as they answer in time. */
	async others(): Promise<readonly NodeStatus[]> {
		return this.questions ? otherStatuses(this, this.questions) : [];
	}

	/** What questions about actors need. */
	get operator(): OperatorParts & { readonly snapshots: SnapshotStore } {
		const { snapshots, partitions } = this.#options;
		return { log: this.log, snapshots, behaviours: this.behaviours, partitions };
	}

	/** Names of the owned partitions that stand still. */
	get stalled(): readonly string[] {
		return this.stalls.map(({ name }) => name);
	}

	/** Owned partitions that have records to fold and do not get on with them. */
	get stalls(): readonly Stall[] {
		const positions = [...this.#owned].map(([name, partition]) => {
			return { name, next: partition.next, end: this.endOf(partition) };
		});
		const stalls = this.#progress.stalls(positions, this.#clock.now());
		return stalls.map((stall) => ({ ...stall, waitsFor: this.#owned.get(stall.name)?.waitsFor }));
	}

	/**
	 * It has caught up with its first share of the partitions, which may be none while others let go of it; the log
	 * answers, and no partition stands still. What it takes over from others later does not make it unready: their
	 * clients are about to come here, and wait in the mailboxes that are still being folded like everybody's.
	 */
	get ready(): boolean {
		this.#caughtUp ||= this.#joined && this.partitions.every((partition) => partition.live);
		return this.#caughtUp && takesNewWork(this.log.health()) && this.stalled.length === 0;
	}

	async assigned(id: PartitionId): Promise<number> {
		const partition = new Partition(id, this.#parts);
		const next = await partition.restore();
		this.metrics.partitionsAssigned++;
		this.#owned.set(partitionName(id), partition);
		return next;
	}

	async revoked(id: PartitionId, how: Release): Promise<void> {
		const partition = this.#owned.get(partitionName(id));
		this.#owned.delete(partitionName(id));
		if (partition) this.metrics[how === "lost" ? "partitionsLost" : "partitionsHandedOver"]++;
		await partition?.release(how);
	}

	uncovered(id: PartitionId): number {
		return this.#options.snapshots.checkpoint(id)?.next ?? 0;
	}

	members(names: readonly string[], isLeader: boolean): void {
		const { id, text } = this.name;
		this.metrics.rebalances++;
		if (!names.includes(text)) this.#succeeded(names.find((name) => nodeIdOf(name) === id) ?? "unknown");
		this.nodes.update(names);
		this.#topics?.update(names, isLeader);
		this.#standby?.update(names);
	}

	/** The group goes on without this process: because it was thought dead, or because a later one is in its place. */
	async expelled(): Promise<boolean> {
		const { logger } = this.#options;
		logger.warn({ node: this.name.text }, "the cluster went on without this node: its partitions start anew");
		const place = (await this.#channel?.place()) ?? { state: "kept" };
		if (place.state === "taken") this.#succeeded(place.by);
		if (place.state === "forgotten") {
			const text = `${this.name.text} was away for so long that the others removed its topic`;
			this.#end(new MycelogError("node.forgotten", text, { node: this.name.id }));
		}
		return place.state === "kept";
	}

	#succeeded(by: string): void {
		const { id, text: name } = this.name;
		const text = `another process with node id ${id} has started (${by}); this one (${name}) does not count any more`;
		this.#end(new MycelogError("node.succeeded", text, { node: id, by }));
	}

	/** Told once: several signs may say it. */
	#end(error: MycelogError): void {
		if (this.#ended) return;
		this.#ended = true;
		this.#options.onPlaceLost?.(error);
	}

	records(id: PartitionId, batch: readonly LogRecord[]): Promise<void> | void {
		return this.#owned.get(partitionName(id))?.records(batch);
	}
}
