/**
 * Parks records that cannot be handled: pointer, cause and attempts, in the dead-letters topic.
 * Owns the parked form; listing and retrying belong to the operator's commands.
 */
import type { Appender } from "../persistence/appender.ts";
import type { LogRecord, PartitionId } from "../persistence/log.ts";
import type { Clock } from "./clock.ts";
import type { Logger } from "./logger.ts";
import { DEAD_LETTERS_TOPIC } from "./topics.ts";

/** Characters of a stack that are kept. */
const STACK_CHARACTERS_MAX = 4_000;

export interface DeadLetter {
	readonly topic: string;
	readonly partition: number;
	readonly offset: number;
	readonly address: string;
	readonly type: string;
	readonly cause: string;
	readonly stack?: string;
	readonly attempts: number;
}

export class DeadLetters {
	readonly #appender: Appender;
	readonly #clock: Clock;
	readonly #logger: Logger;

	constructor(appender: Appender, clock: Clock, logger: Logger) {
		this.#appender = appender;
		this.#clock = clock;
		this.#logger = logger;
	}

	/** Resolves when the parked record is durable. */
	park(origin: PartitionId, record: LogRecord, cause: Error | string, attempts: number): Promise<number> {
		const letter: DeadLetter = {
			...origin,
			offset: record.offset,
			address: record.key,
			type: record.headers["~t"] ?? "",
			cause: typeof cause === "string" ? cause : `${cause.name}: ${cause.message}`,
			...(typeof cause === "object" && cause.stack
				? { stack: cause.stack.slice(0, STACK_CHARACTERS_MAX) }
				: undefined),
			attempts,
		};
		const { stack: _, ...fields } = letter;
		this.#logger.warn(fields, "record parked as a dead letter");
		const partition = { topic: DEAD_LETTERS_TOPIC, partition: origin.partition };
		const parked = {
			key: record.key,
			value: Buffer.from(JSON.stringify(letter)),
			headers: {},
			timestamp: this.#clock.now(),
		};
		return this.#appender.append(partition, parked, { retryForever: true });
	}
}
