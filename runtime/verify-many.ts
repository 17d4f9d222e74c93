/**
 * Verifies and rebuilds many actors: each partition is folded once for all of them. Owns the way over the partitions; the
 * verdict of each actor is verify.ts, and rebuilds on a live node are rebuild-live.ts.
 */
import { type PartitionId, partitionName } from "../persistence/log.ts";
import { Actor } from "./actor.ts";
import { type Address, partitionOf, typeOf } from "./address.ts";
import { mailboxesOf, type ScanProgress, type WritableParts } from "./operator.ts";
import { PartitionFold } from "./partition-fold.ts";
import { mustSayWhy, type Reason } from "./reason.ts";
import { rebuildDraft } from "./recovery-records.ts";
import { storedAddresses } from "./stored-addresses.ts";
import { judged, loadRow, type Verification, verify, type WithSnapshots } from "./verify.ts";

/** Rows stored in one transaction. */
const ROWS_AT_ONCE = 1_000;

export interface ManyFilter {
	readonly type?: string | undefined;
	/** Only addresses that start with this. */
	readonly under?: string | undefined;
	/** Number of a partition. */
	readonly partition?: number | undefined;
	readonly addresses?: readonly Address[] | undefined;
	/** Only partitions that these snapshots are kept up with: of the others a node may hold what was right once. */
	readonly isKept?: ((partition: PartitionId) => boolean) | undefined;
	/** Records read, of all that will be. */
	readonly onProgress?: ((progress: ScanProgress) => void) | undefined;
}

/** A partition whose beginning the log does not keep: nothing of it can be folded. */
export interface SkippedPartition {
	readonly skipped: string;
	/** First offset kept. */
	readonly start: number;
}

/**
 * In the order of partitions; at the end what is stored of actors without a history. Actors of one partition are in memory
 * at once, and the addresses of all.
 */
export async function* verifyMany(
	parts: WithSnapshots,
	filter: ManyFilter = {},
): AsyncGenerator<Verification | SkippedPartition> {
	const checkpoints = new Map<string, number>();
	const known = new Set<Address>();
	for await (const found of folded(parts, filter)) {
		if ("skipped" in found) {
			yield found;
			continue;
		}
		const { partition, checkpoint, fold } = found;
		for (const actor of fold.actors.values()) {
			const { address } = actor;
			known.add(address);
			const stored = loadRow(parts.snapshots, address);
			// A live node has stored it again since the checkpoint was read.
			if (typeof stored === "object" && stored.offset >= checkpoint) yield await verify(parts, address);
			else
				yield judged(
					{ address, partition, checkpoint, start: 0, records: actor.sinceSnapshot },
					stored,
					actor,
				);
		}
		checkpoints.set(partitionName(partition), checkpoint);
	}
	for (const address of storedAddresses(parts.snapshots)) {
		if (known.has(address) || !isWanted(address, filter, undefined)) continue;
		const behaviour = parts.behaviours.get(typeOf(address));
		if (!behaviour) continue;
		const partition = { topic: behaviour.topic, partition: partitionOf(address, parts.partitions) };
		const checkpoint = checkpoints.get(partitionName(partition));
		if (checkpoint === undefined) continue;
		const stored = loadRow(parts.snapshots, address);
		const fresh = Actor.fresh(address, behaviour);
		if (typeof stored === "object" && stored.offset >= checkpoint) yield await verify(parts, address);
		else yield judged({ address, partition, checkpoint, start: 0, records: 0 }, stored, fresh);
	}
}

export type Wrong = Extract<Verification, { readonly ok: false }>;

/** How the snapshots of many actors are, and which are not what the log says. */
export interface Survey {
	readonly ok: boolean;
	/** Actors with their messages up to the checkpoints. */
	readonly checked: number;
	readonly records: number;
	readonly wrong: number;
	readonly skipped: readonly SkippedPartition[];
	/** The first ones of those that are wrong. */
	readonly actors: readonly Wrong[];
}

