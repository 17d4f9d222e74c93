/**
 * Taking a partition over from another node, and leaving it to the next. Owns the owner record, which fences whoever had
 * the partition before; snapshots on the way between nodes are persistence/shared-snapshots.ts.
 *
 * Why a record and not a lock: all owners read the same log in the same order. Whatever an earlier owner does before it
 * reads that it was succeeded, it does to records that came before, and does it exactly as its successor will.
 */
import type { Appender } from "../persistence/appender.ts";
import type { PartitionId } from "../persistence/log.ts";
import type { Publication, SharedSnapshots } from "../persistence/shared-snapshots.ts";
import type { Checkpoint, StoredSnapshot } from "../persistence/snapshots.ts";
import type { Clock } from "./clock.ts";
import { ownerRecord } from "./message.ts";
import type { NodeName } from "./node-name.ts";

export interface OwnershipParts {
	readonly appender: Appender;
	readonly node: NodeName;
	readonly clock: Clock;
	readonly snapshots: SharedSnapshots;
}

export class Ownership {
	readonly #parts: OwnershipParts;

	constructor(parts: OwnershipParts) {
		this.#parts = parts;
	}

	/** Resolves, once the own snapshots are as new as the shared ones, to the epoch of this ownership. */
	async take(partition: PartitionId): Promise<number> {
		const { appender, node, clock, snapshots } = this.#parts;
		const record = ownerRecord(node.text, clock.now());
		const taken = appender.append(partition, record, { retryForever: true });
		const [epoch] = await Promise.all([taken, snapshots.catchUp(partition.partition)]);
		return epoch;
	}

	/** For the next owner. Resolves when it is durable: see SharedSnapshots.publish. */
	share(checkpoint: Checkpoint, changed: readonly StoredSnapshot[]): Promise<Publication> {
		return this.#parts.snapshots.publish(checkpoint, changed);
	}
}
