/**
 * What became of dead letters: sent once more, or dropped, by whom and why. Owns the record of it, which lies behind the
 * letter in its partition, and who has read which; the letters are parked.ts, sending them is letter-work.ts.
 */
import {
	type Log,
	type LogRecord,
	type NewRecord,
	type PartitionId,
	partitionName,
} from "../persistence/log.ts";
import type { DeadLetter } from "./dead-letters.ts";
import { SCAN_PAGE_RECORDS } from "./fold.ts";
import { DEAD_LETTERS_TOPIC } from "./topics.ts";

/** Outcomes held at once; past it the oldest are forgotten, and their letters count as open again. */
export const OUTCOMES_KNOWN_MAX = 200_000;

/** Open letters that are counted. */
export const LETTERS_COUNTED_MAX = 100_000;

/** Of a record that is no letter itself. */
const OUTCOME_HEADER = "outcome";

export interface LetterOutcome {
	/** Of the letter. */
	readonly id: string;
	readonly outcome: "retried" | "dropped";
	/** User who did it. */
	readonly by: string;
	readonly why: string;
	/** Milliseconds since 1970. */
	readonly at: number;
	/** Of the message that was sent once more. */
	readonly offset?: number;
}

/** The same each time that the record at this offset of a mailbox is parked. */
export function letterId(mailbox: PartitionId, offset: number): string {
	return `${partitionName(mailbox)}@${offset}`;
}

export function isOutcome({ headers }: LogRecord): boolean {
	return headers[OUTCOME_HEADER] !== undefined;
}

/** Where it goes and what. */
export function outcomeRecord(
	{ partition, address }: Pick<DeadLetter, "partition" | "address">,
	outcome: LetterOutcome,
): { readonly to: PartitionId; readonly record: NewRecord } {
	const { at, ...told } = outcome;
	return {
		to: { topic: DEAD_LETTERS_TOPIC, partition },
		record: {
			key: address,
			value: Buffer.from(JSON.stringify(told)),
			headers: { id: outcome.id, [OUTCOME_HEADER]: outcome.outcome },
			timestamp: at,
		},
	};
}

export interface LettersParts {
	readonly log: Pick<Log, "read" | "bounds">;
	readonly partitions: number;
}

/** Outcomes by letter, read on from where the last look ended. */
export class LetterOutcomes {
	readonly #parts: LettersParts;
	readonly #known = new Map<string, LetterOutcome>();
	readonly #next: number[];
	/** A letter that a re-fold parked again has the same id. */
	readonly #open = new Set<string>();
	#reading: Promise<void> | undefined;

	constructor(parts: LettersParts) {
		this.#parts = parts;
		this.#next = Array.from({ length: parts.partitions }, () => 0);
	}

	/** Resolves when everything that was in the log before the call is known. */
	async catchUp(): Promise<void> {
		// One under way may have passed what its later caller waits for.
		await this.#reading;
		this.#reading ??= this.#read().finally(() => {
			this.#reading = undefined;
		});
		await this.#reading;
	}

	/** How many letters nothing became of yet; past LETTERS_COUNTED_MAX it says so many. */
	get open(): number {
		return this.#open.size;
	}

	of(id: string): LetterOutcome | undefined {
		return this.#known.get(id);
	}

	async #read(): Promise<void> {
		const { log, partitions } = this.#parts;
		for (let partition = 0; partition < partitions; partition++) {
			const id = { topic: DEAD_LETTERS_TOPIC, partition };
			const { start, end } = await log.bounds(id);
			let next = Math.max(this.#next[partition] as number, start);
			while (next < end) {
				const page = await log.read(id, next, { maxRecords: SCAN_PAGE_RECORDS, waitMs: 0 });
				for (const record of page) {
					next = record.offset + 1;
					if (isOutcome(record)) this.#note(record);
					else this.#count(record.headers["id"] ?? "");
				}
				if (page.length === 0) break;
			}
			this.#next[partition] = next;
		}
	}

	#count(id: string): void {
		if (this.#open.size < LETTERS_COUNTED_MAX && !this.#known.has(id)) this.#open.add(id);
	}

	#note({ value, timestamp }: LogRecord): void {
		const told = JSON.parse(Buffer.from(value).toString()) as Omit<LetterOutcome, "at">;
		// The newest one counts, and is the last to be forgotten.
		this.#open.delete(told.id);
		this.#known.delete(told.id);
		this.#known.set(told.id, { ...told, at: timestamp });
		if (this.#known.size > OUTCOMES_KNOWN_MAX) this.#known.delete(this.#known.keys().next().value as string);
	}
}
