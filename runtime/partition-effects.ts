/**
 * Carries out what transitions asked for: outputs to the log, replies to asks, deliveries to sockets.
 * Owns the origins of outputs (deterministic, so that a re-fold repeats them) and where an outlet is.
 */
import { MycelogError } from "../persistence/errors.ts";
import type { PartitionId } from "../persistence/log.ts";
import { partitionName } from "../persistence/log.ts";
import type { Address } from "./address.ts";
import { typeOf } from "./address.ts";
import type { Asks } from "./asks.ts";
import type { Behaviours } from "./behaviour.ts";
import type { DeadLetters, Parked } from "./dead-letters.ts";
import type { Effect, Outlet, ReplyResult } from "./effect.ts";
import { letterId } from "./letter-outcomes.ts";
import type { LiveNodes } from "./live-nodes.ts";
import type { Logger } from "./logger.ts";
import { type Draft, type Event, encodeBody, type Message, type ReplyTo } from "./message.ts";
import type { RuntimeMetrics } from "./metrics.ts";
import type { NodeChannel } from "./node-channel.ts";
import type { NodeName } from "./node-name.ts";
import type { Outbox } from "./outbox.ts";
import type { OutputGroup } from "./output-group.ts";
import type { Tracing } from "./tracing.ts";

/** Sockets of this process, as far as the runtime knows them. The gateway implements it. */
export interface LocalOutlets {
	/** A message for a connection, in mailbox order. An unknown connection is ignored: its actor will hear. */
	deliver(connection: string, message: Message): void;
	/** A word of the runtime about a connection: its actor has let go of it, for example. */
	signal(connection: string, signal: Event): void;
}

export interface PartitionEffectsParts {
	readonly outbox: Outbox;
	readonly asks: Asks;
	readonly node: NodeName;
	readonly nodes: LiveNodes;
	readonly outlets: LocalOutlets;
	readonly channel: NodeChannel | undefined;
	readonly behaviours: Behaviours;
	readonly deadLetters: DeadLetters;
	readonly metrics: RuntimeMetrics;
	readonly logger: Logger;
	readonly tracing: Tracing | undefined;
}

export class PartitionEffects {
	readonly #parts: PartitionEffectsParts;

	constructor(parts: PartitionEffectsParts) {
		this.#parts = parts;
	}

	/** One effect of `cause`, a record of `partition`; `index` is its place among that record's effects. */
	run(effect: Effect, cause: Message, partition: PartitionId, index: number, outputs: OutputGroup): void {
		switch (effect.type) {
			case "tell":
			case "post":
			case "forward":
				this.#output(effect, cause, partition, index, outputs);
				return;
			case "reply":
				this.reply(effect.to, effect.result, outputs);
				return;
			case "deliver":
				this.#deliver(effect.outlet, effect.message, outputs);
				return;
			case "signal":
				this.#signal(effect.outlet, effect.signal, outputs);
				return;
			case "drop": {
				const { drops } = this.#parts.metrics;
				drops[effect.reason] = (drops[effect.reason] ?? 0) + 1;
				return;
			}
			case "park": {
				const { cause: error, attempts, paused } = effect;
				this.park(partition, effect.message.record, { cause: error, attempts, paused }, outputs);
				return;
			}
			case "settle":
				this.#settle(effect, cause, partition, outputs);
				return;
			case "emit":
				return;
			case "schedule":
			case "cancel":
				throw new Error(`${effect.type} belongs to the actor and never reaches its partition`);
		}
	}

	reply(to: ReplyTo, result: ReplyResult, outputs: OutputGroup): void {
		const { node, nodes, asks, channel, metrics, logger } = this.#parts;
		if (to.node === node.text) {
			if (!asks.settle(to.ask, result)) metrics.lateReplies++;
		} else if (channel && !nodes.isGone(to.node)) {
			outputs.add(channel.sendReply(to, result), (err) => {
				logger.warn({ err, node: to.node }, "reply not sent");
				return true;
			});
		} else {
			metrics.lateReplies++;
		}
	}

	/** A record of this process's own making, such as a timer that is due. */
	append(draft: Draft): void {
		this.emit(draft).catch((err) => {
			// Otherwise the node stops while its log is away, and the next owner makes it again.
			const level = isFinal(err) ? "error" : "debug";
			this.#parts.logger[level]({ to: draft.to, type: draft.type, err }, "record not appended");
		});
	}

	/** The same, for who waits for it: tried until it is in the log. */
	async emit(draft: Draft): Promise<number> {
		return this.#parts.outbox.emit(draft);
	}

	/** `before`: claims that the actor made at this offset or later are not meant. */
	claimLost(address: Address, claim: string, before: number): void {
		const type = this.#parts.behaviours.get(typeOf(address))?.claimLostType;
		if (!type) return;
		this.append({ to: address, kind: "command", type, body: encodeBody({ type, claim, before }) });
	}

	/** Park a record, or one output of it; repeated by a re-fold, under the same id. */
	park(partition: PartitionId, cause: Message["record"], parked: Parked, outputs: OutputGroup): void {
		const { metrics, deadLetters, logger } = this.#parts;
		metrics.deadLetters++;
		outputs.add(deadLetters.park(partition, cause, parked), (err) => {
			const fields = { address: cause.key, partition: partitionName(partition), offset: cause.offset, err };
			// The node stops while its log is away: the next owner parks it again.
			logger[isFinal(err) ? "error" : "debug"](fields, "dead letter not appended");
			return isFinal(err);
		});
	}

