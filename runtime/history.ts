/**
 * An actor's history as an operator reads it: each message with what it did to the actor.
 * Owns the readable form of a fold step; the fold itself is fold.ts, and no effect is carried out.
 */
import { decodeMulti } from "@msgpack/msgpack";
import { HistoryIndexStore } from "../persistence/history-index.ts";
import type { Actor } from "./actor.ts";
import type { Address } from "./address.ts";
import type { Effect } from "./effect.ts";
import { type FoldStep, foldActor } from "./fold.ts";
import { type EntryFilter, HistoryIndex } from "./history-index.ts";
import { eventOf, type Message, type MessageKind } from "./message.ts";
import { mailboxOf, mustBeKept, notFound, type OperatorParts, type ScanProgress } from "./operator.ts";
import { isHistory } from "./recovery-records.ts";

export interface HistoryFilter {
	/** Queries and frames too, which pass through without changing the actor. Default: false. */
	readonly everything?: boolean | undefined;
	readonly kind?: MessageKind | undefined;
	readonly type?: string | undefined;
	/** Address of the sender; "": from outside. */
	readonly sender?: Address | undefined;
	/** Milliseconds since 1970 at which it was appended, inclusive. */
	readonly since?: number | undefined;
	readonly until?: number | undefined;
	readonly outcome?: HistoryOutcome | undefined;
}

/** Which part of a history, and how it is read. */
export interface HistoryOptions extends HistoryFilter {
	/** First offset shown (inclusive). Default: the first kept. */
	readonly from?: number | undefined;
	/** Last offset folded and shown (inclusive). Default: the newest at the time of the call. */
	readonly to?: number | undefined;
	/** The newest entry first, down to `from`. Default: in mailbox order. */
	readonly newestFirst?: boolean | undefined;
	/** Most entries. Default: no limit. */
	readonly limit?: number | undefined;
	readonly onProgress?: ((progress: ScanProgress) => void) | undefined;
	/** Go on with each entry as it comes, instead of ending with the newest; aborted, it rejects with the reason. */
	readonly follow?: AbortSignal | undefined;
}

/**
 * - `folded`: moved the actor.
 * - `passed`: a query or frame; changed nothing.
 * - `repeat`: seen before, dropped.
 * - `failed`: the behaviour threw; the actor is unchanged and the record was parked.
 */
export type HistoryOutcome = "folded" | "passed" | "repeat" | "failed";

/** One message of an actor, with what it did. */
export interface HistoryEntry {
	/** In its partition. */
	readonly offset: number;
	/** Milliseconds since 1970 at which it was appended. */
	readonly timestamp: number;
	readonly kind: MessageKind;
	readonly type: string;
	/** Address of the sending actor; undefined: from outside. */
	readonly from: Address | undefined;
	/** The decoded event; of a frame its size and the fields of its first part. */
	readonly event: unknown;
	readonly outcome: HistoryOutcome;
	readonly error: string | undefined;
	/** Name of the actor's state after this message. */
	readonly state: string;
	/** The actor's whole state after this message, as plain data. */
	readonly value: unknown;
	/** What the transition asked for, timers excluded. Shown, never done. */
	readonly effects: readonly Effect[];
}

/**
 * Rejects with `actor.not-found` where the log keeps no record of the actor at all, with `log.offset-trimmed` for a first
 * offset before what is kept or past its end.
 */
export async function* history(
	parts: OperatorParts,
	address: Address,
	options: HistoryOptions = {},
): AsyncGenerator<HistoryEntry> {
	const { partition } = mailboxOf(parts, address);
	const { start, end } = await parts.log.bounds(partition);
	const { from, to, limit = Number.POSITIVE_INFINITY } = options;
	// The end itself is where a reader who has had everything asks again.
	if (from !== undefined && from !== end) mustBeKept(partition, from, start, end);
	if (to !== undefined && to < start) mustBeKept(partition, to, start, end);
	const way = { from: from ?? start, end: Math.min(end, (to ?? Number.POSITIVE_INFINITY) + 1) };
	if (limit <= 0) return;
	let left = limit;
	for await (const entry of options.newestFirst
		? backwards(parts, address, way, options)
		: forwards(parts, address, way, options)) {
		yield entry;
		if (--left <= 0) return;
	}
}

interface Way {
	readonly from: number;
	readonly end: number;
}

