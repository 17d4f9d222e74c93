/**
 * How many actors and workspaces there are, of the whole cluster. Owns counting what this node's partitions have stored, in
 * turns and at a small share of its time, and asking the others: a number of which a part is missing is none.
 */

import { workspacesIn } from "../actors/directory.ts";
import { DIRECTORY_ADDRESS } from "../actors/directory-address.ts";
import { endsWithin } from "../persistence/deadline.ts";
import { partitionName } from "../persistence/log.ts";
import { partitionOf, typeOf } from "../runtime/address.ts";
import type { Node } from "../runtime/node.ts";
import { STATUS_MS_MAX } from "../runtime/node-status.ts";
import { storedPages } from "../runtime/stored-addresses.ts";

/** A count is as old as it took times this, before the next one: two hundredths of the node's time at most. */
const COUNT_SHARE = 50;
/** And so old at least, milliseconds. */
const COUNT_KEPT_MS = 5_000;
/** For a count that is not there yet, milliseconds. */
const COUNT_WAIT_MS = 1_000;

const QUESTION = "counts.ask";

/** Of a node's partitions, or of all. Undefined: not known yet, or not by this node. */
export interface ActorCounts {
	/** With a stored snapshot: new ones have that within seconds. */
	readonly actors: number | undefined;
	/** That the directory lists. */
	readonly workspaces: number | undefined;
}

type Counted = Pick<
	Node,
	"actor" | "behaviours" | "name" | "nodes" | "operator" | "partitions" | "questions"
>;

export class Counts {
	readonly #node: Counted;
	#actors: number | undefined;
	#nextAt = 0;
	#counting: Promise<void> | undefined;

	constructor(node: Counted) {
		this.#node = node;
		node.questions?.on(QUESTION, () => this.#own());
	}

	async all(): Promise<ActorCounts> {
		const { nodes, name, questions } = this.#node;
		const others = nodes.names.filter((other) => other !== name.text);
		const asked = others.map(async (other) => {
			return (await questions?.ask(other, QUESTION, {}, STATUS_MS_MAX)) as Partial<ActorCounts>;
		});
		const told = await Promise.allSettled([this.#own(), ...asked]);
		const counts = told.map((one) => (one.status === "fulfilled" ? one.value : undefined));
		const actors = counts.reduce<number | undefined>((sum, one) => {
			return sum === undefined || one?.actors === undefined ? undefined : sum + one.actors;
		}, 0);
		return { actors, workspaces: counts.find((one) => one?.workspaces !== undefined)?.workspaces };
	}

	async #own(): Promise<ActorCounts> {
		if (performance.now() >= this.#nextAt) this.#counting ??= this.#count();
		// One that fails leaves the number of before.
		if (this.#counting) await endsWithin(COUNT_WAIT_MS, this.#counting).catch(() => {});
		return { actors: this.#actors, workspaces: await this.#workspaces() };
	}

	/** A partition that stands still is no reason to say nothing else. */
	async #workspaces(): Promise<number | undefined> {
		const loading = this.#node.actor(DIRECTORY_ADDRESS);
		if (!(await endsWithin(COUNT_WAIT_MS, loading).catch(() => false))) return undefined;
		const directory = await loading;
		return directory && workspacesIn(directory.state);
	}

	async #count(): Promise<void> {
		const since = performance.now();
		try {
			let actors = 0;
			for await (const page of this.#pages()) actors += page.length;
			this.#actors = actors;
		} finally {
			this.#counting = undefined;
			const took = performance.now() - since;
			this.#nextAt = performance.now() + Math.max(COUNT_KEPT_MS, took * COUNT_SHARE);
		}
	}

	/** Of this node's partitions; of others it may have stored what was right once. */
	async *#pages(): AsyncGenerator<readonly string[]> {
		const { operator, behaviours, partitions } = this.#node;
		const owned = new Set(partitions.map(({ id }) => partitionName(id)));
		const isOwned = (address: string) => {
			const topic = behaviours.get(typeOf(address))?.topic;
			const partition = partitionOf(address, operator.partitions);
			return topic !== undefined && owned.has(partitionName({ topic, partition }));
		};
		for (const page of storedPages(operator.snapshots)) {
			yield page.filter(isOwned);
			await new Promise((resolve) => setImmediate(resolve));
		}
	}
}
