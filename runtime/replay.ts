/**
 * Folds one actor anew, up to any offset: what it was then. Owns the answer's shape; writes nothing, sends nothing.
 */
import { partitionName } from "../persistence/log.ts";
import type { StoredTimer } from "../persistence/snapshots.ts";
import { Actor } from "./actor.ts";
import type { Address } from "./address.ts";
import { foldActor } from "./fold.ts";
import { type Mailbox, mailboxOf, notFound, type OperatorParts, type ScanProgress } from "./operator.ts";

export interface ReplayOptions {
	/** Last offset folded (inclusive). Default: the newest at the time of the call. */
	readonly to?: number;
	readonly onProgress?: (progress: ScanProgress) => void;
}

export interface Replay {
	readonly address: Address;
	/** `topic/partition` of its mailbox. */
	readonly partition: string;
	/** First offset the log keeps; above 0, older history is gone and the fold began in the middle. */
	readonly start: number;
	/** Offset of the last record that changed the actor; -1: none did. */
	readonly offset: number;
	/** Commands and timers folded, of which `repeats` were dropped and `failed` threw. */
	readonly records: number;
	readonly repeats: number;
	readonly failed: number;
	/** Name of the state. */
	readonly state: string;
	/** The whole state as plain data. */
	readonly value: unknown;
	readonly timers: readonly StoredTimer[];
}

/** Rejects with `actor.not-found` where no command or timer lies before the offset asked for. */
export async function replay(
	parts: OperatorParts,
	address: Address,
	options: ReplayOptions = {},
): Promise<Replay> {
	const mailbox = mailboxOf(parts, address);
	const bounds = await parts.log.bounds(mailbox.partition);
	const end = Math.min(bounds.end, (options.to ?? Number.POSITIVE_INFINITY) + 1);
	const fold = await foldTo(parts, address, mailbox, end, options.onProgress);
	if (fold.records === 0) throw notFound(address, mailbox.partition, bounds.start, end);
	const { actor, start, records, repeats, failed } = fold;
	return {
		address,
		partition: partitionName(mailbox.partition),
		start,
		offset: actor.offset,
		records,
		repeats,
		failed,
		state: mailbox.behaviour.describe(actor.state),
		value: JSON.parse(mailbox.behaviour.encode(actor.state)),
		timers: [...actor.timers],
	};
}

export interface Fold {
	readonly actor: Actor;
	readonly start: number;
	readonly records: number;
	readonly repeats: number;
	readonly failed: number;
}

/** The actor as of the records before `end`. */
export async function foldTo(
	parts: OperatorParts,
	address: Address,
	{ partition, behaviour }: Mailbox,
	end: number,
	onProgress?: (progress: ScanProgress) => void,
): Promise<Fold> {
	const { start } = await parts.log.bounds(partition);
	const total = Math.max(end - start, 0);
	const onScanned = (offset: number) => onProgress?.({ scanned: offset - start, total });
	let actor = Actor.fresh(address, behaviour);
	let records = 0;
	let repeats = 0;
	let failed = 0;
	for await (const step of foldActor(parts.log, partition, address, behaviour, { end, onScanned })) {
		actor = step.actor;
		records++;
		if (step.outcome === "repeat") repeats++;
		if (step.outcome === "failed") failed++;
	}
	return { actor, start, records, repeats, failed };
}