async function* forwards(
	parts: OperatorParts,
	address: Address,
	{ from, end }: Way,
	options: HistoryOptions,
): AsyncGenerator<HistoryEntry> {
	const { log, index } = parts;
	const { partition, behaviour } = mailboxOf(parts, address);
	const { follow } = options;
	const { start } = await log.bounds(partition);
	const onScanned = (offset: number) => options.onProgress?.({ scanned: offset - start, total: end - start });
	let begin: Actor | undefined;
	let sought: number | undefined;
	let found = false;
	if (index) {
		await index.extend(log, partition, end, options.onProgress);
		if (!follow) mustHaveEntries(index, parts, address, end);
		found = true;
		// What comes before the first one that is shown only moves the actor: a kept state has it.
		const [first] = index.entries(partition, address, { from, before: end, limit: 1 }, indexFilter(options));
		if (!first && !follow) return;
		sought = first?.offset ?? from;
		begin = index.keyframe(partition, address, behaviour, sought);
	}
	const last = follow ? Number.POSITIVE_INFINITY : end;
	// By the index what is not shown is not even read; without it, it shows that there is such an actor.
	const everything = options.everything === true || index === undefined;
	const fold = { end: last, everything, follow, onScanned, index, begin, sought };
	for await (const step of foldActor(log, partition, address, behaviour, fold)) {
		found = true;
		if (step.message.offset < from) continue;
		const entry = entryOf(step);
		if (isShown(entry, options)) yield entry;
	}
	if (!found) throw notFound(address, partition, start, end);
}

/** A page of offsets by the index, then what is folded in between. */
async function* backwards(
	parts: OperatorParts,
	address: Address,
	{ from, end }: Way,
	options: HistoryOptions,
): AsyncGenerator<HistoryEntry> {
	const { log } = parts;
	const { partition, behaviour } = mailboxOf(parts, address);
	const index = parts.index ?? new HistoryIndex(new HistoryIndexStore(), "");
	await index.extend(log, partition, end, options.onProgress);
	mustHaveEntries(index, parts, address, end);
	for (let before = end; ; ) {
		const range = { from, before, newestFirst: true, limit: Math.min(options.limit ?? PAGE, PAGE) };
		const offsets = index
			.entries(partition, address, range, indexFilter(options))
			.map(({ offset }) => offset);
		const [last, first] = [offsets[0], offsets.at(-1)];
		if (last === undefined || first === undefined) return;
		const wanted = new Set(offsets);
		const begin = index.keyframe(partition, address, behaviour, first);
		const { everything } = options;
		const fold = { end: last + 1, everything, index, begin, sought: first };
		const page: HistoryEntry[] = [];
		for await (const step of foldActor(log, partition, address, behaviour, fold)) {
			if (wanted.has(step.message.offset)) page.push(entryOf(step));
		}
		for (const entry of page.reverse()) if (isShown(entry, options)) yield entry;
		before = first;
	}
}

/** Entries of one page backwards: their states are in memory together. */
const PAGE = 100;

function mustHaveEntries(index: HistoryIndex, parts: OperatorParts, address: Address, end: number): void {
	const { partition } = mailboxOf(parts, address);
	const [any] = index.entries(partition, address, { from: 0, before: end, limit: 1 }, { everything: true });
	if (!any) throw notFound(address, partition, 0, end);
}

/** What the index can tell; the rest is looked at by `isShown`. */
function indexFilter({ everything, type, since, until, outcome }: HistoryFilter): EntryFilter {
	const repeats = outcome === undefined ? undefined : outcome === "repeat";
	return { everything, type, since, until, repeats };
}

function isShown(entry: HistoryEntry, filter: HistoryFilter): boolean {
	const { everything = false, kind, type, sender, since, until, outcome } = filter;
	if (!everything && !isHistory(entry.kind)) return false;
	if (kind !== undefined && entry.kind !== kind) return false;
	if (type !== undefined && entry.type !== type) return false;
	if (sender !== undefined && (entry.from ?? "") !== sender) return false;
	if (since !== undefined && entry.timestamp < since) return false;
	if (until !== undefined && entry.timestamp > until) return false;
	return outcome === undefined || entry.outcome === outcome;
}

function entryOf({ message, actor, effects, outcome, error }: FoldStep): HistoryEntry {
	const passes = !isHistory(message.kind);
	// The actor moves on while the reader looks at the entry; states themselves never change.
	const { behaviour, state } = actor;
	return {
		offset: message.offset,
		timestamp: message.timestamp,
		kind: message.kind,
		type: message.type,
		from: message.from,
		event: readableEvent(message),
		outcome: passes && outcome === "folded" ? "passed" : outcome,
		error: error && `${error.name}: ${error.message}`,
		state: behaviour.describe(state),
		get value() {
			return JSON.parse(behaviour.encode(state));
		},
		effects,
	};
}

/** Of a frame its size and the fields of its first part; of what cannot be read, why. */
export function readableEvent(message: Message): unknown {
	const bytes = message.body.length;
	try {
		if (message.kind !== "frame") return eventOf(message);
		// A frame may have more parts; the first one says what it is.
		const { value: head } = decodeMulti(message.body).next();
		return { bytes, ...(head as object) };
	} catch (error) {
		return { bytes, unreadable: (error as Error).message };
	}
}
