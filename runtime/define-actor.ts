/**
 * `defineActor`: an actor type made of an XState machine, checked whole before anything runs. Owns its options and their
 * defaults; how such actors behave is durable-behaviour.ts.
 */
import type {
	AnyStateMachine,
	ContextFrom,
	EventFromLogic,
	OutputFrom,
	SnapshotFrom,
	StateValue,
} from "xstate";
import type { Behaviour } from "./behaviour.ts";
import type { DelayMeaning } from "./calendar.ts";
import { DURABLE_ACTIONS } from "./durable-actions.ts";
import { durableBehaviour, type OnMismatch } from "./durable-behaviour.ts";
import type { SnapshotForm, StoredMachine } from "./durable-state.ts";
import type { OnFailure } from "./failures.ts";
import { machinesIn, refuseSources } from "./machine-children.ts";
import { refuseUnsupported } from "./machine-support.ts";
import type { Event } from "./message.ts";
import {
	callable,
	checkOptions,
	type Kind,
	type Kinds,
	needed,
	oneOf,
	record,
	recordOf,
	wholeFrom,
	withMethods,
} from "./option-checks.ts";
import { isRecord } from "./plain-data.ts";
import { ACTORS_TOPIC } from "./topics.ts";
import { WORK_ATTEMPTS_DEFAULT, WORK_BACKOFF_MS_DEFAULT, type WorkCode, type WorkTools } from "./work.ts";

/** What others send to such an actor: its machine's events, without the `meta` that the runtime adds. */
export type EventOf<Machine extends AnyStateMachine> = Sendable<EventFromLogic<Machine>>;
type Sendable<E> = E extends unknown ? { [Field in keyof E as Exclude<Field, "meta">]: E[Field] } : never;

/** A machine's state, as `ref.state()` gives it. */
export interface ActorState<Machine extends AnyStateMachine> {
	readonly value: SnapshotFrom<Machine> extends { readonly value: infer Value } ? Value : StateValue;
	readonly context: ContextFrom<Machine>;
	readonly status: "active" | "done";
	readonly output?: OutputFrom<Machine>;
	readonly tags: readonly string[];
	/** It takes no messages at present. */
	readonly paused?: {
		/** Milliseconds since 1970. */
		readonly since: number;
		readonly cause: string;
		/** A message failed: `skip` or `retry` it. Otherwise `resume`. */
		readonly failed: boolean;
		/** Messages kept, the failed one included. */
		readonly held: number;
	};
}

/** Code that runs after the state is durable, at least once. An event that it gives back is sent to its actor. */
export type EffectHandler = (
	// biome-ignore lint/suspicious/noExplicitAny: params are typed where the machine is set up
	params: any,
	tools: WorkTools,
) => unknown;

/** How often something that fails is tried, and when again. */
export interface Retries {
	/** Tries, the first one included; past it the failure is the actor's. Default: WORK_ATTEMPTS_DEFAULT. */
	readonly attempts?: number;
	/** Pause before the second try, milliseconds; it doubles each time. Default: WORK_BACKOFF_MS_DEFAULT. */
	readonly backoffMs?: number;
}

/** Of `defineActor`. */
export interface ActorOptions<Type extends string, Machine extends AnyStateMachine> {
	/** First part of the addresses of such actors: letters, digits, `.`, `_`, `-`. */
	readonly type: Type;
	/** Raised when states that are stored no longer mean the same. */
	readonly version: number;
	readonly machine: Machine;
	/** Makes a stored state of another version or structure into one of this machine. */
	readonly migrate?: (machine: StoredMachine, from: SnapshotForm) => StoredMachine;
	/** Makes an event that was sent to an earlier version into one of this machine. Pure; default: it is one. */
	readonly upcast?: (event: Event, version: number) => Event;
	/** Where there is no `migrate`. Default: `rebuild` (fold the history anew). */
	readonly onMismatch?: OnMismatch;
	/** By the name of the machine's action. */
	readonly effects?: Readonly<Record<string, EffectHandler>>;
	/** Of effects and of invoked promises and callbacks. */
	readonly retries?: Retries;
	/** By the name of a delay in `after`, or the id of a delayed raise, send or schedule. Default: `deadline`. */
	readonly delays?: Readonly<Record<string, DelayMeaning>>;
	/** Default: `skip`. */
	readonly onFailure?: OnFailure;
	/** Messages of one actor after which it is stored at the latest. Default: by time and number of all messages. */
	readonly snapshotEvery?: number;
	/** Milliseconds without a message after which an actor leaves memory. Default: PASSIVATE_AFTER_MS. */
	readonly passivateAfter?: number;
}

