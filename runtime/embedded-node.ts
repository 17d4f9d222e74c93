/**
 * `createNode`: the runtime for those who embed it, typed by the actors it is given. Owns defaults and the way to
 * actors; everything else is the Node that the gateway stands on too.
 */
import { randomBytes } from "node:crypto";
import { MycelogError } from "../persistence/errors.ts";
import type { Log } from "../persistence/log.ts";
import type { SnapshotStore } from "../persistence/snapshots.ts";
import { unlessAborted } from "./abort.ts";
import { type ActorsFilter, actors, type ListedActor } from "./actor-list.ts";
import { ActorRef } from "./actor-ref.ts";
import { addressOf } from "./address.ts";
import type { Clock } from "./clock.ts";
import { systemClock } from "./clock.ts";
import type { DeadLetter } from "./dead-letters.ts";
import type { ActorDefinition } from "./define-actor.ts";
import type { Logger } from "./logger.ts";
import { Node } from "./node.ts";
import type { OperatorParts } from "./operator.ts";
import { draftOf, type ParkedLetter, type ParkedOptions, parkedLetters } from "./parked.ts";
import { Projection } from "./projection.ts";
import type { ProjectionOptions } from "./projection-loop.ts";
import { positionBehaviour } from "./projection-positions.ts";
import { PARTITIONS_DEFAULT } from "./topics.ts";

/** How long `stop` may take if it is not told, milliseconds. */
export const STOP_DEADLINE_MS_DEFAULT = 10_000;
/** How often a node that catches up is asked whether it has, milliseconds. */
const READY_CHECK_EVERY_MS = 10;

export interface EmbeddedNodeOptions<Actors extends readonly ActorDefinition[]> {
	readonly log: Log;
	readonly snapshots: SnapshotStore;
	readonly actors: Actors;
	/** Stable over restarts, unique among the nodes of a log. Default: `node`. */
	readonly id?: string;
	/** Of the mailbox topics; fixed when a log is first opened. Default: PARTITIONS_DEFAULT. */
	readonly partitions?: number;
	/** Default: warnings and errors go to stderr, a JSON line each. */
	readonly logger?: Logger;
	/** Default: the system's. */
	readonly clock?: Clock;
	/** Nodes that keep each partition's snapshots beside its owner, on a log that nodes share. Default: 0. */
	readonly standbyReplicas?: number;
	/** Another process has this node's place for good: stop this one. */
	readonly onPlaceLost?: (error: MycelogError) => void;
}

type MachineOf<Actors extends readonly ActorDefinition[], Type> = Extract<
	Actors[number],
	{ readonly type: Type }
>["machine"];

/** Not started. */
export function createNode<const Actors extends readonly ActorDefinition[]>(
	options: EmbeddedNodeOptions<Actors>,
): EmbeddedNode<Actors> {
	return new EmbeddedNode(options);
}

export class EmbeddedNode<const Actors extends readonly ActorDefinition[] = readonly ActorDefinition[]> {
	/** The runtime below, for metrics, health and operators. */
	readonly node: Node;
	readonly #parts: OperatorParts;
	readonly #clock: Clock;
	readonly #logger: Logger;
	readonly #types: readonly string[];
	readonly #projections = new Map<string, Projection>();

	constructor(options: EmbeddedNodeOptions<Actors>) {
		const { log, snapshots, partitions = PARTITIONS_DEFAULT, clock = systemClock } = options;
		this.#clock = clock;
		this.#logger = options.logger ?? stderrLogger;
		this.#types = options.actors.map(({ type }) => type);
		this.node = new Node({
			id: options.id ?? "node",
			boot: randomBytes(6).toString("base64url"),
			log,
			snapshots,
			behaviours: [...options.actors.map(({ behaviour }) => behaviour), positionBehaviour],
			partitions,
			outlets: { deliver: () => {}, signal: () => {} },
			logger: this.#logger,
			// Only logs that several processes share have others to hand over to.
			cluster: log.handOver !== undefined,
			clock,
			...(options.standbyReplicas === undefined ? undefined : { standbyReplicas: options.standbyReplicas }),
			...(options.onPlaceLost ? { onPlaceLost: options.onPlaceLost } : undefined),
		});
		this.#parts = { log, snapshots, behaviours: this.node.behaviours, partitions };
	}

