/**
 * Which node processes take part in the cluster now. Owns the judgement that one is gone for good; who takes part is
 * told by the log's group, what follows from it is the partitions'.
 */
import type { Clock } from "./clock.ts";
import { type NodeName, nodeIdOf } from "./node-name.ts";

/**
 * A process of which the group never told may have just joined, and this one hear of it late; milliseconds until it
 * counts as gone. A change of members is heard of within a heartbeat.
 */
export const UNKNOWN_NODE_MS = 10_000;
/** Names of processes that left, or were never told of, that are remembered; past it the oldest are forgotten. */
const NAMES_MAX = 1_000;

export class LiveNodes {
	readonly #own: NodeName;
	readonly #clock: Clock;
	readonly #onChange: () => void;
	#live: ReadonlySet<string> | undefined;
	/** Names that took part once. */
	readonly #left = new Set<string>();
	/** Names of unknown processes, with the time at which they were first asked for. */
	readonly #unknown = new Map<string, number>();
	#cancelLook: (() => void) | undefined;

	/** `onChange`: told when the answer of `isGone` may have changed for some name. */
	constructor(own: NodeName, clock: Clock, onChange: () => void) {
		this.#own = own;
		this.#clock = clock;
		this.#onChange = onChange;
	}

	/** Names of the processes that take part now, the own one among them. */
	update(names: readonly string[]): void {
		const live = new Set(names);
		const left = this.#live ? [...this.#live].filter((name) => !live.has(name)) : [];
		for (const name of left) this.#left.add(name);
		for (const oldest of this.#left) if (this.#left.size > NAMES_MAX) this.#left.delete(oldest);
		for (const name of names) {
			this.#left.delete(name);
			this.#unknown.delete(name);
		}
		this.#live = live;
		if (left.length > 0) this.#onChange();
	}

	/** Names of the processes that take part now. */
	get names(): readonly string[] {
		return [...(this.#live ?? [this.#own.text])];
	}

	/** Ids of the nodes that take part now. */
	get ids(): readonly string[] {
		return this.names.map(nodeIdOf).sort();
	}

	/** Nothing that this process held, such as sockets, is there any more, or it is about to find out so. */
	isGone(name: string): boolean {
		if (name === this.#own.text) return false;
		if (this.#own.isEarlierProcess(name)) return true;
		if (!this.#live || this.#live.has(name)) return false;
		return this.#left.has(name) || this.#isUnknownForLong(name);
	}

	stop(): void {
		this.#cancelLook?.();
	}

	#isUnknownForLong(name: string): boolean {
		const now = this.#clock.now();
		const since = this.#unknown.get(name);
		if (since !== undefined && now - since >= UNKNOWN_NODE_MS) return true;
		if (since === undefined) this.#unknown.set(name, now);
		for (const oldest of this.#unknown.keys())
			if (this.#unknown.size > NAMES_MAX) this.#unknown.delete(oldest);
		this.#cancelLook ??= this.#clock.after(UNKNOWN_NODE_MS, () => {
			this.#cancelLook = undefined;
			this.#onChange();
		});
		return false;
	}
}
