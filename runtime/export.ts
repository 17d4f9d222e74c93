/**
 * Writes histories of actors into a file for another environment. Owns what belongs to a history: commands and timers
 * without repeats, in order; the form of the lines is history-file.ts.
 */
import { MycelogError } from "../persistence/errors.ts";
import { type PartitionId, partitionName } from "../persistence/log.ts";
import { Actor, RESTORE_REFUSED } from "./actor.ts";
import { type Address, typeOf } from "./address.ts";
import { scan } from "./fold.ts";
import { readableEvent } from "./history.ts";
import { HISTORY_FORMAT, HISTORY_FORMAT_VERSION, HistoryFileWriter } from "./history-file.ts";
import { type Message, messageOf } from "./message.ts";
import { mailboxesOf, mailboxOf, type OperatorParts, type ScanProgress } from "./operator.ts";
import { readableJson } from "./readable-json.ts";
import { isHistory, RESTORE } from "./recovery-records.ts";
import { Watermarks } from "./watermarks.ts";

/** Whose histories: one actor's, or those of a type or below an address. */
export interface ExportFilter {
	readonly address?: Address | undefined;
	readonly type?: string | undefined;
	/** Only addresses that start with this. */
	readonly under?: string | undefined;
	/** Milliseconds since 1970, for the header. */
	readonly now: number;
	readonly onProgress?: ((progress: ScanProgress) => void) | undefined;
}

/**
 * The file's lines, with their ends. Rejects with `actor.not-found` where nobody is meant, and with `log.offset-trimmed`
 * where the beginning of a mailbox is gone: half a history would be another one.
 */
export async function* exportHistories(parts: OperatorParts, filter: ExportFilter): AsyncGenerator<string> {
	const { address, type, under, now, onProgress } = filter;
	const mailboxes = mailboxesWith(parts, filter);
	const bounds = await Promise.all(mailboxes.map((id) => parts.log.bounds(id)));
	const total = bounds.reduce((sum, { end }) => sum + end, 0);
	const writer = new HistoryFileWriter();
	const { log, partitions } = parts;
	const exportedAt = new Date(now).toISOString();
	const source = { driver: log.driver, partitions };
	const header = {
		format: HISTORY_FORMAT,
		version: HISTORY_FORMAT_VERSION,
		of: { address, type, under },
		source,
		exportedAt,
	} as const;
	yield writer.line(header);
	let before = 0;
	for (const [i, id] of mailboxes.entries()) {
		const { start, end } = bounds[i] as { start: number; end: number };
		yield* ofPartition(parts, filter, id, {
			start,
			end,
			writer,
			scanned: (n) => onProgress?.({ scanned: before + n, total }),
		});
		before += end;
	}
	if (writer.messages === 0) {
		const what = address ?? (under === undefined ? `type ${type}` : `an address that begins with ${under}`);
		throw new MycelogError("actor.not-found", `the log has no history of ${what}: nothing was exported`);
	}
	yield writer.end();
}

async function* ofPartition(
	parts: OperatorParts,
	filter: ExportFilter,
	id: PartitionId,
	{
		start,
		end,
		writer,
		scanned,
	}: { start: number; end: number; writer: HistoryFileWriter; scanned: (n: number) => void },
): AsyncGenerator<string> {
	const actors = new Map<Address, { actor: Actor; messages: number }>();
	for await (const { messages, reached } of pagesOf(parts, filter, id, start, end)) {
		for (const message of messages) {
			if (!isHistory(message.kind) || !isMeant(message.to, filter)) continue;
			const behaviour = parts.behaviours.get(typeOf(message.to));
			if (behaviour?.topic !== id.topic) continue;
			if (start > 0) throw trimmed(message.to, id, start);
			const known = actors.get(message.to) ?? { actor: Actor.fresh(message.to, behaviour), messages: 0 };
			actors.set(message.to, known);
			known.messages++;
			yield writer.line(lineOf(message, id, isInert(known.actor, message)));
		}
		scanned(reached);
	}
	for (const [address, { actor, messages }] of actors) {
		const { version, state, timers } = actor.snapshot();
		yield writer.line({ state: { address, messages, version, state, timers } });
	}
}

/** Without repeats, in order. One actor's are found by the index, where there is one. */
async function* pagesOf(
	{ log, index }: OperatorParts,
	{ address }: ExportFilter,
	id: PartitionId,
	start: number,
	end: number,
): AsyncGenerator<{ readonly messages: readonly Message[]; readonly reached: number }> {
	if (address !== undefined && index) {
		await index.extend(log, id, end);
		const range = { from: start, before: end, everything: false };
		for await (const page of index.messages(log, id, address, range)) {
			const messages = page.filter(({ repeat }) => !repeat).map(({ message }) => message);
			yield { messages, reached: (page.at(-1)?.message.offset ?? start) + 1 };
		}
		return;
	}
	const watermarks = new Watermarks();
	for await (const page of scan(log, id, start, end)) {
		const messages = page.flatMap((record) => {
			const message = messageOf(record);
			if ("unreadable" in message) return [];
			return message.origin && watermarks.seen(message.origin, message.offset) ? [] : [message];
		});
		yield { messages, reached: (page.at(-1)?.offset ?? end - 1) + 1 };
	}
}

/** Folds it, as the live loop does. */
function isInert(actor: Actor, message: Message): boolean {
	try {
		const effects = actor.receive(message);
		return (
			message.type === RESTORE && effects.some((one) => one.type === "drop" && one.reason === RESTORE_REFUSED)
		);
	} catch {
		actor.fail(message);
		return false;
	}
}

function lineOf(message: Message, id: PartitionId, inert: boolean) {
	const { to: address, offset, timestamp, record, body } = message;
	return {
		address,
		partition: partitionName(id),
		offset,
		time: new Date(timestamp).toISOString(),
		headers: record.headers,
		body: Buffer.from(body).toString("base64"),
		event: JSON.parse(readableJson(readableEvent(message))) as unknown,
		...(inert ? { inert: true as const } : undefined),
	};
}

function isMeant(address: Address, { address: only, type, under }: ExportFilter): boolean {
	if (only !== undefined) return address === only;
	if (type !== undefined && typeOf(address) !== type) return false;
	return under === undefined || address.startsWith(under);
}

function mailboxesWith(parts: OperatorParts, { address, type, under }: ExportFilter): PartitionId[] {
	if (address !== undefined) return [mailboxOf(parts, address).partition];
	if (type === undefined && under === undefined) {
		throw new MycelogError("config.invalid-value", "say which histories: an address, --type or --under");
	}
	return mailboxesOf(parts, type);
}

function trimmed(address: Address, id: PartitionId, start: number): MycelogError {
	const text = `the history of ${address} cannot be exported: ${partitionName(id)} starts at offset ${start}, what was before is gone`;
	return new MycelogError("log.offset-trimmed", text, { address, start });
}
