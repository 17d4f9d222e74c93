/**
 * Parks records that cannot be handled: pointer, cause and attempts, in the dead-letters topic.
 * Owns the parked form; listing and retrying belong to the operator's commands.
 */
import type { Appender } from "../persistence/appender.ts";
import { type LogRecord, type PartitionId, partitionName } from "../persistence/log.ts";
import type { Clock } from "./clock.ts";
import { type LetterOutcome, letterId, outcomeRecord } from "./letter-outcomes.ts";
import type { Logger } from "./logger.ts";
import { DEAD_LETTERS_TOPIC } from "./topics.ts";

/** Characters of a cause and of a stack that are kept. */
const CAUSE_CHARACTERS_MAX = 4_000;
const STACK_CHARACTERS_MAX = 4_000;
/**
 * Lines of the log for dead letters in one second: a flood of them must not cost the partition its time. The next line
 * says how many were left out.
 */
export const LETTER_LINES_A_SECOND_MAX = 20;

/** A message, or an effect of one, that failed for good. The message itself stays where it is in the log. */
export interface DeadLetter {
	/** The same each time a re-fold parks the record again: a reader takes the first and drops the others. */
	readonly id: string;
	readonly topic: string;
	/** Of the message, in `topic`. */
	readonly partition: number;
	/** Of the message, in its partition. */
	readonly offset: number;
	readonly address: string;
	readonly type: string;
	readonly cause: string;
	readonly stack?: string;
	/** Tries that failed, the first one included. */
	readonly attempts: number;
	/** The record itself was handled; what failed is this one of its effects. */
	readonly output?: number;
	/** The actor waits until somebody skips or retries it. */
	readonly paused?: true;
}

/** Why something was parked. */
export interface Parked {
	readonly cause: Error | string;
	readonly attempts: number;
	readonly output?: number;
	readonly paused?: boolean;
}

export class DeadLetters {
	readonly #appender: Appender;
	readonly #clock: Clock;
	readonly #logger: Logger;
	#second = 0;
	#lines = 0;
	#leftOut = 0;

	constructor(appender: Appender, clock: Clock, logger: Logger) {
		this.#appender = appender;
		this.#clock = clock;
		this.#logger = logger;
	}

	/** Resolves when the parked record is durable. */
	park(origin: PartitionId, record: LogRecord, { cause, attempts, output, paused }: Parked): Promise<number> {
		const text = typeof cause === "string" ? cause : `${cause.name}: ${cause.message}`;
		const stack = typeof cause === "object" ? cause.stack?.slice(0, STACK_CHARACTERS_MAX) : undefined;
		const place = letterId(origin, record.offset);
		const letter: DeadLetter = {
			id: output === undefined ? place : `${place}.${output}`,
			...origin,
			offset: record.offset,
			address: record.key,
			type: record.headers["~t"] ?? "",
			cause: text.slice(0, CAUSE_CHARACTERS_MAX),
			...(stack ? { stack } : undefined),
			attempts,
			...(output === undefined ? undefined : { output }),
			...(paused ? { paused } : undefined),
		};
		const { stack: _, topic: __, ...fields } = letter;
		this.#tell({ ...fields, partition: partitionName(origin) });
		const partition = { topic: DEAD_LETTERS_TOPIC, partition: origin.partition };
		const parked = {
			key: record.key,
			value: Buffer.from(JSON.stringify(letter)),
			headers: { id: letter.id },
			timestamp: this.#clock.now(),
		};
		return this.#appender.append(partition, parked, { retryForever: true });
	}

	/** One that was parked is done with. Resolves when that is durable; repeated by a re-fold. */
	settle(letter: Pick<DeadLetter, "partition" | "address">, outcome: LetterOutcome): Promise<number> {
		const { to, record } = outcomeRecord(letter, outcome);
		return this.#appender.append(to, record, { retryForever: true });
	}

	#tell(fields: Readonly<Record<string, unknown>>): void {
		const second = Math.floor(this.#clock.now() / 1_000);
		if (second !== this.#second) {
			this.#second = second;
			this.#lines = 0;
		}
		if (++this.#lines > LETTER_LINES_A_SECOND_MAX) {
			this.#leftOut++;
			return;
		}
		const leftOut = this.#leftOut;
		this.#leftOut = 0;
		this.#logger.warn(leftOut > 0 ? { ...fields, leftOut } : fields, "record parked as a dead letter");
	}
}
