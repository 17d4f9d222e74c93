/**
 * `createNode`: the runtime for those who embed it, without a gateway. Owns defaults, start and stop; the way to actors is
 * embedded-actors.ts, everything else the Node that the gateway stands on too.
 */
import { randomBytes } from "node:crypto";
import type { MycelogError } from "../persistence/errors.ts";
import type { Log } from "../persistence/log.ts";
import type { SnapshotStore } from "../persistence/snapshots.ts";
import { unlessAborted } from "./abort.ts";
import type { Clock } from "./clock.ts";
import { systemClock } from "./clock.ts";
import { type ActorDefinition, actorDefinition } from "./define-actor.ts";
import { EmbeddedActors } from "./embedded-actors.ts";
import { aLogger, type Logger } from "./logger.ts";
import { Node } from "./node.ts";
import {
	callable,
	checkOptions,
	type Kinds,
	listOf,
	needed,
	text,
	wholeFrom,
	withMethods,
} from "./option-checks.ts";
import { positionBehaviour } from "./projection-positions.ts";
import { PARTITIONS_DEFAULT } from "./topics.ts";

/** How long `stop` may take if it is not told, milliseconds. */
export const STOP_DEADLINE_MS_DEFAULT = 10_000;
/** How often a node that catches up is asked whether it has, milliseconds. */
const READY_CHECK_EVERY_MS = 10;

/** Of `createNode`. */
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

const OPTIONS: Kinds<EmbeddedNodeOptions<readonly ActorDefinition[]>> = {
	log: needed(withMethods("a log", "open", "append", "read")),
	snapshots: needed(withMethods("a snapshot store", "load", "save")),
	actors: needed(listOf(actorDefinition)),
	id: text,
	partitions: wholeFrom(1),
	logger: aLogger,
	clock: withMethods("a clock", "now", "after"),
	standbyReplicas: wholeFrom(0),
	onPlaceLost: callable,
};

/** Not started. Throws `config.unknown-option`, `config.invalid-value`. */
export function createNode<const Actors extends readonly ActorDefinition[]>(
	options: EmbeddedNodeOptions<Actors>,
): EmbeddedNode<Actors> {
	return new EmbeddedNode(options);
}

/** A node without a gateway. Made by `createNode`. */
export class EmbeddedNode<
	const Actors extends readonly ActorDefinition[] = readonly ActorDefinition[],
> extends EmbeddedActors<Actors> {
	readonly #clock: Clock;

	constructor(options: EmbeddedNodeOptions<Actors>) {
		checkOptions("createNode", options, OPTIONS);
		const { log, snapshots, partitions = PARTITIONS_DEFAULT, clock = systemClock } = options;
		const { actors, logger = stderrLogger } = options;
		const node = new Node({
			id: options.id ?? "node",
			boot: randomBytes(6).toString("base64url"),
			log,
			snapshots,
			behaviours: [...actors.map(({ behaviour }) => behaviour), positionBehaviour],
			partitions,
			outlets: { deliver: () => {}, signal: () => {} },
			logger,
			// Only logs that several processes share have others to hand over to.
			cluster: log.handOver !== undefined,
			clock,
			...(options.standbyReplicas === undefined ? undefined : { standbyReplicas: options.standbyReplicas }),
			...(options.onPlaceLost ? { onPlaceLost: options.onPlaceLost } : undefined),
		});
		super({ node, snapshots, partitions, types: actors.map(({ type }) => type), clock, logger });
		this.#clock = clock;
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
		// Half of it is left for the checkpoints.
		await this.stopProjections(deadline / 2);
		await this.node.stop(Math.max(endsAt - this.#clock.now(), 0));
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
