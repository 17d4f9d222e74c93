/**
 * Compares an actor's stored snapshot with a fresh fold of its mailbox, and writes a fresh one in its place.
 * Owns the verdicts; a live node rebuilds damaged snapshots alone, `rebuild` is for stopped data.
 */
import { MycelogError } from "../persistence/errors.ts";
import { type PartitionId, partitionName } from "../persistence/log.ts";
import type { Checkpoint, SnapshotStore, StoredSnapshot } from "../persistence/snapshots.ts";
import type { Actor } from "./actor.ts";
import type { Address } from "./address.ts";
import { firstDifference } from "./difference.ts";
import { mailboxOf, notFound, type OperatorParts, type ScanProgress } from "./operator.ts";
import { foldTo } from "./replay.ts";

/** A checkpoint takes milliseconds and comes every second or two: so many misses mean something else is wrong. */
const VIEW_TRIES_MAX = 1_000;

interface VerificationBase {
	readonly address: Address;
	/** `topic/partition` of its mailbox. */
	readonly partition: string;
	/** First offset not contained in the stored snapshot; undefined: nothing was stored for this partition yet. */
	readonly checkpoint: number | undefined;
	/** First offset the log keeps. */
	readonly start: number;
	/** Commands and timers folded. */
	readonly records: number;
	/** Name of the folded state. */
	readonly state: string;
}

/**
 * - `corrupt`: the stored row does not match its checksum.
 * - `differs`: it is sound, but not what the log says; `path`, `stored` and `folded` name the first place.
 * - `missing`: the log has history before the checkpoint, but no row is stored.
 * - `version`: written by another version of the behaviour; not comparable.
 * - `no-history`: a row is stored, but the log has no history of the actor: they are not of the same data.
 * - `trimmed`: differs, but the log no longer keeps the partition's beginning, so the fold proves nothing.
 */
export type Mismatch = "corrupt" | "differs" | "missing" | "version" | "no-history" | "trimmed";

/** What a comparison of a stored snapshot with a fold of the log gave. */
export type Verification =
	| (VerificationBase & {
			readonly ok: true;
			/** `none`: nothing had to be stored yet. */
			readonly snapshot: "equal" | "none";
	  })
	| (VerificationBase & {
			readonly ok: false;
			readonly reason: Mismatch;
			readonly path?: string;
			readonly stored?: unknown;
			readonly folded?: unknown;
	  });

/** Of `verify` and `rebuild`. */
export interface VerifyOptions {
	readonly onProgress?: (progress: ScanProgress) => void;
}

/** With snapshots to compare with. */
export type WithSnapshots = OperatorParts & { readonly snapshots: SnapshotStore };

/** Rejects with `actor.not-found` where neither the log nor the snapshots know the actor. */
export async function verify(
	parts: WithSnapshots,
	address: Address,
	options: VerifyOptions = {},
): Promise<Verification> {
	const mailbox = mailboxOf(parts, address);
	const { partition } = mailbox;
	const { checkpoint, stored } = storedView(parts.snapshots, partition, address);
	// Without its checkpoint (damaged) a row still says up to where it was folded.
	const end = checkpoint?.next ?? (typeof stored === "object" ? stored.offset + 1 : 0);
	const { actor, start, records } = await foldTo(parts, address, mailbox, end, options.onProgress);
	if (records === 0 && stored === undefined) await mustHaveTail(parts, address, end);
	const base = { address, partition, checkpoint: checkpoint?.next, start, records };
	return judged(base, stored, actor);
}

interface Judged {
	readonly address: Address;
	readonly partition: PartitionId;
	readonly checkpoint: number | undefined;
	readonly start: number;
	readonly records: number;
}

