/**
 * One page of a partition as a projection hands it on: the messages of its actors, each once. Owns what is left out;
 * when it is read, and how far, is projection.ts.
 */
import type { Log, LogRecord, PartitionId } from "../persistence/log.ts";
import { type Address, typeOf } from "./address.ts";
import { type Event, eventOf, eventVersionOf, type Message, messageOf } from "./message.ts";
import { type Place, positionText } from "./projection-positions.ts";
import { IMPORTED, importedIn } from "./recovery-records.ts";
import { Watermarks } from "./watermarks.ts";

/** One message as a handler gets it. */
export interface ProjectedRecord {
	readonly address: Address;
	/** In the partition of its actor's mailbox. */
	readonly offset: number;
	/** Milliseconds since 1970 at which it was appended. */
	readonly timestamp: number;
	/** `timer`: by a deadline of the actor itself. */
	readonly kind: "command" | "timer";
	readonly event: Event;
	/** Version of the actor type whose form the event has. */
	readonly version: number;
	/** Address of the sending actor; undefined: from outside. */
	readonly from: Address | undefined;
}

/** Records of one partition, in order, for one call of a handler. */
export interface ProjectionBatch {
	/** Of the actors' mailboxes; records of one actor are always in the same one. */
	readonly partition: number;
	/** In order. May be empty, for the position alone. */
	readonly records: readonly ProjectedRecord[];
	/** Behind these records: what to store with them. */
	readonly position: string;
	/** What was stored before; undefined: nothing. Where nodes share a database, replace only this one. */
	readonly after: string | undefined;
}

export interface ReadBatch {
	readonly records: readonly ProjectedRecord[];
	readonly place: Place;
	readonly position: string;
	/** Records looked at. */
	readonly scanned: number;
}

/** Records from `place` on that lie before `end`; `place` itself stays as it is. */
export async function readBatch(
	log: Log,
	partition: PartitionId,
	place: Place,
	{ end, types, maxRecords }: { end: number; types: ReadonlySet<string>; maxRecords: number },
): Promise<ReadBatch> {
	const page = await log.read(partition, place.next, { maxRecords, waitMs: 0 });
	const watermarks = Watermarks.decode(place.watermarks.encode());
	const records: ProjectedRecord[] = [];
	// Behind the last record there may be offsets that hold none.
	let next = page.length === 0 ? end : place.next;
	for (const record of page) {
		if (record.offset >= end) break;
		next = record.offset + 1;
		const projected = projectedOf(record, watermarks, types);
		if (projected) records.push(projected);
	}
	const after = { next, watermarks };
	return { records, place: after, position: positionText(after), scanned: page.length };
}

/** Undefined: no message of these actors, or one that was there before. */
function projectedOf(
	record: LogRecord,
	watermarks: Watermarks,
	types: ReadonlySet<string>,
): ProjectedRecord | undefined {
	const message = messageOf(record);
	if ("unreadable" in message) return undefined;
	if (message.origin && watermarks.seen(message.origin, message.offset)) return undefined;
	if (!types.has(typeOf(message.to))) return undefined;
	const carried = carriedBy(message);
	const event = carried && readable(carried);
	if (!event || (carried.kind !== "command" && carried.kind !== "timer")) return undefined;
	const { kind, to: address, timestamp, from } = carried;
	return { address, offset: message.offset, timestamp, kind, event, version: eventVersionOf(carried), from };
}

/** An imported message is what it was where it comes from. Undefined: its actor cannot read it either. */
function carriedBy(message: Message): Message | undefined {
	if (message.type !== IMPORTED || message.from !== undefined) return message;
	try {
		const { original, note } = importedIn(message);
		return note.inert ? undefined : original;
	} catch {
		return undefined;
	}
}

/** Undefined: its actor cannot read it either, and it is a dead letter. */
function readable(message: Message): Event | undefined {
	try {
		return eventOf(message);
	} catch {
		return undefined;
	}
}
