/**
 * An actor's history as an operator reads it: each message with what it did to the actor.
 * Owns the readable form of a fold step; the fold itself is fold.ts, and no effect is carried out.
 */
import { decodeMulti } from "@msgpack/msgpack";
import type { Address } from "./address.ts";
import type { Effect } from "./effect.ts";
import { type FoldStep, foldActor } from "./fold.ts";
import { eventOf, type Message, type MessageKind } from "./message.ts";
import { mailboxOf, notFound, type OperatorParts, type ScanProgress } from "./operator.ts";

export interface HistoryOptions {
	/** First offset shown (inclusive). Default: the first kept. */
	readonly from?: number;
	/** Last offset folded and shown (inclusive). Default: the newest at the time of the call. */
	readonly to?: number;
	/** Most entries. Default: no limit. */
	readonly limit?: number;
	/** Queries and frames too, which pass through without changing the actor. Default: false. */
	readonly everything?: boolean;
	readonly onProgress?: (progress: ScanProgress) => void;
	/** Go on with each entry as it comes, instead of ending with the newest; aborted, it rejects with the reason. */
	readonly follow?: AbortSignal;
}

/**
 * - `folded`: moved the actor.
 * - `passed`: a query or frame; changed nothing.
 * - `repeat`: seen before, dropped.
 * - `failed`: the behaviour threw; the actor is unchanged and the record was parked.
 */
export type HistoryOutcome = "folded" | "passed" | "repeat" | "failed";

export interface HistoryEntry {
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

/** In mailbox order. Rejects with `actor.not-found` where the log keeps no record of the actor at all. */
export async function* history(
	parts: OperatorParts,
	address: Address,
	options: HistoryOptions = {},
): AsyncGenerator<HistoryEntry> {
	const { partition, behaviour } = mailboxOf(parts, address);
	const { start, end: logEnd } = await parts.log.bounds(partition);
	const { from = start, limit = Number.POSITIVE_INFINITY, onProgress, follow } = options;
	const end = Math.min(
		follow ? Number.POSITIVE_INFINITY : logEnd,
		(options.to ?? Number.POSITIVE_INFINITY) + 1,
	);
	let found = false;
	let shown = 0;
	const fold = foldActor(parts.log, partition, address, behaviour, {
		end,
		everything: true,
		follow,
		onScanned: (offset) => onProgress?.({ scanned: offset - start, total: end - start }),
	});
	for await (const step of fold) {
		found = true;
		const { message } = step;
		const passes = message.kind === "query" || message.kind === "frame";
		if (message.offset < from || (passes && !options.everything)) continue;
		if (shown === limit) return;
		shown++;
		yield entryOf(step, passes);
	}
	if (!found) throw notFound(address, partition, start, end);
}

function entryOf({ message, actor, effects, outcome, error }: FoldStep, passes: boolean): HistoryEntry {
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
