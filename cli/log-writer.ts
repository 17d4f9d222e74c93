/**
 * Records written without a node: into a cluster's log at any time, into an embedded one while no node has it. Owns their
 * origin and who is named in them; what is written is the runtime's.
 */
import { randomBytes } from "node:crypto";
import { hostname, userInfo } from "node:os";
import { setTimeout } from "node:timers/promises";
import { Appender } from "../persistence/appender.ts";
import type { Log, PartitionId } from "../persistence/log.ts";
import type { LetterSink } from "../runtime/letter-work.ts";
import { type Draft, recordOf } from "../runtime/message.ts";
import { SUBMIT_DEADLINE_MS } from "../runtime/node.ts";

const OPERATOR = "mycelog-operator";

export class LogWriter implements LetterSink {
	readonly #appender: Appender;
	/** As a node process has one: its repeats are known by it. */
	readonly #source = `${OPERATOR}~${randomBytes(6).toString("base64url")}`;
	#sequence = 0;

	constructor(log: Log) {
		this.#appender = new Appender(log);
	}

	/** Resolves to the offset. */
	send(draft: Draft, to: PartitionId): Promise<number> {
		const origin = { source: this.#source, major: ++this.#sequence, minor: 0 };
		return this.append(to, recordOf(draft, origin, this.now()));
	}

	/** To where the letter's message lay. */
	submit(draft: Draft, { topic, partition }: PartitionId): Promise<number> {
		return this.send(draft, { topic, partition });
	}

	append: LetterSink["append"] = (to, record) => {
		return this.#appender.append(to, record, { deadlineAt: this.now() + SUBMIT_DEADLINE_MS });
	};

	now(): number {
		return Date.now();
	}

	after(ms: number): Promise<void> {
		return setTimeout(ms);
	}

	close(): Promise<void> {
		return this.#appender.close();
	}
}

/** Who works on data directly is known by the machine alone. */
export function localUser(): string {
	return `${userInfo().username}@${hostname()}`;
}
