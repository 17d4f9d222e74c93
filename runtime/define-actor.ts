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
import { MycelogError } from "../persistence/errors.ts";
import type { Behaviour } from "./behaviour.ts";
import type { DelayMeaning } from "./calendar.ts";
import { DURABLE_ACTIONS } from "./durable-actions.ts";
import { durableBehaviour, type OnMismatch } from "./durable-behaviour.ts";
import type { SnapshotForm, StoredMachine } from "./durable-state.ts";
import type { OnFailure } from "./failures.ts";
import { machinesIn, refuseSources } from "./machine-children.ts";
import { refuseUnsupported } from "./machine-support.ts";
import type { Event } from "./message.ts";
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

/** Throws `actor.unsupported-machine`, naming the feature, and `config.invalid-value`. */
export function defineActor<const Type extends string, Machine extends AnyStateMachine>(
	options: ActorOptions<Type, Machine>,
): ActorDefinition<Type, Machine> {
	const { type, version, machine, effects = {}, retries = {} } = options;
	if (!TYPE_NAME.test(type)) throw invalid(`"${type}" is no name for an actor type`);
	positive("version", version);
	positive("snapshotEvery", options.snapshotEvery);
	positive("passivateAfter", options.passivateAfter);
	positive("retries.attempts", retries.attempts);
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

function positive(name: string, value: number | undefined): void {
	if (value === undefined || (Number.isSafeInteger(value) && value > 0)) return;
	throw invalid(`${name} is ${value}, a whole number above 0 is needed`);
}

function invalid(text: string): MycelogError {
	return new MycelogError("config.invalid-value", text);
}
