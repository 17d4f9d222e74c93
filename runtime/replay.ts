/**
 * Folds one actor anew, up to any offset: what it was then. Owns the answer's shape; writes nothing, sends nothing.
 */
import { HistoryIndexStore } from "../persistence/history-index.ts";
import { partitionName } from "../persistence/log.ts";
import type { StoredTimer } from "../persistence/snapshots.ts";
import { Actor } from "./actor.ts";
import type { Address } from "./address.ts";
import { type ActorFoldOptions, foldActor } from "./fold.ts";
import { HistoryIndex } from "./history-index.ts";
import {
	type Mailbox,
	mailboxOf,
	mustBeKept,
	notFound,
	type OperatorParts,
	type ScanProgress,
} from "./operator.ts";

/** Of `replay`. */
export interface ReplayOptions {
	/** Last offset folded (inclusive). Default: the newest at the time of the call. */
	readonly to?: number | undefined;
	/** Milliseconds since 1970: the last message folded is the newest one appended until then. */
	readonly at?: number | undefined;
	readonly onProgress?: (progress: ScanProgress) => void;
}

/** An actor as its history makes it. */
export interface Replay {
	readonly address: Address;
	/** `topic/partition` of its mailbox. */
	readonly partition: string;
	/** First offset the log keeps; above 0, older history is gone and the fold began in the middle. */
	readonly start: number;
	/** Offset of the last record that changed the actor; -1: none did. */
	readonly offset: number;
	/** Offset of the message whose kept state the fold went on from; undefined: it began with the first message. */
	readonly begun: number | undefined;
	/** Commands and timers folded, of which `repeats` were dropped and `failed` threw. */
	readonly records: number;
	/** Records dropped as seen before. */
	readonly repeats: number;
	/** Records that the behaviour threw at. */
	readonly failed: number;
	/** Name of the state. */
	readonly state: string;
	/** The whole state as plain data. */
	readonly value: unknown;
	readonly timers: readonly StoredTimer[];
}

/**
 * Rejects with `actor.not-found` where no command or timer lies before the offset or time asked for, with
 * `log.offset-trimmed` for an offset that the log does not have.
 */
export async function replay(
	parts: OperatorParts,
	address: Address,
	{ to, at, onProgress }: ReplayOptions = {},
): Promise<Replay> {
	const mailbox = mailboxOf(parts, address);
	const { partition, behaviour } = mailbox;
	const bounds = await parts.log.bounds(partition);
	if (to !== undefined) mustBeKept(partition, to, bounds.start, bounds.end);
	let end = Math.min(bounds.end, (to ?? Number.POSITIVE_INFINITY) + 1);
	const index = parts.index ?? (at === undefined ? undefined : new HistoryIndex(new HistoryIndexStore(), ""));
	if (index) await index.extend(parts.log, partition, end, onProgress);
	if (index && at !== undefined) {
		const newest = { from: bounds.start, before: end, newestFirst: true, limit: 1 };
		end = (index.entries(partition, address, newest, { until: at })[0]?.offset ?? -1) + 1;
	}
	const begin = index?.keyframe(partition, address, behaviour, end);
	const begun = begin?.offset;
	const fold = await foldTo(parts, address, mailbox, end, onProgress, { index, begin, sought: end });
	if (fold.records === 0 && begun === undefined) throw notFound(address, partition, bounds.start, end);
	const { actor, start, records, repeats, failed } = fold;
	return {
		address,
		partition: partitionName(partition),
		start,
		offset: actor.offset,
		begun,
		records,
		repeats,
		failed,
		state: behaviour.describe(actor.state),
		value: JSON.parse(behaviour.encode(actor.state)),
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
	from: Pick<ActorFoldOptions, "index" | "begin" | "sought"> = {},
): Promise<Fold> {
	const { start } = await parts.log.bounds(partition);
	const total = Math.max(end - start, 0);
	const onScanned = (offset: number) => onProgress?.({ scanned: offset - start, total });
	let actor = from.begin ?? Actor.fresh(address, behaviour);
	let records = 0;
	let repeats = 0;
	let failed = 0;
	for await (const step of foldActor(parts.log, partition, address, behaviour, { ...from, end, onScanned })) {
		actor = step.actor;
		records++;
		if (step.outcome === "repeat") repeats++;
		if (step.outcome === "failed") failed++;
	}
	return { actor, start, records, repeats, failed };
}
