/**
 * Makes a Behaviour from an XState machine: events in, next snapshot and effects out, nothing executed.
 * Owns the mapping of XState actions to effects; refuses machines with features that cannot be durable.
 */
import type { AnyMachineSnapshot, AnyStateMachine, ExecutableActionObject } from "xstate";
import { MycelogError } from "../persistence/errors.ts";
import type { Behaviour, Step } from "./behaviour.ts";
import type { Effect, ReplyResult } from "./effect.ts";
import { type CollectingScope, collectingScope } from "./machine-scope.ts";
import { type Event, eventOf, type Message } from "./message.ts";

/** What an event carries beside its own fields, under the key `meta`. */
export interface EventMeta {
	readonly address: string;
	readonly from: string | undefined;
	readonly replyTo: Message["replyTo"];
	readonly offset: number;
	readonly timestamp: number;
}

/** Names of machine actions that become effects; their params are the effect's fields. */
export const EFFECT_ACTIONS = ["tell", "post", "forward", "reply", "signal", "drop"] as const;

export interface MachineBehaviourOptions {
	readonly type: string;
	readonly version: number;
	readonly topic: string;
	readonly machine: AnyStateMachine;
	/** Answers by query type; a type that is not here is answered with an error. */
	readonly queries?: Readonly<Record<string, (snapshot: AnyMachineSnapshot, query: Event) => unknown>>;
	readonly pass?: (snapshot: AnyMachineSnapshot, message: Message) => readonly Effect[];
	readonly claim?: (snapshot: AnyMachineSnapshot) => string | undefined;
	readonly claimLostType?: string;
}

export function machineBehaviour(options: MachineBehaviourOptions): Behaviour<AnyMachineSnapshot> {
	const { machine, type } = options;
	refuseUnsupported(type, machine);
	const scope = collectingScope(type);

	function step(snapshot: AnyMachineSnapshot, event: Event, timestamp: number): Step<AnyMachineSnapshot> {
		const next = machine.transition(snapshot, event, scope.scope as never) as AnyMachineSnapshot;
		if (next.status === "error") {
			scope.take();
			throw next.error;
		}
		return { state: next, effects: effectsOf(scope, timestamp) };
	}

	return {
		type,
		version: options.version,
		topic: options.topic,
		initial(address) {
			const input = { address };
			const state = machine.getInitialSnapshot(scope.scope as never, input) as AnyMachineSnapshot;
			return { state, effects: effectsOf(scope, 0) };
		},
		command(state, message) {
			return step(state, withMeta(eventOf(message), message), message.timestamp);
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
	};
}

function withMeta(event: Event, message: Message): Event {
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

function effectsOf(scope: CollectingScope, timestamp: number): Effect[] {
	return scope.take().map((action) => effectOf(action, timestamp));
}

function effectOf(action: ExecutableActionObject, timestamp: number): Effect {
	// biome-ignore lint/suspicious/noExplicitAny: params are typed where the machine is set up
	const params = action.params as any;
	switch (action.type) {
		case "xstate.raise":
			return {
				type: "schedule",
				id: String(params.id ?? params.event.type),
				at: timestamp + (params.delay ?? 0),
				event: params.event,
			};
		case "xstate.cancel":
			return { type: "cancel", id: String(params.sendId) };
		default:
			return { type: action.type, ...params } as Effect;
	}
}

function describeValue(value: unknown): string {
	if (typeof value === "string") return value;
	return Object.entries(value as Record<string, unknown>)
		.map(([key, inner]) => `${key}.${describeValue(inner)}`)
		.join(" ");
}

/** Refused when the actor is defined, by name, never at run time. */
function refuseUnsupported(type: string, machine: AnyStateMachine): void {
	const known = new Set<string>(EFFECT_ACTIONS);
	for (const name of Object.keys(machine.implementations.actions)) {
		if (!known.has(name) && typeof machine.implementations.actions[name] === "function") {
			const resolvable = "resolve" in (machine.implementations.actions[name] as object);
			if (!resolvable)
				refuse(type, `the action "${name}" runs code; name an effect (${[...known].join(", ")})`);
		}
	}
	walk(type, machine.root);
}

function walk(type: string, node: AnyStateMachine["root"]): void {
	if (node.invoke.length > 0) refuse(type, `an invoke in state "${node.key}"`);
	if (node.type === "history") refuse(type, `a history state "${node.key}"`);
	for (const child of Object.values(node.states)) walk(type, child);
}

function refuse(type: string, feature: string): never {
	throw new MycelogError(
		"actor.unsupported-machine",
		`Actor type "${type}" uses ${feature}, which cannot be durable`,
	);
}
