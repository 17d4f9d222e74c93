/**
 * An embedder's actors on a node, typed by their definitions: references, lists, dead letters, read models. Owns what a
 * node with a gateway and one without offer alike; their start and stop are embedded-node.ts and cli/node.ts.
 */
import { MycelogError } from "../persistence/errors.ts";
import type { SnapshotStore } from "../persistence/snapshots.ts";
import { type ActorsFilter, actors, type ListedActor } from "./actor-list.ts";
import { ActorRef } from "./actor-ref.ts";
import { addressOf } from "./address.ts";
import type { Clock } from "./clock.ts";
import type { DeadLetter } from "./dead-letters.ts";
import type { ActorDefinition } from "./define-actor.ts";
import type { Logger } from "./logger.ts";
import type { Node } from "./node.ts";
import type { OperatorParts } from "./operator.ts";
import { draftOf, type ParkedLetter, type ParkedOptions, parkedLetters } from "./parked.ts";
import { Projection } from "./projection.ts";
import type { ProjectionOptions } from "./projection-loop.ts";

export interface EmbeddedActorsParts {
	readonly node: Node;
	readonly snapshots: SnapshotStore;
	/** Of the mailbox topics. */
	readonly partitions: number;
	/** The actor types that are the embedder's own. */
	readonly types: readonly string[];
	readonly clock: Clock;
	readonly logger: Logger;
}

type MachineOf<Actors extends readonly ActorDefinition[], Type> = Extract<
	Actors[number],
	{ readonly type: Type }
>["machine"];

/** Calls that a node with a gateway and one without have alike. */
export class EmbeddedActors<const Actors extends readonly ActorDefinition[] = readonly ActorDefinition[]> {
	/** The runtime below, for metrics, health and operators. */
	readonly node: Node;
	readonly #parts: EmbeddedActorsParts;
	readonly #operator: OperatorParts;
	readonly #projections = new Map<string, Projection>();

	constructor(parts: EmbeddedActorsParts) {
		const { node, snapshots, partitions } = parts;
		this.node = node;
		this.#parts = parts;
		this.#operator = { log: node.log, snapshots, behaviours: node.behaviours, partitions };
	}

	/** Any id is an actor: it needs no making. Throws `actor.invalid-address`. */
	ref<const Type extends Actors[number]["type"]>(type: Type, id: string): ActorRef<MachineOf<Actors, Type>> {
		const address = addressOf(type, id);
		this.node.mailbox(address);
		return new ActorRef(address, this.node, this.#operator);
	}

	/** Actors whose partitions' snapshots are on this node, by address, each with its state's name. */
	actors(filter?: ActorsFilter): AsyncGenerator<ListedActor> {
		return actors(this.#operator, filter);
	}

	/** Messages that failed, of all actors: those there are, and with `follow` each one as it is parked, on any node. */
	deadLetters(options?: ParkedOptions): AsyncGenerator<ParkedLetter> {
		return parkedLetters(this.#operator, options);
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
		const projection = new Projection(options, this.#parts);
		this.#projections.set(name, projection);
		return projection;
	}

	/**
	 * Send the message of a letter to its actor once more, as a new one; resolves to its offset. Rejects with
	 * `actor.not-found` where the log does not keep it any more.
	 */
	async retryLetter(letter: DeadLetter): Promise<number> {
		const draft = await draftOf(this.node.log, letter);
		if (draft) return this.node.submit(draft);
		const text = `the log keeps nothing at offset ${letter.offset} of ${letter.topic}/${letter.partition}`;
		throw new MycelogError("actor.not-found", text, { letter: letter.id });
	}

	/** Resolves when no handler runs any more, or after so long: one that does not end must not hold up the node. */
	protected async stopProjections(withinMs: number): Promise<void> {
		const { promise, resolve } = Promise.withResolvers<void>();
		const cancel = this.#parts.clock.after(withinMs, resolve);
		const projections = [...this.#projections.values()];
		this.#projections.clear();
		await Promise.race([Promise.all(projections.map((one) => one.stop())), promise]);
		cancel();
	}
}
