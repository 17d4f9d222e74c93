/**
 * Where a rebuild from snapshots begins: stored states, and the checkpoint that they are as of. Owns which of them may be
 * gone on from; what comes behind is folded by partition-fold.ts.
 */
import { MycelogError } from "../persistence/errors.ts";
import { type PartitionId, partitionName } from "../persistence/log.ts";
import type { SnapshotStore, StoredSnapshot } from "../persistence/snapshots.ts";
import { Actor } from "./actor.ts";
import { type Address, typeOf } from "./address.ts";
import type { Behaviours } from "./behaviour.ts";
import type { FoldBegin, PartitionFold } from "./partition-fold.ts";
import { Watermarks } from "./watermarks.ts";

export interface SnapshotBegin {
	/** Undefined: nothing is stored for the partition. */
	readonly begin: FoldBegin | undefined;
	/** Why there is no state to go on from. */
	readonly unusable: ReadonlyMap<Address, string>;
}

/** Looked at in one turn: a node stores states and checkpoint together. */
export function snapshotBegin(
	{ snapshots, behaviours }: { readonly snapshots: SnapshotStore; readonly behaviours: Behaviours },
	partition: PartitionId,
	addresses: Iterable<Address>,
): SnapshotBegin {
	const checkpoint = snapshots.checkpoint(partition);
	const actors = new Map<Address, Actor>();
	const unusable = new Map<Address, string>();
	for (const address of addresses) {
		const found = checkpoint
			? adopted(snapshots, behaviours, address)
			: `nothing is stored yet for ${partitionName(partition)}`;
		if (typeof found === "string") unusable.set(address, noUsable(found));
		else actors.set(address, found);
	}
	if (!checkpoint) return { begin: undefined, unusable };
	const watermarks = Watermarks.decode(checkpoint.watermarks);
	return { begin: { next: checkpoint.next, watermarks, actors }, unusable };
}

/** Of those that the fold has found to be no beginning. */
export function outdatedIn({ outdated }: PartitionFold): Map<Address, string> {
	const words = (offset: number) =>
		noUsable(`it was rebuilt from its first message at offset ${offset}, and none was stored since`);
	return new Map([...outdated].map(([address, offset]) => [address, words(offset)]));
}

function noUsable(why: string): string {
	return `there is no usable snapshot of it: ${why}`;
}

/** Or why not. */
function adopted(snapshots: SnapshotStore, behaviours: Behaviours, address: Address): Actor | string {
	const behaviour = behaviours.get(typeOf(address));
	if (!behaviour) return `no actor type "${typeOf(address)}" here`;
	let stored: StoredSnapshot | undefined;
	try {
		stored = snapshots.load(address);
		if (!stored) return "none is stored";
		const actor = Actor.adopt(stored, behaviour);
		if (actor) return actor;
	} catch (error) {
		if (MycelogError.is(error, "snapshot.corrupt")) return "the stored one does not match its checksum";
		if (!MycelogError.is(error, "actor.version-mismatch")) {
			return `the stored one cannot be read: ${(error as Error).message}`;
		}
	}
	return `the stored one is of version ${stored?.version}, and nothing migrates it to ${behaviour.version}`;
}