/** An actor type as `defineActor` has checked it, for `createNode` and `createMycelog`. */
export interface ActorDefinition<
	Type extends string = string,
	Machine extends AnyStateMachine = AnyStateMachine,
> {
	readonly type: Type;
	readonly machine: Machine;
	readonly behaviour: Behaviour;
}

const TYPE_NAME = /^[A-Za-z0-9._-]+$/;
const typeName: Kind = {
	words: "a name of letters, digits, dots, _ or -",
	has: (value) => typeof value === "string" && TYPE_NAME.test(value),
};

const OPTIONS: Kinds<ActorOptions<string, AnyStateMachine>> = {
	type: needed(typeName),
	version: needed(wholeFrom(1)),
	machine: needed(withMethods("a state machine of XState", "transition", "getInitialSnapshot")),
	migrate: callable,
	upcast: callable,
	onMismatch: oneOf("rebuild", "refuse"),
	effects: recordOf(callable),
	retries: record,
	delays: recordOf(oneOf("deadline", "remaining", "restart")),
	onFailure: oneOf("skip", "pause"),
	snapshotEvery: wholeFrom(1),
	passivateAfter: wholeFrom(1),
};

const RETRIES: Kinds<Retries> = { attempts: wholeFrom(1), backoffMs: wholeFrom(0) };

export const actorDefinition: Kind = {
	words: "what `defineActor` gives",
	has: (value) => isRecord(value) && isRecord(value["behaviour"]) && typeName.has(value["type"]),
};

/** Throws as `checkOptions` does. */
export function checkRetries(of: string, retries: Retries | undefined): void {
	if (retries !== undefined) checkOptions<Retries>(`${of}: retries`, retries, RETRIES);
}

/** Throws `actor.unsupported-machine`, naming the feature, `config.unknown-option` and `config.invalid-value`. */
export function defineActor<const Type extends string, Machine extends AnyStateMachine>(
	options: ActorOptions<Type, Machine>,
): ActorDefinition<Type, Machine> {
	checkOptions("defineActor", options, OPTIONS);
	checkRetries("defineActor", options.retries);
	const { type, version, machine, effects = {}, retries = {} } = options;
	const allowed = { effects: new Set([...Object.keys(effects), ...DURABLE_ACTIONS]), children: true };
	for (const one of machinesIn(machine)) {
		refuseSources(type, one);
		refuseUnsupported(type, one, allowed);
	}
	const invoked = {
		attempts: retries.attempts ?? WORK_ATTEMPTS_DEFAULT,
		backoffMs: retries.backoffMs ?? WORK_BACKOFF_MS_DEFAULT,
	};
	const handlers = Object.entries(effects).map(
		([name, run]) => [name, { ...invoked, run } as WorkCode] as const,
	);
	const behaviour = durableBehaviour({
		type,
		version,
		topic: ACTORS_TOPIC,
		machine,
		handlers: new Map(handlers),
		invoked,
		delays: options.delays ?? {},
		onFailure: options.onFailure ?? "skip",
		onMismatch: options.onMismatch ?? "rebuild",
		migrate: options.migrate,
		upcast: options.upcast,
		snapshotEvery: options.snapshotEvery,
		passivateAfterMs: options.passivateAfter,
	});
	return { type, machine, behaviour };
}