/** `most`: wrong ones that are named. */
export async function survey(parts: WithSnapshots, filter: ManyFilter, most: number): Promise<Survey> {
	const counts = { checked: 0, records: 0, wrong: 0 };
	const skipped: SkippedPartition[] = [];
	const actors: Wrong[] = [];
	for await (const one of verifyMany(parts, filter)) {
		if ("skipped" in one) {
			skipped.push(one);
			continue;
		}
		counts.checked++;
		counts.records += one.records;
		if (one.ok) continue;
		counts.wrong++;
		if (actors.length < most) actors.push(one);
	}
	return { ok: counts.wrong === 0, ...counts, skipped, actors };
}

export interface ManyRebuilt {
	readonly address: Address;
	/** Of the last message in it. */
	readonly offset: number;
}

/**
 * Stores fresh folds as snapshots, and a note of each in its mailbox. Only on data that no node has open.
 */
export async function* rebuildMany(
	parts: WithSnapshots & WritableParts,
	filter: ManyFilter,
	reason: Reason,
): AsyncGenerator<ManyRebuilt | SkippedPartition> {
	mustSayWhy(reason);
	const { by, why } = reason;
	for await (const found of folded(parts, filter)) {
		if ("skipped" in found) {
			yield found;
			continue;
		}
		const stored = parts.snapshots.checkpoint(found.partition);
		// Nothing is stored for it yet: the next start folds it from the log anyway.
		if (!stored) continue;
		const actors = [...found.fold.actors.values()];
		for (let i = 0; i < actors.length; i += ROWS_AT_ONCE) {
			const some = actors.slice(i, i + ROWS_AT_ONCE);
			parts.snapshots.save(
				stored,
				some.map((actor) => actor.snapshot()),
			);
			// Behind the store: a note of what was not done would hide that it was not.
			await Promise.all(
				some.map(({ address }) => parts.append(rebuildDraft(address, { by, why, stored: true }))),
			);
			for (const { address, offset } of some) yield { address, offset };
		}
	}
}

interface Folded {
	readonly partition: PartitionId;
	/** First offset not folded. */
	readonly checkpoint: number;
	readonly fold: PartitionFold;
}

async function* folded(parts: WithSnapshots, filter: ManyFilter): AsyncGenerator<Folded | SkippedPartition> {
	const mailboxes = mailboxesWith(parts, filter);
	const ends = mailboxes.map((id) => parts.snapshots.checkpoint(id)?.next ?? 0);
	const total = ends.reduce((sum, end) => sum + end, 0);
	const named = filter.addresses && new Set(filter.addresses);
	let scanned = 0;
	const onRecords = (records: number) => {
		scanned += records;
		filter.onProgress?.({ scanned, total });
	};
	for (const [i, partition] of mailboxes.entries()) {
		const checkpoint = ends[i] as number;
		if (checkpoint === 0) continue;
		const { start } = await parts.log.bounds(partition);
		if (start > 0) {
			yield { skipped: partitionName(partition), start };
			continue;
		}
		const wanted = { has: (address: Address) => isWanted(address, filter, named) };
		const fold = new PartitionFold(parts.log, partition, parts.behaviours, { wanted, onRecords });
		await fold.to(checkpoint);
		yield { partition, checkpoint, fold };
	}
}

function isWanted(
	address: Address,
	{ type, under }: ManyFilter,
	named: ReadonlySet<Address> | undefined,
): boolean {
	if (type !== undefined && typeOf(address) !== type) return false;
	if (under !== undefined && !address.startsWith(under)) return false;
	return named === undefined || named.has(address);
}

/** Those that can hold what is asked for. Throws `actor.unknown-type`. */
function mailboxesWith(parts: WithSnapshots, filter: ManyFilter): PartitionId[] {
	const { type, addresses, partition: only, isKept } = filter;
	const named = addresses && new Set(addresses.map((address) => partitionOf(address, parts.partitions)));
	return mailboxesOf(parts, type).filter(
		(id) =>
			(only === undefined || id.partition === only) &&
			named?.has(id.partition) !== false &&
			isKept?.(id) !== false,
	);
}