/** What the stored row is worth beside the fold. */
export function judged(
	{ partition, ...folded }: Judged,
	stored: StoredSnapshot | "corrupt" | undefined,
	actor: Actor,
): Verification {
	const { behaviour } = actor;
	const base: VerificationBase = {
		...folded,
		partition: partitionName(partition),
		state: behaviour.describe(actor.state),
	};
	if (stored !== undefined && actor.offset < 0 && base.start === 0) {
		return { ...base, ok: false, reason: "no-history" };
	}
	if (stored === "corrupt") return { ...base, ok: false, reason: "corrupt" };
	if (stored === undefined) {
		if (actor.offset < 0) return { ...base, ok: true, snapshot: "none" };
		return { ...base, ok: false, reason: "missing" };
	}
	if (stored.version !== behaviour.version) {
		const versions = { path: "version", stored: stored.version, folded: behaviour.version };
		return { ...base, ok: false, reason: "version", ...versions };
	}
	const difference = firstDifference(comparable(stored), comparable(actor.snapshot()));
	if (!difference) return { ...base, ok: true, snapshot: "equal" };
	const reason = base.start > 0 ? "trimmed" : "differs";
	const { path, left, right } = difference;
	return { ...base, ok: false, reason, path, stored: left, folded: right };
}

/** Whether a fresh snapshot was written, or why none was. */
export type Rebuild =
	| { readonly written: true; readonly address: Address; readonly offset: number; readonly state: string }
	/** Nothing is stored for the partition yet: the next start folds it from the log anyway. */
	| { readonly written: false; readonly address: Address };

/**
 * Store a fresh fold as the actor's snapshot. Only on data that no node has open.
 * Rejects with `log.offset-trimmed` where the log no longer keeps the partition's beginning.
 */
export async function rebuild(
	parts: WithSnapshots,
	address: Address,
	options: VerifyOptions = {},
): Promise<Rebuild> {
	const mailbox = mailboxOf(parts, address);
	const checkpoint = parts.snapshots.checkpoint(mailbox.partition);
	if (!checkpoint) return { written: false, address };
	const { actor, start } = await foldTo(parts, address, mailbox, checkpoint.next, options.onProgress);
	if (start > 0) {
		throw new MycelogError(
			"log.offset-trimmed",
			`${address} cannot be rebuilt: ${partitionName(mailbox.partition)} starts at offset ${start}, older history is gone`,
			{ address, start },
		);
	}
	parts.snapshots.save(checkpoint, [actor.snapshot()]);
	return { written: true, address, offset: actor.offset, state: mailbox.behaviour.describe(actor.state) };
}

/**
 * The row and the checkpoint it belongs to. A live node writes both in one transaction; a row read between
 * two equal checkpoints is the one of that checkpoint.
 */
function storedView(
	snapshots: SnapshotStore,
	partition: PartitionId,
	address: Address,
): { checkpoint: Checkpoint | undefined; stored: StoredSnapshot | "corrupt" | undefined } {
	for (let tries = 0; tries < VIEW_TRIES_MAX; tries++) {
		const checkpoint = snapshots.checkpoint(partition);
		const stored = loadRow(snapshots, address);
		if (snapshots.checkpoint(partition)?.next === checkpoint?.next) return { checkpoint, stored };
	}
	throw new Error(
		`the checkpoint of ${partitionName(partition)} moved ${VIEW_TRIES_MAX} times while it was read`,
	);
}

export function loadRow(snapshots: SnapshotStore, address: Address): StoredSnapshot | "corrupt" | undefined {
	try {
		return snapshots.load(address);
	} catch (error) {
		if (MycelogError.is(error, "snapshot.corrupt")) return "corrupt";
		throw error;
	}
}

function comparable(snapshot: StoredSnapshot | ReturnType<Actor["snapshot"]>): unknown {
	const { offset, state, timers, claim } = snapshot;
	const byId = timers.map(({ id, at, event }) => [id, { at, event: JSON.parse(event) }] as const);
	return { offset, state: JSON.parse(state), timers: Object.fromEntries(byId), claim };
}

/** Nothing before the checkpoint: either everything came after it, or there is no such actor. */
async function mustHaveTail(parts: WithSnapshots, address: Address, from: number): Promise<void> {
	const mailbox = mailboxOf(parts, address);
	const { start, end } = await parts.log.bounds(mailbox.partition);
	const { records } = await foldTo(parts, address, mailbox, end);
	if (records === 0) throw notFound(address, mailbox.partition, Math.max(start, from), end);
}
