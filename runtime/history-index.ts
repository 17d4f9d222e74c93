/**
 * Keeps the history index up with the log, and reads one actor's records by it. Owns what is put in: every readable record
 * with its kind and whether it is a repeat, which only a pass over the whole partition can tell.
 */
import type { HistoryIndexStore, IndexedRecord, IndexState, Keyframe } from "../persistence/history-index.ts";
import { type LogRecord, type PartitionId, partitionName, type ReadableLog } from "../persistence/log.ts";
import { Actor } from "./actor.ts";
import type { Address } from "./address.ts";
import type { Behaviour } from "./behaviour.ts";
import { IndexPasses, indexing } from "./index-passes.ts";
import { type Message, type MessageKind, messageOf } from "./message.ts";
import type { ScanProgress } from "./operator.ts";
import { isIntervention } from "./recovery-records.ts";
import { Watermarks } from "./watermarks.ts";

/** Records indexed in one transaction: between two, whoever shares the process has its turn. */
export const INDEX_STEP_RECORDS = 2_000;
/** Entries of one actor read at a time. */
const PAGE_ENTRIES = 500;
/** A state is kept after so many messages of its actor at least: what lies between two is folded when it is asked for. */
export const KEYFRAME_EVERY_MESSAGES = 200;
/** And after so many that a message costs at most so many bytes of states: large states are kept less often. */
export const KEYFRAME_BYTES_A_MESSAGE = 200;
/** Records of others between two of the actor that are read with them rather than asking the log a second time. */
const GAP_RECORDS_EMBEDDED = 4;
const GAP_RECORDS_KAFKA = 2_000;
/** So few that lie close together are read one by one, as those that do not. */
const TOGETHER_MIN = 16;
/** Records read one by one: their bytes are in memory together. */
const READ_AT_ONCE = 32;

const KINDS: readonly MessageKind[] = ["command", "query", "frame", "timer"];
const HISTORY_KINDS = [0, 3] as const;
const ALL_KINDS = [0, 1, 2, 3] as const;

export interface EntryFilter {
	readonly everything?: boolean | undefined;
	readonly type?: string | undefined;
	/** Milliseconds since 1970, inclusive. */
	readonly since?: number | undefined;
	readonly until?: number | undefined;
	readonly repeats?: boolean | undefined;
}

/** A message and whether it was seen before. */
export interface IndexedMessage {
	readonly message: Message;
	readonly repeat: boolean;
}

/** Of the partitions of one log, in one store. */
export class HistoryIndex {
	readonly #store: HistoryIndexStore;
	#passes = new IndexPasses();
	/** Undefined: until it is there. */
	#waitMs: number | undefined;
	/** Of the behaviours in this process: states made by other code are of no use to it. */
	readonly code: string;

	constructor(store: HistoryIndexStore, code: string) {
		this.#store = store;
		this.code = code;
		store.use(code, Date.now());
	}

	/** The same one for who wants a word after `waitMs`: `extend` rejects with `operator.indexing` then, and goes on. */
	hurried(waitMs: number): HistoryIndex {
		const hurried = new HistoryIndex(this.#store, this.code);
		hurried.#waitMs = waitMs;
		hurried.#passes = this.#passes;
		return hurried;
	}

	/** Everything before `end` is in the index then. Returns what was seen of each source until there. */
	async extend(
		log: ReadableLog,
		id: PartitionId,
		end: number,
		onProgress?: (progress: ScanProgress) => void,
	): Promise<IndexState | undefined> {
		const { start } = await log.bounds(id);
		const state = await this.#checked(log, id, start);
		if ((state?.next ?? start) >= end) return state;
		const waitMs = this.#waitMs;
		await this.#passes.upTo(id, end, (told) => this.#read(log, id, end, told), { waitMs, onProgress });
		return this.#store.state(id);
	}

	async #read(
		log: ReadableLog,
		id: PartitionId,
		end: number,
		onProgress: (progress: ScanProgress) => void,
	): Promise<void> {
		const { start } = await log.bounds(id);
		let state = await this.#checked(log, id, start);
		const from = state?.next ?? start;
		const watermarks = state ? Watermarks.decode(state.watermarks) : new Watermarks();
		for (let next = from; next < end; ) {
			const maxRecords = Math.min(INDEX_STEP_RECORDS, end - next);
			const page = await log.read(id, next, { maxRecords, waitMs: 0 });
			const last = page.at(-1);
			if (!last) break;
			next = last.offset + 1;
			const records = page.flatMap((record) => indexed(record, watermarks));
			const after = { start, next, tip: tipOf(last), watermarks: watermarks.encode() };
			// Another process is at it too: what it has put in is as good.
			if (!this.#store.extend(id, state, after, records)) return this.#read(log, id, end, onProgress);
			state = after;
			onProgress({ scanned: next - from, total: end - from });
			await new Promise((resolve) => setImmediate(resolve));
		}
	}

	/** Undefined: nothing of this log is in the index. */
	async #checked(log: ReadableLog, id: PartitionId, start: number): Promise<IndexState | undefined> {
		const state = this.#store.state(id);
		if (!state) return undefined;
		// What lies between was never seen here: as any other fold, it begins with what is kept.
		const isBehind = start > state.next;
		if (!isBehind && state.next > start) {
			const [last] = await log.read(id, state.next - 1, { maxRecords: 1, waitMs: 0 });
			if (!last || tipOf(last) !== state.tip) return this.#forgotten(id);
		}
		if (isBehind) return this.#forgotten(id);
		if (start > state.start) this.#store.trim(id, start);
		return this.#store.state(id);
	}

