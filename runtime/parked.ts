/**
 * Dead letters as those who look after actors read them: all of them, and each new one as it comes, from any node. Owns
 * the order and the repeats that a re-fold makes; parking is dead-letters.ts.
 */
import type { ReadableLog } from "../persistence/log.ts";
import { pause } from "./abort.ts";
import type { Address } from "./address.ts";
import type { DeadLetter } from "./dead-letters.ts";
import { FOLLOW_EVERY_MS, SCAN_PAGE_RECORDS } from "./fold.ts";
import { readableEvent } from "./history.ts";
import { isOutcome } from "./letter-outcomes.ts";
import { type Draft, eventVersionOf, messageOf } from "./message.ts";
import { DEAD_LETTERS_TOPIC } from "./topics.ts";

/** Ids of newest letters, of one partition, among which a repeat is known. */
export const LETTERS_KNOWN_MAX = 10_000;

/** A dead letter with its place among them. */
export interface ParkedLetter extends DeadLetter {
	/** Milliseconds since 1970 at which it was parked. */
	readonly parkedAt: number;
	/** Behind it, to go on from there: one for each partition. */
	readonly position: readonly number[];
}

/** Which dead letters, and whether to go on with new ones. */
export interface ParkedOptions {
	/** Of one actor only. */
	readonly address?: Address;
	/** The `position` of a letter: those behind it. Default: all that are kept. */
	readonly after?: readonly number[];
	/** Go on with each one as it comes, until this is aborted. Default: end with the newest. */
	readonly follow?: AbortSignal;
}

/** In the order of each partition. */
export async function* parkedLetters(
	{ log, partitions }: { readonly log: ReadableLog; readonly partitions: number },
	{ address, after, follow }: ParkedOptions = {},
): AsyncGenerator<ParkedLetter> {
	const known = Array.from({ length: partitions }, () => new Set<string>());
	const next = await Promise.all(
		known.map(async (_, partition) => {
			const { start } = await log.bounds({ topic: DEAD_LETTERS_TOPIC, partition });
			return Math.max(after?.[partition] ?? 0, start);
		}),
	);
	for (;;) {
		let isNew = false;
		for (let partition = 0; partition < partitions; partition++) {
			const id = { topic: DEAD_LETTERS_TOPIC, partition };
			const limit = { maxRecords: SCAN_PAGE_RECORDS, waitMs: 0 };
			for (const record of await log.read(id, next[partition] as number, limit)) {
				const { offset, value, timestamp } = record;
				isNew = true;
				next[partition] = offset + 1;
				if (isOutcome(record)) continue;
				const letter = JSON.parse(Buffer.from(value).toString()) as DeadLetter;
				if (isRepeat(known[partition] as Set<string>, letter.id)) continue;
				if (address !== undefined && letter.address !== address) continue;
				yield { ...letter, parkedAt: timestamp, position: [...next] };
			}
		}
		if (isNew) continue;
		if (!follow) return;
		await pause(FOLLOW_EVERY_MS, follow);
	}
}

/** The message that a letter points to, to be sent once more; undefined: the log does not keep it any more. */
export async function draftOf(
	log: ReadableLog,
	{ topic, partition, offset }: DeadLetter,
): Promise<Draft | undefined> {
	const id = { topic, partition };
	const { start } = await log.bounds(id);
	if (offset < start) return undefined;
	const [record] = await log.read(id, offset, { maxRecords: 1, waitMs: 0 });
	if (record?.offset !== offset) return undefined;
	const message = messageOf(record);
	if ("unreadable" in message) return undefined;
	const { to, kind, type, body, from } = message;
	const facts = Object.entries(message.facts ?? {}).filter(([name]) => !name.startsWith("~"));
	const eventVersion = kind === "command" ? eventVersionOf(message) : undefined;
	const sender = from === undefined ? undefined : { from };
	return { to, kind, type, body, facts: Object.fromEntries(facts), eventVersion, ...sender };
}

/** The message that a letter is about, as far as it can be read; undefined: the log does not keep it any more. */
export async function letterRecord(
	log: ReadableLog,
	{ topic, partition, offset }: DeadLetter,
): Promise<Readonly<Record<string, unknown>> | undefined> {
	const id = { topic, partition };
	if (offset < (await log.bounds(id)).start) return undefined;
	const [record] = await log.read(id, offset, { maxRecords: 1, waitMs: 0 });
	if (record?.offset !== offset) return undefined;
	const { timestamp, headers, value } = record;
	const message = messageOf(record);
	if ("unreadable" in message) {
		return { offset, timestamp, headers, body: value, unreadable: message.unreadable };
	}
	const { kind, type, from } = message;
	return { offset, timestamp, kind, type, from, headers, event: readableEvent(message) };
}

function isRepeat(known: Set<string>, id: string): boolean {
	if (known.has(id)) return true;
	known.add(id);
	if (known.size > LETTERS_KNOWN_MAX) known.delete(known.values().next().value as string);
	return false;
}
