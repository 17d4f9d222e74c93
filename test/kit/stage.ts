/**
 * Actors without a log: messages run one after the other, effects to other actors at once, the rest is kept to
 * look at. Every state goes through its stored form, so that a test also shows that it survives that.
 */
import type { Behaviour } from "../../runtime/behaviour.ts";
import type { Effect, ReplyResult } from "../../runtime/effect.ts";
import type { Event, Message } from "../../runtime/message.ts";
import { message } from "./messages.ts";

type Kept = Extract<Effect, { type: "tell" | "post" | "forward" | "drop" }>;

/** Messages after which every state goes through its stored form; later ones only now and then, to save time. */
const STORED_EACH_TIME = 200;
const STORED_EVERY = 50;
/** Commands that actors may cause one another until a test is taken for an endless loop. */
const STEPS_MAX = 10_000;

export class Stage {
	/** Milliseconds since 1970 that the next message carries. */
	now = 1_000;
	readonly #behaviours: ReadonlyMap<string, Behaviour>;
	readonly #states = new Map<string, unknown>();
	readonly #replies = new Map<string, ReplyResult>();
	#kept: Kept[] = [];
	#offset = 0;
	#lastAsk = 0;

	constructor(behaviours: readonly Behaviour[]) {
		this.#behaviours = new Map(behaviours.map((behaviour) => [behaviour.type, behaviour]));
	}

	/** Effects to actors that are not on the stage, and drops, since the last look. */
	take(): readonly Kept[] {
		const kept = this.#kept;
		this.#kept = [];
		return kept;
	}

	state(address: string): string {
		return this.#behaviour(address).describe(this.#stateOf(address));
	}

	tell(address: string, event: Event): void {
		this.#run(message(address, event, this.#envelope()));
	}

	/** The reply to a command or query; undefined: none came. */
	reply(address: string, event: Event, kind: "command" | "query" = "command"): ReplyResult | undefined {
		const ask = String(++this.#lastAsk);
		const replyTo = { node: "test~1", ask };
		const asked = message(address, event, { ...this.#envelope(), kind, replyTo });
		if (kind === "query") return this.#behaviour(address).query?.(this.#stateOf(address), asked);
		this.#run(asked);
		return this.#replies.get(ask);
	}

	/** The value asked for. Throws with the actor's words. */
	ask(address: string, event: Event, kind: "command" | "query" = "command"): unknown {
		const reply = this.reply(address, event, kind);
		if (!reply) throw new Error(`no reply to ${event.type}`);
		if (!reply.ok) throw new Error(reply.error);
		return reply.value;
	}

	/** Where a client's broadcast goes. */
	pass(address: string, event: string, from: string): readonly Effect[] {
		const envelope = { ...this.#envelope(), kind: "frame" as const, from, facts: { event } };
		const frame = message(address, { type: "frame" }, envelope);
		return this.#behaviour(address).pass?.(this.#stateOf(address), frame) ?? [];
	}

	#envelope() {
		return { offset: this.#offset++, timestamp: this.now };
	}

	#run(first: Message): void {
		const queue = [first];
		for (let step = 0; queue.length > 0; step++) {
			if (step > STEPS_MAX) throw new Error("actors do not come to rest");
			const next = queue.shift() as Message;
			const behaviour = this.#behaviour(next.to);
			const { state, effects } = behaviour.command(this.#stateOf(next.to), next);
			const stored = next.offset < STORED_EACH_TIME || next.offset % STORED_EVERY === 0;
			this.#states.set(next.to, stored ? behaviour.decode(behaviour.encode(state)) : state);
			for (const effect of effects) {
				if (effect.type === "reply") this.#replies.set(effect.to.ask, effect.result);
				else if (effect.type === "tell" && this.#isOnStage(effect.to))
					queue.push(message(effect.to, effect.event, { ...this.#envelope(), from: next.to }));
				else this.#kept.push(effect as Kept);
			}
		}
	}

	#isOnStage(address: string): boolean {
		return this.#behaviours.has(address.slice(0, address.indexOf("/")));
	}

	#behaviour(address: string): Behaviour {
		const behaviour = this.#behaviours.get(address.slice(0, address.indexOf("/")));
		if (!behaviour) throw new Error(`no behaviour for ${address}`);
		return behaviour;
	}

	#stateOf(address: string): unknown {
		return this.#states.get(address) ?? this.#behaviour(address).initial(address).state;
	}
}