	/** Resolves when its share of the actors is served and caught up with the log. */
	async start({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
		await unlessAborted(this.node.start(), signal);
		while (!this.node.ready) {
			const pause = new Promise<void>((resolve) => this.#clock.after(READY_CHECK_EVERY_MS, resolve));
			await unlessAborted(pause, signal);
		}
	}

	/** Hand over, store everything and close log and snapshots; ends within the deadline, milliseconds. */
	async stop(deadline = STOP_DEADLINE_MS_DEFAULT): Promise<void> {
		const endsAt = this.#clock.now() + deadline;
		// Half of it: a handler that does not end must not take the time of the checkpoints.
		const { promise, resolve } = Promise.withResolvers<void>();
		const cancel = this.#clock.after(deadline / 2, resolve);
		const projections = [...this.#projections.values()];
		this.#projections.clear();
		await Promise.race([Promise.all(projections.map((one) => one.stop())), promise]);
		cancel();
		await this.node.stop(Math.max(endsAt - this.#clock.now(), 0));
	}

	/** Any id is an actor: it needs no making. Throws `actor.invalid-address`. */
	ref<const Type extends Actors[number]["type"]>(type: Type, id: string): ActorRef<MachineOf<Actors, Type>> {
		const address = addressOf(type, id);
		this.node.mailbox(address);
		return new ActorRef(address, this.node, this.#parts);
	}

	/** Actors whose partitions' snapshots are on this node, by address, each with its state's name. */
	actors(filter?: ActorsFilter): AsyncGenerator<ListedActor> {
		return actors(this.#parts, filter);
	}

	/** Messages that failed, of all actors: those there are, and with `follow` each one as it is parked, on any node. */
	deadLetters(options?: ParkedOptions): AsyncGenerator<ParkedLetter> {
		return parkedLetters(this.#parts, options);
	}

	/**
	 * Keep a read model: the messages of the actors whose mailboxes are on this node go to the handler, in order. Runs
	 * until the node stops. Throws `config.invalid-value`, also where this node has one of that name.
	 */
	project(options: ProjectionOptions): Projection {
		const { name } = options;
		if (this.#projections.has(name)) {
			throw new MycelogError("config.invalid-value", `two projections are named "${name}"`);
		}
		const parts = { node: this.node, clock: this.#clock, logger: this.#logger, types: this.#types };
		const projection = new Projection(options, parts);
		this.#projections.set(name, projection);
		return projection;
	}

	/**
	 * Send the message of a letter to its actor once more, as a new one; resolves to its offset. Rejects with
	 * `actor.not-found` where the log does not keep it any more.
	 */
	async retryLetter(letter: DeadLetter): Promise<number> {
		const draft = await draftOf(this.#parts.log, letter);
		if (draft) return this.node.submit(draft);
		const text = `the log keeps nothing at offset ${letter.offset} of ${letter.topic}/${letter.partition}`;
		throw new MycelogError("actor.not-found", text, { letter: letter.id });
	}
}

const stderrLogger: Logger = {
	debug: () => {},
	info: () => {},
	warn: (fields, message) => toStderr("warn", fields, message),
	error: (fields, message) => toStderr("error", fields, message),
};

function toStderr(
	level: string,
	{ err, ...fields }: Readonly<Record<string, unknown>>,
	message: string,
): void {
	const cause = err instanceof Error ? { err: err.stack } : undefined;
	process.stderr.write(`${JSON.stringify({ level, message, ...fields, ...cause })}\n`);
}