	#settle(
		{ offset, outcome, by, why }: Extract<Effect, { type: "settle" }>,
		{ to: address, timestamp: at }: Message,
		partition: PartitionId,
		outputs: OutputGroup,
	): void {
		const { deadLetters, logger } = this.#parts;
		const letter = { id: letterId(partition, offset), partition: partition.partition, address };
		const told = { id: letter.id, outcome, by, why, at };
		outputs.add(deadLetters.settle(letter, told), (err) => {
			logger[isFinal(err) ? "error" : "debug"](
				{ letter: letter.id, err },
				"outcome of a dead letter not appended",
			);
			return isFinal(err);
		});
	}

	#output(effect: Output, cause: Message, partition: PartitionId, index: number, outputs: OutputGroup): void {
		const { outbox, metrics, logger, tracing } = this.#parts;
		metrics.outputs++;
		const origin = { source: partitionName(partition), major: cause.offset, minor: index };
		const refused = (error: Error) =>
			this.park(partition, cause.record, { cause: error, attempts: 1, output: index }, outputs);
		let output: Promise<number>;
		try {
			const draft = draftOf(effect, cause);
			const span = tracing?.output(draft.to, draft.type);
			const trace = span?.trace ?? cause.trace;
			output = outbox.emit(trace === undefined ? draft : { ...draft, trace }, origin);
			if (span) output.then(() => span.end(), span.end);
		} catch (error) {
			// No such mailbox, or nothing msgpack can carry: every fold finds the same, so the partition goes on.
			refused(error as Error);
			return;
		}
		outputs.add(output, (err) => {
			if (isFinal(err)) {
				refused(err);
				return true;
			}
			// The node stops while its log is away: the next owner makes it again.
			const { to: address, offset } = cause;
			const fields = { address, partition: origin.source, offset, to: effect.to, err };
			logger.debug(fields, "output not appended");
			return false;
		});
	}

	#deliver(outlet: Outlet, message: Message, outputs: OutputGroup): void {
		const { outlets, channel } = this.#parts;
		const about = { address: message.to, offset: message.offset };
		if (this.#isHere(outlet))
			this.#toSocket(outlet, () => outlets.deliver(outlet.connection, message), about);
		else if (channel && !this.#parts.nodes.isGone(outlet.node))
			this.#sent(outlet, channel.sendDelivery(outlet, message), outputs, about);
		// Its actor is told, and the message waits in the mailbox.
		else this.#parts.metrics.strandedDeliveries++;
	}

	#signal(outlet: Outlet, signal: Event, outputs: OutputGroup): void {
		const { outlets, channel } = this.#parts;
		if (this.#isHere(outlet)) this.#toSocket(outlet, () => outlets.signal(outlet.connection, signal));
		// A process that was only thought gone must hear that its connection has lost its place.
		else if (channel && !this.#parts.node.isEarlierProcess(outlet.node))
			this.#sent(outlet, channel.sendSignal(outlet, signal), outputs);
	}

	#isHere(outlet: Outlet): boolean {
		return outlet.node === this.#parts.node.text;
	}

	/** One connection's trouble must not stop the mailboxes of everybody else. */
	#toSocket({ connection }: Outlet, give: () => void, about: About = {}): void {
		try {
			give();
		} catch (err) {
			this.#parts.logger.error({ ...about, connection, err }, "the connection did not take what is for it");
		}
	}

	#sent(
		{ node, connection }: Outlet,
		sending: Promise<number>,
		outputs: OutputGroup,
		about: About = {},
	): void {
		outputs.add(sending, (err) => {
			// This node stops: the next owner hands it over again.
			const stops = MycelogError.is(err, "log.closed");
			const fields = { ...about, node, connection, err };
			this.#parts.logger[stops ? "debug" : "error"](fields, "not handed to the connection's node");
			return !stops;
		});
	}
}

/** The record that a line is about. */
type About = { readonly address?: Address; readonly offset?: number };
type Output = Extract<Effect, { type: "tell" | "post" | "forward" }>;

/** Nothing was written, and nothing ever will be however often it is tried. */
function isFinal(error: unknown): error is MycelogError {
	return MycelogError.is(error, "log.record-too-large") || MycelogError.is(error, "log.topic-mismatch");
}

function draftOf(effect: Output, cause: Message): Draft {
	switch (effect.type) {
		case "tell":
			return {
				to: effect.to,
				from: cause.to,
				kind: "command",
				type: effect.event.type,
				body: encodeBody(effect.event),
			};
		case "post":
			return {
				to: effect.to,
				from: cause.to,
				kind: "frame",
				type: effect.event.type,
				body: encodeBody(effect.event),
				...(effect.facts ? { facts: effect.facts } : undefined),
			};
		case "forward":
			return {
				to: effect.to,
				from: cause.to,
				kind: "frame",
				type: effect.message.type,
				body: effect.message.body,
				facts: ownFacts(effect.message),
			};
	}
}

/** Facts without the envelope's own headers, which belong to the first hop. */
function ownFacts(message: Message): Record<string, string> {
	return Object.fromEntries(Object.entries(message.facts ?? {}).filter(([name]) => !name.startsWith("~")));
}