	#forgotten(id: PartitionId): undefined {
		this.#store.forget(id);
	}

	/** Offsets of an actor's records in the index, and when they were written. */
	entries(
		id: PartitionId,
		address: Address,
		range: { from: number; before: number; newestFirst?: boolean; limit: number },
		{ everything, ...filter }: EntryFilter,
	): { offset: number; timestamp: number }[] {
		const kinds = everything ? ALL_KINDS : HISTORY_KINDS;
		return this.#store.entries(id, address, { ...range, ...filter, kinds });
	}

	/** What operators did to the actors of a partition, in order. */
	async *interventions(log: ReadableLog, id: PartitionId): AsyncGenerator<Message> {
		for await (const record of recordsAt(log, id, this.#store.marks(id))) {
			const message = messageOf(record);
			if (!("unreadable" in message)) yield message;
		}
	}

	/** In order, those that are in the index, page by page. */
	async *messages(
		log: ReadableLog,
		id: PartitionId,
		address: Address,
		{ from, before, everything }: { from: number; before: number; everything: boolean },
	): AsyncGenerator<readonly IndexedMessage[]> {
		for (let next = from; ; ) {
			const kinds = everything ? ALL_KINDS : HISTORY_KINDS;
			const entries = this.#store.entries(id, address, { from: next, before, limit: PAGE_ENTRIES, kinds });
			const last = entries.at(-1);
			if (!last) return;
			const repeats = new Map(entries.map(({ offset, repeat }) => [offset, repeat]));
			const found: IndexedMessage[] = [];
			for await (const record of recordsAt(log, id, [...repeats.keys()])) {
				const message = messageOf(record);
				if (!("unreadable" in message)) found.push({ message, repeat: repeats.get(record.offset) === true });
			}
			yield found;
			next = last.offset + 1;
		}
	}

	/** The actor as of its newest kept state before `before`; undefined: begin with the first message. */
	keyframe(id: PartitionId, address: Address, behaviour: Behaviour, before: number): Actor | undefined {
		const frame = this.#store.keyframe(id, address, this.code, before);
		return frame && Actor.adopt({ address, ...frame }, behaviour);
	}

	/**
	 * To be told of each message folded without interruption from the first one or from a keyframe on, and of the offset for
	 * whose sake it is folded. Where that is far away it rejects as `extend` does: who asks again goes on from what is kept.
	 */
	keyframes(id: PartitionId, sought = Number.NEGATIVE_INFINITY): (actor: Actor) => void {
		let messages = 0;
		let every = KEYFRAME_EVERY_MESSAGES;
		let from: number | undefined;
		const since = performance.now();
		const hurry = ({ address, offset }: Actor) => {
			if (this.#waitMs === undefined || offset >= sought || performance.now() - since < this.#waitMs) return;
			const progress = { scanned: offset - (from ?? offset), total: sought - (from ?? offset) };
			throw indexing(partitionName(id), progress, `folds ${address} up to offset ${sought}`);
		};
		return (actor) => {
			from ??= actor.offset;
			if (++messages < every) return;
			messages = 0;
			const frame: Keyframe = actor.snapshot();
			every = Math.max(KEYFRAME_EVERY_MESSAGES, Math.ceil(frame.state.length / KEYFRAME_BYTES_A_MESSAGE));
			this.#store.putKeyframe(id, actor.address, this.code, frame);
			hurry(actor);
		};
	}

	/** The store with it. */
	close(): void {
		this.#store.close();
	}
}

function indexed(record: LogRecord, watermarks: Watermarks): IndexedRecord[] {
	const message = messageOf(record);
	if ("unreadable" in message) return [];
	const { to: address, offset, timestamp, type, origin } = message;
	const repeat = origin !== undefined && watermarks.seen(origin, offset);
	const marked = !repeat && isIntervention(message);
	return [{ address, offset, timestamp, kind: KINDS.indexOf(message.kind), repeat, type, marked }];
}

/** No two logs have a record with the same origin and time at one offset. */
function tipOf({ offset, timestamp, headers, key }: LogRecord): string {
	return `${offset} ${timestamp} ${headers["~s"] ?? headers["~o"] ?? ""} ${key}`;
}

/** Ascending offsets; what lies close together is read at once. */
async function* recordsAt(
	log: ReadableLog,
	id: PartitionId,
	offsets: readonly number[],
): AsyncGenerator<LogRecord> {
	const gap = log.readAt ? GAP_RECORDS_EMBEDDED : GAP_RECORDS_KAFKA;
	for (let i = 0; i < offsets.length; ) {
		let end = i + 1;
		while (end < offsets.length && (offsets[end] as number) - (offsets[end - 1] as number) <= gap) end++;
		if (log.readAt && end - i < TOGETHER_MIN) {
			const few = offsets.slice(i, i + READ_AT_ONCE);
			yield* await log.readAt(id, few);
			i += few.length;
			continue;
		}
		yield* recordsBetween(log, id, offsets.slice(i, end));
		i = end;
	}
}

/** All of it is read, and what is not asked for left out. */
async function* recordsBetween(
	log: ReadableLog,
	id: PartitionId,
	offsets: readonly number[],
): AsyncGenerator<LogRecord> {
	const wanted = new Set(offsets);
	const last = offsets.at(-1) as number;
	for (let next = offsets[0] as number; next <= last; ) {
		const page = await log.read(id, next, { maxRecords: last - next + 1, waitMs: 0 });
		const reached = page.at(-1)?.offset;
		if (reached === undefined) return;
		for (const record of page) if (wanted.has(record.offset)) yield record;
		next = reached + 1;
	}
}
