/**
 * An actor's messages without what they did to it: as fast as the log is read, however long the history. Owns that list;
 * states and effects take a fold, which is history.ts.
 */
import type { PartitionId, ReadableLog } from "../persistence/log.ts";
import type { Address } from "./address.ts";
import { SCAN_PAGE_RECORDS, scan } from "./fold.ts";
import { type HistoryEntry, readableEvent } from "./history.ts";
import type { HistoryIndex } from "./history-index.ts";
import { type Message, messageOf } from "./message.ts";
import { mailboxOf, type OperatorParts } from "./operator.ts";
import { isHistory } from "./recovery-records.ts";

/** Pages of a partition looked through from its end before the index is brought up to date, which reads all of it. */
const PAGES_BACK_MAX = 5;

export interface MessageListOptions {
	/** Exclusive; the newest ones before it. */
	readonly before: number;
	readonly limit: number;
	/** Queries and frames too. */
	readonly everything: boolean;
}

export type ListedMessage = Pick<HistoryEntry, "offset" | "timestamp" | "kind" | "type" | "from" | "event">;

/** In mailbox order. */
export async function newestMessages(
	parts: OperatorParts & { readonly index: HistoryIndex },
	address: Address,
	{ before, limit, everything }: MessageListOptions,
): Promise<readonly ListedMessage[]> {
	const { log, index } = parts;
	const { partition } = mailboxOf(parts, address);
	const end = Math.min(before, (await log.bounds(partition)).end);
	const recent = await atTheEnd(log, partition, address, { before: end, limit, everything });
	if (recent) return recent.map(listed);
	await index.extend(log, partition, end);
	const range = { from: 0, before: end, newestFirst: true, limit };
	const [first] = index.entries(partition, address, range, { everything }).slice(-1);
	if (!first) return [];
	const found: Message[] = [];
	const way = { from: first.offset, before: end, everything };
	for await (const page of index.messages(log, partition, address, way)) {
		for (const { message } of page) found.push(message);
	}
	return found.map(listed);
}

/** Undefined: not all of them are there, and the index is to be asked. */
async function atTheEnd(
	log: ReadableLog,
	partition: PartitionId,
	address: Address,
	{ before, limit, everything }: MessageListOptions,
): Promise<readonly Message[] | undefined> {
	const { start } = await log.bounds(partition);
	let found: Message[] = [];
	for (let next = before, pages = 0; next > start && found.length < limit; pages++) {
		if (pages === PAGES_BACK_MAX) return undefined;
		const from = Math.max(next - SCAN_PAGE_RECORDS, start);
		const page: Message[] = [];
		for await (const records of scan(log, partition, from, next)) {
			for (const record of records) {
				const message = record.key === address && messageOf(record);
				if (!message || "unreadable" in message) continue;
				if (everything || isHistory(message.kind)) page.push(message);
			}
		}
		found = [...page, ...found];
		next = from;
	}
	return found.slice(-limit);
}

function listed(message: Message): ListedMessage {
	const { offset, timestamp, kind, type, from } = message;
	return { offset, timestamp, kind, type, from, event: readableEvent(message) };
}
