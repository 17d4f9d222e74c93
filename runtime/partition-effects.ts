/**
 * Carries out what transitions asked for: outputs to the log, replies to asks, deliveries to sockets.
 * Owns the origins of outputs (deterministic, so that a re-fold repeats them) and where an outlet is.
 */
import type { Address } from "./address.ts";
import { typeOf } from "./address.ts";
import type { Asks } from "./asks.ts";
import type { Behaviours } from "./behaviour.ts";
import type { Effect, Outlet, ReplyResult } from "./effect.ts";
import type { Logger } from "./logger.ts";
import { type Draft, type Event, encodeBody, type Message, type Origin, type ReplyTo } from "./message.ts";
import type { RuntimeMetrics } from "./metrics.ts";
import type { NodeChannel } from "./node-channel.ts";
import type { NodeName } from "./node-name.ts";
import type { Outbox } from "./outbox.ts";

/** Sockets of this process, as far as the runtime knows them. The gateway implements it. */
export interface LocalOutlets {
	/** A message for a connection, in mailbox order. An unknown connection is ignored: its actor will hear. */
	deliver(connection: string, message: Message): void;
	signal(connection: string, signal: Event): void;
}

/** Outputs under way, so that a checkpoint can wait for those it depends on. */
export class OutputGroup {
	#pending = 0;
	#waiting: { readonly limit: number; readonly resolve: () => void }[] = [];

	get pending(): number {
		return this.#pending;
	}

	add(output: Promise<unknown>): void {
		this.#pending++;
		output.then(this.#settle, this.#settle);
	}

	settled(): Promise<void> {
		return this.below(1);
	}

	/** Resolves when fewer than `limit` outputs are under way. */
	below(limit: number): Promise<void> {
		if (this.#pending < limit) return Promise.resolve();
		return new Promise((resolve) => this.#waiting.push({ limit, resolve }));
	}

	readonly #settle = (): void => {
		this.#pending--;
		if (this.#waiting.length === 0) return;
		const ready = this.#waiting.filter((w) => this.#pending < w.limit);
		this.#waiting = this.#waiting.filter((w) => this.#pending >= w.limit);
		for (const { resolve } of ready) resolve();
	};
}

export interface PartitionEffectsParts {
	readonly outbox: Outbox;
	readonly asks: Asks;
	readonly node: NodeName;
	readonly outlets: LocalOutlets;
	readonly channel: NodeChannel | undefined;
	readonly behaviours: Behaviours;
	readonly metrics: RuntimeMetrics;
	readonly logger: Logger;
}

export class PartitionEffects {
	readonly #parts: PartitionEffectsParts;

	constructor(parts: PartitionEffectsParts) {
		this.#parts = parts;
	}

	/** One effect of `cause`; `index` is its place among that record's effects. */
	run(effect: Effect, cause: Message, source: string, index: number, outputs: OutputGroup): void {
		switch (effect.type) {
			case "tell":
			case "post":
			case "forward":
				this.#output(draftOf(effect, cause), { source, major: cause.offset, minor: index }, outputs);
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
			case "schedule":
			case "cancel":
				throw new Error(`${effect.type} belongs to the actor and never reaches its partition`);
		}
	}

	reply(to: ReplyTo, result: ReplyResult, outputs: OutputGroup): void {
		const { node, asks, channel, metrics } = this.#parts;
		if (to.node === node.text) {
			if (!asks.settle(to.ask, result)) metrics.lateReplies++;
		} else if (channel && !node.isEarlierProcess(to.node)) {
			outputs.add(channel.sendReply(to, result));
		} else {
			metrics.lateReplies++;
		}
	}

	/** A record of this process's own making, such as a timer that is due. */
	append(draft: Draft): void {
		this.#watchFailure(this.#parts.outbox.emit(draft), draft);
	}

	claimLost(address: Address, claim: string): void {
		const type = this.#parts.behaviours.get(typeOf(address))?.claimLostType;
		if (!type) return;
		this.append({ to: address, kind: "command", type, body: encodeBody({ type, claim }) });
	}

	#output(draft: Draft, origin: Origin, outputs: OutputGroup): void {
		this.#parts.metrics.outputs++;
		let output: Promise<number>;
		try {
			output = this.#parts.outbox.emit(draft, origin);
		} catch (err) {
			// No such mailbox: a re-fold would find the same, so the partition goes on.
			this.#parts.logger.error({ to: draft.to, type: draft.type, err }, "output has no mailbox; dropped");
			return;
		}
		this.#watchFailure(output, draft);
		outputs.add(output);
	}

	#watchFailure(output: Promise<number>, draft: Draft): void {
		output.catch((err) => {
			this.#parts.logger.error({ to: draft.to, type: draft.type, err }, "output not appended");
		});
	}

	#deliver(outlet: Outlet, message: Message, outputs: OutputGroup): void {
		const { node, outlets, channel } = this.#parts;
		if (outlet.node === node.text) outlets.deliver(outlet.connection, message);
		else if (channel && !node.isEarlierProcess(outlet.node))
			outputs.add(channel.sendDelivery(outlet, message));
	}

	#signal(outlet: Outlet, signal: Event, outputs: OutputGroup): void {
		const { node, outlets, channel } = this.#parts;
		if (outlet.node === node.text) outlets.signal(outlet.connection, signal);
		else if (channel && !node.isEarlierProcess(outlet.node)) outputs.add(channel.sendSignal(outlet, signal));
	}
}

function draftOf(effect: Extract<Effect, { type: "tell" | "post" | "forward" }>, cause: Message): Draft {
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
