/**
 * The way of a message into the log: picks the mailbox's partition and stamps the origin.
 * Owns the origins of what this process itself appends; batching and retries belong to the appender.
 */
import type { Appender } from "../persistence/appender.ts";
import { MycelogError } from "../persistence/errors.ts";
import type { PartitionId } from "../persistence/log.ts";
import { type Address, partitionOf, typeOf } from "./address.ts";
import type { Behaviours } from "./behaviour.ts";
import type { Clock } from "./clock.ts";
import { type Draft, type Origin, recordOf } from "./message.ts";
import type { NodeName } from "./node-name.ts";

export class Outbox {
	readonly #appender: Appender;
	readonly #behaviours: Behaviours;
	readonly #partitions: number;
	readonly #clock: Clock;
	readonly #node: NodeName;
	#sequence = 0;

	constructor(parts: {
		appender: Appender;
		behaviours: Behaviours;
		partitions: number;
		clock: Clock;
		node: NodeName;
	}) {
		this.#appender = parts.appender;
		this.#behaviours = parts.behaviours;
		this.#partitions = parts.partitions;
		this.#clock = parts.clock;
		this.#node = parts.node;
	}

	/** The mailbox of an address. Throws `actor.unknown-type` or `actor.invalid-address`. */
	mailbox(address: Address): PartitionId {
		const behaviour = this.#behaviours.get(typeOf(address));
		if (!behaviour) {
			const known = [...this.#behaviours.keys()].join(", ");
			throw new MycelogError("actor.unknown-type", `no actor type for "${address}"; known types: ${known}`);
		}
		return { topic: behaviour.topic, partition: partitionOf(address, this.#partitions) };
	}

	/** From outside the actors: resolves to the offset, or rejects within `deadlineMs`. */
	submit(draft: Draft, deadlineMs: number): Promise<number> {
		const now = this.#clock.now();
		const record = recordOf(this.#versioned(draft), this.#ownOrigin(), now);
		return this.#appender.append(this.mailbox(draft.to), record, { deadlineAt: now + deadlineMs });
	}

	/** From an actor or its timers: tried until it is in the log; rejects only when the log is closed. */
	emit(draft: Draft, origin?: Origin): Promise<number> {
		const record = recordOf(this.#versioned(draft), origin ?? this.#ownOrigin(), this.#clock.now());
		return this.#appender.append(this.mailbox(draft.to), record, { retryForever: true });
	}

	/** Timers' events are of the machine that their actor has now. */
	#versioned(draft: Draft): Draft {
		if (draft.kind !== "command" || draft.eventVersion !== undefined) return draft;
		const eventVersion = this.#behaviours.get(typeOf(draft.to))?.eventVersion;
		return eventVersion === undefined ? draft : { ...draft, eventVersion };
	}

	#ownOrigin(): Origin {
		return { source: this.#node.text, major: ++this.#sequence, minor: 0 };
	}
}
