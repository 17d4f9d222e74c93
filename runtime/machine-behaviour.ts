/**
 * Makes a Behaviour from an XState machine: events in, next snapshot and effects out, nothing executed.
 * Owns the mapping of XState actions to effects; refuses machines with features that cannot be durable.
 */
import type { AnyMachineSnapshot, AnyStateMachine, ExecutableActionObject, StateValue } from "xstate";
import type { Behaviour, Step } from "./behaviour.ts";
import type { Effect, ReplyResult } from "./effect.ts";
import { collectingScope } from "./machine-scope.ts";
import { isEffectAction, refuse, refuseAction, refuseUnsupported } from "./machine-support.ts";
import { type Event, eventOf, type Message } from "./message.ts";
import { firstUnplain } from "./plain-data.ts";

/** Transitions that one message may cause, eventless and raised ones included; a machine that needs more is caught in a loop. */
export const MICROSTEPS_MAX = 1_000;

/** What an event carries beside its own fields, under the key `meta`. */
export interface EventMeta {
	readonly address: string;
	readonly from: string | undefined;
	readonly replyTo: Message["replyTo"];
	/** Of the message, in its partition. */
	readonly offset: number;
	/** Milliseconds since 1970 at which the message was appended. */
	readonly timestamp: number;
}

/** Of `machineBehaviour`. */
export interface MachineBehaviourOptions {
	readonly type: string;
	/** Raised when stored states mean something else. */
	readonly version: number;
	readonly topic: string;
	readonly machine: AnyStateMachine;
	/** Answers by query type; a type that is not here is answered with an error. */
	readonly queries?: Readonly<Record<string, (snapshot: AnyMachineSnapshot, query: Event) => unknown>>;
	readonly pass?: (snapshot: AnyMachineSnapshot, message: Message) => readonly Effect[];
	readonly claim?: (snapshot: AnyMachineSnapshot) => string | undefined;
	readonly claimLostType?: string;
}

/** A behaviour of a machine as it is, without what `defineActor` adds. Throws `actor.unsupported-machine`. */
export function machineBehaviour(options: MachineBehaviourOptions): Behaviour<AnyMachineSnapshot> {
	const { type } = options;
	refuseUnsupported(type, options.machine);
	const machine = bounded(options.machine);
	const scope = collectingScope(type);

	/** Runs the machine; what it asked for belongs to this message alone, also if it throws half-way. */
	function run(move: () => AnyMachineSnapshot, before: unknown, place: Place): Step<AnyMachineSnapshot> {
		let next: AnyMachineSnapshot;
		let actions: ExecutableActionObject[];
		try {
			next = move();
		} finally {
			actions = scope.take();
		}
		if (next.status === "error") throw next.error;
		for (const _ in next.children) refuse(type, "spawn");
		if (next.context !== before) mustBePlain(type, next.context, before, "context");
		const effects: Effect[] = [];
		for (let i = 0; i < actions.length; i++) {
			const effect = effectOf(type, actions[i] as ExecutableActionObject, i, place);
			if (effect) effects.push(effect);
		}
		return { state: next, effects };
	}

	return {
		type,
		version: options.version,
		topic: options.topic,
		initial(address) {
			const move = () => machine.getInitialSnapshot(scope.scope as never, { address }) as AnyMachineSnapshot;
			return run(move, undefined, { offset: -1, timestamp: 0 });
		},
		command(state, message) {
			if (state.status !== "active") return { state, effects: ended(type, message) };
			// Names of XState's own events would move a machine that no timer has moved.
			if (message.kind === "command" && message.type.startsWith("xstate.")) {
				throw new TypeError(`${message.type} is no event for actors`);
			}
			const event = withMeta(eventOf(message), message);
			const move = () => machine.transition(state, event, scope.scope as never) as AnyMachineSnapshot;
			return run(move, state.context, message);
		},
		...(options.queries ? { query: answerer(options.queries) } : undefined),
		...(options.pass ? { pass: options.pass } : undefined),
		...(options.claim ? { claim: options.claim } : undefined),
		...(options.claimLostType ? { claimLostType: options.claimLostType } : undefined),
		describe: (state) => describeValue(state.value),
		encode: (state) => JSON.stringify({ value: state.value, context: state.context }),
		decode(text) {
			const { value, context } = JSON.parse(text);
			return machine.resolveState({ value, context }) as AnyMachineSnapshot;
		},
		machine,
		place: (plain) => (plain as { readonly value: StateValue }).value,
	};
}

export function withMeta(event: Event, message: Message): Event {
	const meta: EventMeta = {
		address: message.to,
		from: message.from,
		replyTo: message.replyTo,
		offset: message.offset,
		timestamp: message.timestamp,
	};
	return { ...event, meta };
}

function answerer(queries: NonNullable<MachineBehaviourOptions["queries"]>) {
	return (state: AnyMachineSnapshot, message: Message): ReplyResult => {
		const answer = queries[message.type];
		if (!answer) return { ok: false, error: `TypeError: no query named ${message.type}` };
		try {
			return { ok: true, value: answer(state, eventOf(message)) };
		} catch (error) {
			return { ok: false, error: error instanceof Error ? error.message : String(error) };
		}
	};
}

/** Where in the log a transition happens, for what must be the same in every fold. */
export interface Place {
	readonly offset: number;
	readonly timestamp: number;
}

/** Undefined: the machine has dealt with it alone. */
function effectOf(
	type: string,
	action: ExecutableActionObject,
	index: number,
	{ offset, timestamp }: Place,
): Effect | undefined {
	// biome-ignore lint/suspicious/noExplicitAny: params are typed where the machine is set up
	const params = action.params as any;
	switch (action.type) {
		case "xstate.raise": {
			const { event } = params;
			// Without a delay it was taken within the same transition.
			if (params.delay === undefined && !event.type.startsWith("xstate.after.")) return undefined;
			const at = timestamp + params.delay;
			if (!Number.isFinite(at)) throw new TypeError(`${type}: the delay of ${event.type} is ${params.delay}`);
			mustBePlain(type, event, undefined, "event");
			// As in XState, raises without an id do not replace each other.
			return { type: "schedule", id: String(params.id ?? `${event.type}@${offset}.${index}`), at, event };
		}
		case "xstate.cancel":
			return { type: "cancel", id: String(params.sendId) };
		default:
			if (!isEffectAction(action.type)) refuseAction(type, action.type);
			return { type: action.type, ...params } as Effect;
	}
}

export function mustBePlain(type: string, value: unknown, before: unknown, name: string): void {
	const unplain = firstUnplain(value, before, name);
	if (unplain) throw new TypeError(`${type}: ${unplain}, which a snapshot cannot hold`);
}

/** A machine in its final state takes nothing any more, as in XState; who asks is told. */
export function ended(type: string, message: Message): readonly Effect[] {
	const drop: Effect = { type: "drop", reason: "ended" };
	if (!message.replyTo) return [drop];
	const result = { ok: false, error: `Error: this ${type} has ended` } as const;
	return [drop, { type: "reply", to: message.replyTo, result }];
}

/** A loop of eventless transitions would hold up the whole node, and again after every restart. */
export function bounded(machine: AnyStateMachine): AnyStateMachine {
	if (Number.isFinite(machine.options.maxIterations)) return machine;
	const own = machine.provide({});
	own.options = { ...machine.options, maxIterations: MICROSTEPS_MAX };
	return own;
}

export function describeValue(value: unknown): string {
	if (typeof value === "string") return value;
	return Object.entries(value as Record<string, unknown>)
		.map(([key, inner]) => `${key}.${describeValue(inner)}`)
		.join(" ");
}
