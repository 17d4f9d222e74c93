/**
 * Dead letters as an operator looks for them: by actor, type, cause and time, each with what became of it. Owns the
 * filter and the pages; reading them is parked.ts.
 */
import type { ReadableLog } from "../persistence/log.ts";
import type { LetterOutcome, LetterOutcomes } from "./letter-outcomes.ts";
import type { LetterStatus } from "./letter-status.ts";
import { type ParkedLetter, parkedLetters } from "./parked.ts";

export interface LetterFilter {
	/** Of one actor, or of all whose addresses begin so if it ends with `/`. */
	readonly address?: string;
	/** Type of the message. */
	readonly type?: string;
	/** In the cause. */
	readonly cause?: string;
	/** Parked then or later, milliseconds since 1970. */
	readonly since?: number;
	readonly status?: LetterStatus;
	readonly ids?: ReadonlySet<string>;
}

export interface Letter extends ParkedLetter {
	readonly status: LetterStatus;
	/** Undefined: open. */
	readonly outcome: LetterOutcome | undefined;
}

export interface LetterSource {
	readonly log: ReadableLog;
	readonly partitions: number;
	readonly outcomes: LetterOutcomes;
}

/** In the order of each partition. `after`: the `position` of a letter. */
export async function* letters(
	source: LetterSource,
	filter: LetterFilter,
	after?: readonly number[],
): AsyncGenerator<Letter> {
	const { outcomes } = source;
	await outcomes.catchUp();
	for await (const letter of parkedLetters(source, after ? { after } : {})) {
		const outcome = outcomes.of(letter.id);
		const found: Letter = { ...letter, status: outcome?.outcome ?? "open", outcome };
		if (fits(found, filter)) yield found;
	}
}

function fits(letter: Letter, { address, type, cause, since, status, ids }: LetterFilter): boolean {
	const of = (wanted: string) =>
		wanted.endsWith("/") ? letter.address.startsWith(wanted) : letter.address === wanted;
	return (
		(ids === undefined || ids.has(letter.id)) &&
		(address === undefined || of(address)) &&
		(type === undefined || letter.type === type) &&
		(cause === undefined || letter.cause.includes(cause)) &&
		(since === undefined || letter.parkedAt >= since) &&
		(status === undefined || letter.status === status)
	);
}
