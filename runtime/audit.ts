/**
 * Who did what to which actor, and why: the records of operators in all mailboxes. Owns their order and what became of each;
 * that they are in the log makes them as durable as everything else.
 */
import { HistoryIndexStore } from "../persistence/history-index.ts";
import { type PartitionId, partitionName } from "../persistence/log.ts";
import type { Address } from "./address.ts";
import { HistoryIndex } from "./history-index.ts";
import { eventOf, type Message } from "./message.ts";
import { mailboxesOf, type OperatorParts, type ScanProgress } from "./operator.ts";
import {
	IMPORTED,
	importedIn,
	REBUILD,
	REBUILT,
	RESTORE,
	rebuildIn,
	rebuiltIn,
	restoreIn,
} from "./recovery-records.ts";

/** One thing that was done to one actor. */
export interface AuditEntry {
	readonly address: Address;
	/** `topic/partition` of its mailbox. */
	readonly partition: string;
	/** Of the record. */
	readonly offset: number;
	/** Milliseconds since 1970 at which it was appended. */
	readonly timestamp: number;
	/** `rebuild`, `restore`, `import`, `pause`, `resume`, `skip`, `retry`. */
	readonly what: string;
	/** Undefined where nobody was named. */
	readonly by: string | undefined;
	readonly why: string | undefined;
	/** `asked`: no owner has answered yet. */
	readonly outcome: "done" | "refused" | "asked";
	/** Of a restore the edits, of an import its file's checksum; what a rebuild began with, or why it was refused. */
	readonly details?: unknown;
}

/** Which of it. */
export interface AuditOptions {
	readonly address?: Address | undefined;
	readonly by?: string | undefined;
	/** Milliseconds since 1970. */
	readonly since?: number | undefined;
	/** Most entries. Default: AUDIT_ENTRIES_DEFAULT. */
	readonly limit?: number | undefined;
	readonly onProgress?: ((progress: ScanProgress) => void) | undefined;
}

export const AUDIT_ENTRIES_DEFAULT = 1_000;

/** Newest first. The first question reads what is not indexed yet, which may be the whole log. */
export async function audit(parts: OperatorParts, options: AuditOptions = {}): Promise<AuditEntry[]> {
	const {
		address,
		by,
		since = Number.NEGATIVE_INFINITY,
		limit = AUDIT_ENTRIES_DEFAULT,
		onProgress,
	} = options;
	const index = parts.index ?? new HistoryIndex(new HistoryIndexStore(), "");
	const mailboxes = mailboxesOf(parts);
	let found: AuditEntry[] = [];
	for (const [i, id] of mailboxes.entries()) {
		const { end } = await parts.log.bounds(id);
		await index.extend(parts.log, id, end);
		for (const entry of await ofPartition(parts, index, id)) {
			if (entry.timestamp < since || (address !== undefined && entry.address !== address)) continue;
			if (by === undefined || entry.by === by) found.push(entry);
		}
		found = found.sort(newestFirst).slice(0, limit);
		onProgress?.({ scanned: i + 1, total: mailboxes.length });
	}
	return found;
}

function newestFirst(left: AuditEntry, right: AuditEntry): number {
	return right.timestamp - left.timestamp || right.offset - left.offset;
}

async function ofPartition(
	parts: OperatorParts,
	index: HistoryIndex,
	id: PartitionId,
): Promise<AuditEntry[]> {
	const entries: AuditEntry[] = [];
	/** Places of rebuilds in `entries` that nobody has answered. */
	const asked = new Map<Address, number[]>();
	for await (const message of index.interventions(parts.log, id)) {
		if (message.type === REBUILT) {
			const { request, refused } = rebuiltIn(message);
			const places = asked.get(message.to) ?? [];
			for (const place of places.filter((one) => (entries[one] as AuditEntry).offset <= request)) {
				const outcome = refused === undefined ? "done" : "refused";
				const why = refused === undefined ? undefined : { details: refused };
				entries[place] = { ...(entries[place] as AuditEntry), outcome, ...why };
			}
			asked.set(
				message.to,
				places.filter((one) => (entries[one] as AuditEntry).offset > request),
			);
			continue;
		}
		const entry = entryOf(message, index, id);
		if (entry.outcome === "asked") asked.set(message.to, [...(asked.get(message.to) ?? []), entries.length]);
		entries.push(entry);
	}
	return entries;
}

function entryOf(message: Message, index: HistoryIndex, id: PartitionId): AuditEntry {
	const { to: address, offset, timestamp, type } = message;
	const entry = { address, partition: partitionName(id), offset, timestamp };
	switch (type) {
		case REBUILD: {
			const { by, why, stored, snapshot } = rebuildIn(message);
			const details = snapshot ? { details: { from: "snapshot" } } : undefined;
			return { ...entry, what: "rebuild", by, why, outcome: stored ? "done" : "asked", ...details };
		}
		case RESTORE: {
			const { by, why, base, edits } = restoreIn(message);
			const before = { from: 0, before: offset, newestFirst: true, limit: 1 };
			const last = index.entries(id, address, before, { repeats: false })[0]?.offset ?? -1;
			const outcome = base === undefined || last <= base ? "done" : "refused";
			return { ...entry, what: "restore", by, why, outcome, details: { base, edits } };
		}
		case IMPORTED: {
			const { by, why, id: file } = importedIn(message).note;
			return { ...entry, what: "import", by, why, outcome: "done", details: { file } };
		}
		default: {
			const { by, why } = eventOf(message) as { by?: string; why?: string };
			return { ...entry, what: type.slice(type.indexOf(".") + 1), by, why, outcome: "done" };
		}
	}
}
