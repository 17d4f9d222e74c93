/**
 * What an operator does with dead letters: send their messages once more, at a bounded rate, or drop them. Owns which
 * letters may be sent again, and that each of it is recorded; a letter is done with once.
 */
import type { NewRecord, PartitionId, ReadableLog } from "../persistence/log.ts";
import { ID_FACT } from "./answers.ts";
import { type LetterOutcome, outcomeRecord } from "./letter-outcomes.ts";
import { RETRIES_A_SECOND_DEFAULT } from "./letter-status.ts";
import { type Letter, type LetterFilter, type LetterSource, letters } from "./letters.ts";
import type { Draft } from "./message.ts";
import { draftOf } from "./parked.ts";

/** What writes: a node, or a log that no node has open. */
export interface LetterSink {
	submit(draft: Draft, letter: Letter): Promise<number>;
	append(to: PartitionId, record: NewRecord): Promise<number>;
	now(): number;
	after(ms: number): Promise<void>;
}

export interface LetterWork {
	readonly what: "retry" | "drop";
	readonly by: string;
	readonly why: string;
	readonly filter: LetterFilter;
	/** The position of a letter: those behind it. */
	readonly after?: readonly number[];
	/** Letters looked at. */
	readonly limit: number;
	/** Letters sent in a second. */
	readonly rate?: number;
	/** Say what would be done, write nothing. */
	readonly dryRun?: boolean;
}

export interface LetterResult {
	readonly id: string;
	readonly address: string;
	readonly type: string;
	/** `left`: nothing was done, for `reason`. */
	readonly result: "retried" | "dropped" | "left";
	readonly reason?: string;
	/** Of the message that was sent once more. */
	readonly offset?: number;
	/** Behind the letter; undefined: there is none. */
	readonly position?: readonly number[];
}

/** Each letter that fits and is open; one that is named by its id is told of in any case. */
export async function* workOnLetters(
	source: LetterSource,
	sink: LetterSink,
	{ what, by, why, filter, after, limit, rate = RETRIES_A_SECOND_DEFAULT, dryRun = false }: LetterWork,
): AsyncGenerator<LetterResult> {
	const missing = new Set(filter.ids);
	const wanted: LetterFilter = filter.ids ? filter : { status: "open", ...filter };
	const startedAt = sink.now();
	let seen = 0;
	let sent = 0;
	for await (const letter of letters(source, wanted, after)) {
		missing.delete(letter.id);
		const { id, address, type, position } = letter;
		const draft = what === "retry" ? await draftFor(source.log, letter) : undefined;
		const reason = doneWith(letter) ?? (typeof draft === "string" ? draft : undefined);
		if (reason !== undefined) yield { id, address, type, result: "left", reason, position };
		else {
			let offset: number | undefined;
			if (!dryRun && typeof draft === "object") {
				const dueAt = startedAt + (sent++ * 1_000) / rate;
				if (dueAt > sink.now()) await sink.after(dueAt - sink.now());
				offset = await sink.submit(draft, letter);
			}
			const done = what === "retry" ? "retried" : "dropped";
			const told = offset === undefined ? undefined : { offset };
			const outcome: LetterOutcome = { id, outcome: done, by, why, at: sink.now(), ...told };
			if (!dryRun) {
				const { to, record } = outcomeRecord(letter, outcome);
				await sink.append(to, record);
			}
			yield { id, address, type, result: done, ...told, position };
		}
		if (++seen >= limit) return;
	}
	for (const id of missing) yield { id, address: "", type: "", result: "left", reason: "no such letter" };
}

function doneWith({ outcome }: Letter): string | undefined {
	return outcome && `${outcome.outcome} by ${outcome.by}: ${outcome.why}`;
}

/** Or why there is none. */
async function draftFor(log: ReadableLog, letter: Letter): Promise<Draft | string> {
	const { output, paused, id, topic, partition, offset } = letter;
	if (paused) return "its actor waits for help with it: retry or skip the actor";
	if (output !== undefined) return `the message was taken, what failed is its output ${output}`;
	const draft = await draftOf(log, letter);
	if (!draft) return `the log keeps nothing readable at offset ${offset} of ${topic}/${partition}`;
	// Sent twice, by two operators or around a crash, an actor that remembers ids takes it once.
	return { ...draft, facts: { [ID_FACT]: `retry:${id}`, ...draft.facts } };
}
