/**
 * Removes the topics of nodes that have left for good, so that node ids which come and go leave nothing behind.
 * Owns the waiting; the leader of the log's group alone does it.
 */
import type { Log } from "../persistence/log.ts";
import type { Clock } from "./clock.ts";
import type { Logger } from "./logger.ts";
import { nodeIdOf } from "./node-name.ts";
import { nodeTopic } from "./topics.ts";

/** A node that stays away this long gets a new topic when it comes back, milliseconds. */
export const NODE_TOPIC_KEEP_MS = 600_000;
/** Between two looks at the topics, milliseconds. */
const LOOK_EVERY_MS = 60_000;

export interface NodeTopicsParts {
	readonly log: Log;
	readonly clock: Clock;
	readonly logger: Logger;
}

export class NodeTopics {
	readonly #parts: NodeTopicsParts;
	#live: ReadonlySet<string> = new Set();
	#isLeader = false;
	/** Topics without a node, and since when that is known here. */
	#left = new Map<string, number>();
	#cancelLook: (() => void) | undefined;
	#stopped = false;

	constructor(parts: NodeTopicsParts) {
		this.#parts = parts;
	}

	/** Names of the processes that take part now, and whether it is for this one to look after the topics. */
	update(names: readonly string[], isLeader: boolean): void {
		this.#live = new Set(names.map((name) => nodeTopic(nodeIdOf(name)).name));
		if (!isLeader) this.#left.clear();
		this.#isLeader = isLeader;
		this.#plan();
	}

	stop(): void {
		this.#stopped = true;
		this.#cancelLook?.();
	}

	#plan(): void {
		if (this.#stopped || !this.#isLeader) return;
		this.#cancelLook ??= this.#parts.clock.after(LOOK_EVERY_MS, () => {
			void this.#look().finally(() => {
				this.#cancelLook = undefined;
				this.#plan();
			});
		});
	}

	async #look(): Promise<void> {
		const { log, clock, logger } = this.#parts;
		try {
			const topics = (await log.topics?.(nodeTopic("").name)) ?? [];
			const without = topics.filter((topic) => !this.#live.has(topic));
			const now = clock.now();
			this.#left = new Map(without.map((topic) => [topic, this.#left.get(topic) ?? now]));
			const old = without.filter((topic) => now - (this.#left.get(topic) ?? now) >= NODE_TOPIC_KEEP_MS);
			if (old.length === 0 || !this.#isLeader) return;
			await log.removeTopics?.(old);
			logger.info({ topics: old }, "topics of nodes that left were removed");
		} catch (err) {
			logger.warn({ err }, "topics of nodes that left could not be looked after; trying again");
		}
	}
}
