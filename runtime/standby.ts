/**
 * Keeps the snapshots of partitions that other nodes own up to date here, so that a take-over needs only the tail of the
 * log. Owns which partitions, and the rhythm; reading them is persistence/shared-snapshots.ts.
 */
import { ranked } from "../persistence/placement.ts";
import type { SharedSnapshots } from "../persistence/shared-snapshots.ts";
import type { Clock } from "./clock.ts";
import type { Logger } from "./logger.ts";

/** From the end of one round through the partitions to the next, milliseconds; checkpoints come every two seconds. */
const ROUND_EVERY_MS = 1_000;

export interface StandbyParts {
	readonly snapshots: SharedSnapshots;
	/** Nodes that stand by for each partition. */
	readonly replicas: number;
	readonly partitions: number;
	/** Of this process. */
	readonly name: string;
	readonly clock: Clock;
	readonly logger: Logger;
}

export class Standby {
	readonly #parts: StandbyParts;
	/** Partition numbers that are kept up to date here. */
	#numbers: readonly number[] = [];
	#cancelRound: (() => void) | undefined;
	#stopped = false;

	constructor(parts: StandbyParts) {
		this.#parts = parts;
	}

	/** Names of the processes that take part now. */
	update(names: readonly string[]): void {
		const { replicas, partitions, name } = this.#parts;
		const members = names.map((member) => ({ name: member }));
		// One more than the replicas: the owner itself is mostly the first of them, and reads nothing new.
		const isMine = (number: number) =>
			ranked(members, number)
				.slice(0, replicas + 1)
				.includes(name);
		this.#numbers = Array.from({ length: partitions }, (_, number) => number).filter(isMine);
		this.#plan();
	}

	stop(): void {
		this.#stopped = true;
		this.#cancelRound?.();
	}

	#plan(): void {
		if (this.#stopped || this.#numbers.length === 0) return;
		this.#cancelRound ??= this.#parts.clock.after(ROUND_EVERY_MS, () => {
			void this.#round().finally(() => {
				this.#cancelRound = undefined;
				this.#plan();
			});
		});
	}

	async #round(): Promise<void> {
		const { snapshots, logger } = this.#parts;
		for (const number of this.#numbers) {
			if (this.#stopped) return;
			try {
				await snapshots.catchUp(number);
			} catch (err) {
				logger.warn({ partition: number, err }, "snapshots of others not read; trying again");
			}
		}
	}
}
