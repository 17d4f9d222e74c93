/**
 * Folds one actor's records out of the log: the truth that snapshots are checked against and rebuilt from.
 * Owns the scan of a mailbox; carries out no effect. The live loop (partition.ts) folds with the same Actor.
 */
import type { LogRecord, PartitionId, ReadableLog } from "../persistence/log.ts";
import { pause } from "./abort.ts";
import { Actor } from "./actor.ts";
import type { Address } from "./address.ts";
import type { Behaviour } from "./behaviour.ts";
import type { Effect } from "./effect.ts";
import type { HistoryIndex } from "./history-index.ts";
import { type Message, messageOf } from "./message.ts";
import type { ScanProgress } from "./operator.ts";
import { isHistory } from "./recovery-records.ts";
import { Watermarks } from "./watermarks.ts";

/** Records a page while scanning a partition. */
export const SCAN_PAGE_RECORDS = 5_000;
/**
 * How often a mailbox that is followed is read, milliseconds. Not one read that waits: on Kafka it would hold up the
 * replies from other nodes, which come over the same connection.
 */
export const FOLLOW_EVERY_MS = 100;

export interface FoldStep {
	readonly message: Message;
	readonly effects: readonly Effect[];
	/** The actor after the message. */
	readonly actor: Actor;
	/** `repeat`: dropped as seen before; `failed`: the behaviour threw, the actor is unchanged. */
	readonly outcome: "folded" | "repeat" | "failed";
	readonly error?: Error;
}

/** Partition records in order, page by page, up to but without `end`; with `follow` on from there until it is aborted. */
export async function* scan(
	log: ReadableLog,
	partition: PartitionId,
	from: number,
	end: number,
	follow?: AbortSignal,
): AsyncGenerator<LogRecord[]> {
	let next = from;
	while (next < end) {
		const page = await log.read(partition, next, { maxRecords: SCAN_PAGE_RECORDS, waitMs: 0 });
		const last = page.at(-1);
		if (!last) {
			if (!follow) return;
			await pause(FOLLOW_EVERY_MS, follow);
			continue;
		}
		next = last.offset + 1;
		yield last.offset < end ? page : page.filter((record) => record.offset < end);
	}
}

export interface ActorFoldOptions {
	/** The first offset not folded. */
	readonly end: number;
	readonly everything?: boolean | undefined;
	readonly follow?: AbortSignal | undefined;
	readonly onScanned?: ((offset: number) => void) | undefined;
	/** Reads the actor's own records alone. Default: the whole partition is read. */
	readonly index?: HistoryIndex | undefined;
	/** With an index: what lies before this offset only moves the actor, which may take too long for who is in a hurry. */
	readonly sought?: number | undefined;
	/** With an index: the actor as of an earlier message, to go on from. Default: the first message. */
	readonly begin?: Actor | undefined;
}

/** Every message of one actor that belongs to its history (commands and timers; others on request). */
export async function* foldActor(
	log: ReadableLog,
	partition: PartitionId,
	address: Address,
	behaviour: Behaviour,
	options: ActorFoldOptions,
): AsyncGenerator<FoldStep> {
	const { end, everything = false, follow, onScanned, index } = options;
	const { start, end: logEnd } = await log.bounds(partition);
	const actor = options.begin ?? Actor.fresh(address, behaviour);
	let watermarks = new Watermarks();
	let next = start;
	if (index) {
		const onProgress = ({ scanned }: ScanProgress) => onScanned?.(start + scanned);
		const indexed = await index.extend(log, partition, Math.min(end, logEnd), onProgress);
		const before = follow ? (indexed?.next ?? start) : end;
		const from = Math.max(actor.offset + 1, start);
		const keep = index.keyframes(partition, options.sought);
		for await (const page of index.messages(log, partition, address, { from, before, everything })) {
			for (const { message, repeat } of page) {
				const inHistory = isHistory(message.kind);
				const step = stepOf(actor, message, repeat, inHistory);
				if (inHistory && !repeat) keep(actor);
				yield step;
			}
			onScanned?.((page.at(-1)?.message.offset ?? 0) + 1);
		}
		if (!follow) return;
		if (indexed) watermarks = Watermarks.decode(indexed.watermarks);
		next = before;
	}
	for await (const page of scan(log, partition, next, end, follow)) {
		for (const record of page) {
			const message = messageOf(record);
			if ("unreadable" in message) continue;
			// Repeats are recognised over the whole partition, as the live loop does.
			const repeat = message.origin !== undefined && watermarks.seen(message.origin, message.offset);
			if (record.key !== address) continue;
			const inHistory = isHistory(message.kind);
			if (!inHistory && !everything) continue;
			yield stepOf(actor, message, repeat, inHistory);
		}
		onScanned?.((page.at(-1)?.offset ?? end - 1) + 1);
	}
}

function stepOf(actor: Actor, message: Message, repeat: boolean, inHistory: boolean): FoldStep {
	if (repeat) return { message, actor, effects: [], outcome: "repeat" };
	if (!inHistory) return { message, actor, effects: [], outcome: "folded" };
	try {
		return { message, actor, effects: actor.receive(message), outcome: "folded" };
	} catch (error) {
		actor.fail(message);
		return { message, actor, effects: [], outcome: "failed", error: error as Error };
	}
}

/** The actor as of the records before `end`, folded from the start of its mailbox. */
export async function rebuildActor(
	log: ReadableLog,
	partition: PartitionId,
	address: Address,
	behaviour: Behaviour,
	end: number,
): Promise<Actor> {
	let actor = Actor.fresh(address, behaviour);
	for await (const step of foldActor(log, partition, address, behaviour, { end })) actor = step.actor;
	actor.dirty = true;
	return actor;
}
