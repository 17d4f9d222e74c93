/**
 * Rebuilds actors of stopped data from snapshots: of the data itself, or of an earlier backup of it. Owns the way over the
 * partitions; from the first message on it is verify-many.ts, on a live node rebuild-live.ts.
 */
import { type PartitionId, partitionName } from "../persistence/log.ts";
import type { Checkpoint, SnapshotStore } from "../persistence/snapshots.ts";
import { type Address, typeOf } from "./address.ts";
import { mailboxOf, unknownType, type WritableParts } from "./operator.ts";
import { PartitionFold } from "./partition-fold.ts";
import { mustSayWhy, type Reason } from "./reason.ts";
import { rebuildDraft } from "./recovery-records.ts";
import { outdatedIn, snapshotBegin } from "./snapshot-begin.ts";
import { storedPages } from "./stored-addresses.ts";
import type { WithSnapshots } from "./verify.ts";
import type { ManyFilter, ManyRebuilt } from "./verify-many.ts";

/** Actors folded and stored at once, of those that are named. */
const ACTORS_AT_ONCE = 1_000;

/** One that stays as it is. */
export interface NotRebuilt {
	readonly address: Address;
	readonly reason: string;
}

export type SnapshotsFilter = Pick<ManyFilter, "type" | "under" | "addresses" | "onProgress">;

/** `from`: where the states are taken from. Only on data that no node has open. */
export async function* rebuildFromSnapshots(
	parts: WithSnapshots & WritableParts,
	from: SnapshotStore,
	filter: SnapshotsFilter,
	reason: Reason,
): AsyncGenerator<ManyRebuilt | NotRebuilt> {
	mustSayWhy(reason);
	const { type } = filter;
	if (type !== undefined && !parts.behaviours.has(type)) throw unknownType(type, parts.behaviours.keys());
	let done = 0;
	for (const addresses of chosen(parts, filter)) {
		for (const [id, of] of byPartition(parts, addresses)) yield* ofPartition(parts, from, id, of, reason);
		done += addresses.length;
		filter.onProgress?.({ scanned: done, total: done });
	}
}

async function* ofPartition(
	parts: WithSnapshots & WritableParts,
	from: SnapshotStore,
	id: PartitionId,
	addresses: readonly Address[],
	{ by, why }: Reason,
): AsyncGenerator<ManyRebuilt | NotRebuilt> {
	const checkpoint = parts.snapshots.checkpoint(id);
	const { begin, unusable } = snapshotBegin({ snapshots: from, behaviours: parts.behaviours }, id, addresses);
	for (const [address, reason] of unusable) yield { address, reason };
	if (!begin || begin.actors.size === 0) return;
	const refused = checkpoint ? await gapBetween(parts, id, begin.next, checkpoint) : "it has no checkpoint";
	if (!checkpoint || refused !== undefined) {
		for (const address of begin.actors.keys()) yield { address, reason: `${partitionName(id)}: ${refused}` };
		return;
	}
	const wanted = new Set(begin.actors.keys());
	const fold = new PartitionFold(parts.log, id, parts.behaviours, { wanted, begin });
	await fold.to(checkpoint.next);
	const outdated = outdatedIn(fold);
	for (const [address, reason] of outdated) yield { address, reason };
	const actors = [...fold.actors.values()].filter(({ address }) => !outdated.has(address));
	parts.snapshots.save(
		checkpoint,
		actors.map((actor) => actor.snapshot()),
	);
	// Behind the store: a note of what was not done would hide that it was not.
	const note = { by, why, stored: true, snapshot: true } as const;
	await Promise.all(actors.map(({ address }) => parts.append(rebuildDraft(address, note))));
	for (const { address, offset } of actors) yield { address, offset };
}

/** Why the states cannot be brought up to the checkpoint of the data; undefined: they can. */
async function gapBetween(
	{ log }: WithSnapshots,
	id: PartitionId,
	next: number,
	checkpoint: Checkpoint,
): Promise<string | undefined> {
	if (next > checkpoint.next) {
		return `the snapshots are as of offset ${next}, the data as of ${checkpoint.next}: they are not of this data, or newer`;
	}
	const { start } = await log.bounds(id);
	// What is not folded need not be there.
	if (start <= next || next === checkpoint.next) return undefined;
	return `the snapshots are as of offset ${next}, and the log begins at ${start}: what lies between is gone`;
}

/** Actors with a snapshot in the data, or those that are named, so many at a time. */
function* chosen(
	{ snapshots }: WithSnapshots,
	{ type, under, addresses }: SnapshotsFilter,
): Generator<readonly Address[]> {
	if (addresses) {
		for (let i = 0; i < addresses.length; i += ACTORS_AT_ONCE) yield addresses.slice(i, i + ACTORS_AT_ONCE);
		return;
	}
	const prefix = under ?? (type === undefined ? "" : `${type}/`);
	for (const page of storedPages(snapshots, { prefix })) {
		yield page.filter((address) => type === undefined || typeOf(address) === type);
	}
}

function byPartition(parts: WithSnapshots, addresses: readonly Address[]): [PartitionId, Address[]][] {
	const found = new Map<string, [PartitionId, Address[]]>();
	for (const address of addresses) {
		if (!parts.behaviours.has(typeOf(address))) continue;
		const { partition } = mailboxOf(parts, address);
		const entry = found.get(partitionName(partition)) ?? [partition, []];
		found.set(partitionName(partition), entry);
		entry[1].push(address);
	}
	return [...found.values()];
}
