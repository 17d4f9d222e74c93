/**
 * Moves an actor's machine and the machines inside it by one message: all that follows from it without time or outside
 * help, in one order that every fold repeats. Owns events between them and what starting and stopping means; nothing is
 * run here, work is an effect.
 */
import type { AnyMachineSnapshot, AnyStateMachine, ExecutableActionObject } from "xstate";
import type { Recur } from "./calendar.ts";
import type { Effect } from "./effect.ts";
import { mustBePlain, type Place } from "./machine-behaviour.ts";
import {
	boundedMachine,
	type Child,
	type ChildMachine,
	isMachine,
	logicOf,
	NO_CHILDREN,
	ROOT_SESSION,
	type Tree,
	withChildren,
} from "./machine-children.ts";
import { scopeOf } from "./machine-scope.ts";
import type { Event } from "./message.ts";

/** Events that machines inside one actor may cause among each other by one message. */
export const INNER_EVENTS_MAX = 1_000;

/** Type of a timer's event that is meant for a machine inside the actor. */
export const INNER_EVENT = "mycelog.inner";

/** Before the session: ids of the stored work of an actor. */
export const WORK_PREFIX = "~work ";

export interface TurnParts {
	readonly type: string;
	readonly address: string;
	readonly machine: AnyStateMachine;
	/** Names of actions that are work with code of their own. */
	readonly handlers: ReadonlySet<string>;
	/** An action that becomes an effect other than work, timers and events among machines. */
	readonly effect: (action: ExecutableActionObject) => Effect | Recur | undefined;
	readonly place: Place;
}

interface Job {
	readonly to: string;
	/** `input`: it starts. */
	readonly event?: Event;
	readonly input?: unknown;
}

/** One message's course. The tree it was made with is left as it was. */
export class Turn {
	readonly effects: (Effect | Recur)[] = [];
	readonly #parts: TurnParts;
	readonly #rootSession: string;
	#root: AnyMachineSnapshot | undefined;
	/** The tree's own, until one of them changes. */
	#children: ReadonlyMap<string, Child>;
	#copied = false;
	#sessions: number;
	readonly #jobs: Job[] = [];
	#actions = 0;

	constructor(tree: Tree | undefined, parts: TurnParts) {
		this.#parts = parts;
		this.#rootSession = `${parts.address}:${ROOT_SESSION}`;
		this.#root = tree?.root;
		this.#children = tree?.children ?? NO_CHILDREN;
		this.#sessions = tree?.sessions ?? ROOT_SESSION + 1;
	}

	get tree(): Tree {
		return {
			root: this.#root as AnyMachineSnapshot,
			children: this.#children,
			sessions: this.#sessions,
		};
	}

	/** The actor's first state. */
	start(input: unknown): void {
		this.#jobs.push({ to: this.#rootSession, input });
		this.#run();
	}

	/** `to`: a session; default: the actor's own machine. */
	send(event: Event, to = this.#rootSession): void {
		this.#jobs.push({ to, event });
		this.#run();
	}

	/** A child's end, for the machine that started it. */
	end(child: Child, event: Event): void {
		this.forget(child);
		this.send(event, child.parent);
	}

	#run(): void {
		for (let i = 0; i < this.#jobs.length; i++) {
			if (i >= INNER_EVENTS_MAX) {
				throw new Error(
					`${this.#parts.type}: more than ${INNER_EVENTS_MAX} events inside one actor by one message`,
				);
			}
			this.#step(this.#jobs[i] as Job);
		}
		this.#jobs.length = 0;
	}

	#step(job: Job): void {
		const isRoot = job.to === this.#rootSession;
		const child = isRoot ? undefined : this.#children.get(job.to);
		if (!isRoot && child?.kind !== "machine") {
			// One that has ended meanwhile misses the event, as in XState. What runs outside would not hear it after a restart.
			if (child) this.effects.push({ type: "drop", reason: "event-to-work" });
			return;
		}
		const machine = isRoot ? this.#parts.machine : this.#machineOf(child as ChildMachine);
		const before = isRoot ? this.#root : (child as ChildMachine).snapshot;
		if (job.event && before?.status !== "active") return;
		const collecting = scopeOf(machine);
		collecting.enter({ sessionId: job.to, parent: child?.parent, nextSession: this.#newSession });
		const scope = collecting.scope as never;
		let next: AnyMachineSnapshot;
		try {
			next = (
				job.event
					? machine.transition(before as never, job.event, scope)
					: machine.getInitialSnapshot(scope, job.input as never)
			) as AnyMachineSnapshot;
			if (next.status === "error") throw next.error;
			if (next.context !== before?.context) {
				mustBePlain(this.#parts.type, next.context, before?.context, "context");
			}
		} catch (error) {
			// As in XState, the one that started it hears of it, and the actor fails if nobody does.
			if (!child) throw error;
			this.#fail(child, error);
			return;
		}
		this.#keep(job.to, next);
		for (const action of collecting.take()) this.#act(action, job.to);
		this.#keep(job.to, withChildren(this.#snapshotOf(job.to) ?? next, this.#childrenOf(job.to)));
		if (child && next.status === "done") this.#done(child, next.output);
	}

	#act(action: ExecutableActionObject, session: string): void {
		const index = this.#actions++;
		const { type, place } = this.#parts;
		// biome-ignore lint/suspicious/noExplicitAny: XState's own actions are not typed by their kind
		const params = action.params as any;
		switch (action.type) {
			case "xstate.spawnChild":
				this.#spawn(session, params.actorRef, params.src, params.input);
				return;
			case "xstate.stopChild": {
				const child = this.#children.get(
					(action.params as { sessionId?: string } | undefined)?.sessionId ?? "",
				);
				if (child) this.#stop(child);
				return;
			}
			case "xstate.sendTo": {
				const { to, event, delay } = params;
				if (delay === undefined) this.#jobs.push({ to: to.sessionId, event });
				else
					this.#schedule(
						session,
						to.sessionId,
						event,
						delay,
						params.id ?? `${event.type}@${place.offset}.${index}`,
					);
				return;
			}
			case "xstate.raise": {
				const { event, delay } = params;
				// Without a delay it was taken within the same transition.
				if (delay === undefined && !event.type.startsWith("xstate.after.")) return;
				this.#schedule(session, session, event, delay, params.id ?? `${event.type}@${place.offset}.${index}`);
				return;
			}
			case "xstate.cancel":
				this.effects.push({ type: "cancel", id: this.#timerId(session, String(params.sendId)) });
				return;
			case "xstate.emit": {
				const { event } = params;
				mustBePlain(type, event, undefined, "event");
				this.effects.push({ type: "emit", event });
				return;
			}
			default:
				if (this.#parts.handlers.has(action.type)) {
					const base = { session: this.#newSession(), id: action.type, parent: session, src: action.type };
					this.#startWork({ ...base, kind: "effect", input: params });
				} else {
					const effect = this.#parts.effect(action);
					if (effect) this.effects.push(effect);
				}
		}
	}

	/** XState made a child of its own, of which only the number counts. */
	#spawn(
		parent: string,
		ref: { readonly id: string; readonly sessionId: string },
		src: unknown,
		input: unknown,
	): void {
		const { type } = this.#parts;
		if (!ref || typeof src !== "string")
			throw new TypeError(`${type}: only actors named in setup can be spawned`);
		const base = { session: ref.sessionId, id: ref.id, parent, src };
		const logic = logicOf(this.#machineAt(parent), src);
		if (isMachine(logic)) {
			// Until its first step it is nowhere; its events come after that one.
			this.#set({ ...base, kind: "machine", snapshot: undefined as never });
			this.#jobs.push({ to: base.session, input });
			return;
		}
		this.#startWork({ ...base, kind: "invoked", input });
	}

	#startWork(child: Extract<Child, { kind: "invoked" | "effect" }>): void {
		const { type, place } = this.#parts;
		if (child.input !== undefined) mustBePlain(type, child.input, undefined, `the input of ${child.src}`);
		this.#set(child);
		const id = `${WORK_PREFIX}${child.session}`;
		this.effects.push({ type: "schedule", id, at: place.timestamp, event: { type: child.src }, work: true });
	}

	#done(child: Child, output: unknown): void {
		this.#stop(child);
		const event = { type: `xstate.done.actor.${child.id}`, output, actorId: child.id };
		this.#jobs.push({ to: child.parent, event });
	}

	#fail(child: Child, error: unknown): void {
		this.#stop(child);
		const event = { type: `xstate.error.actor.${child.id}`, error, actorId: child.id };
		this.#jobs.push({ to: child.parent, event });
	}

	#stop(child: Child): void {
		for (const inner of this.#childrenOf(child.session)) this.#stop(inner);
		if (child.kind !== "machine") this.effects.push({ type: "cancel", id: `${WORK_PREFIX}${child.session}` });
		this.forget(child);
	}

	/** Effects are nobody's children: no machine sees them or stops them. */
	#childrenOf(session: string): readonly Child[] {
		if (this.#children.size === 0) return NOBODY;
		return [...this.#children.values()].filter(({ parent, kind }) => parent === session && kind !== "effect");
	}

	/** It is over; its parent sees it no longer. */
	forget(child: Child): void {
		this.#ownChildren().delete(child.session);
		const parent = this.#snapshotOf(child.parent);
		if (parent) this.#keep(child.parent, withChildren(parent, this.#childrenOf(child.parent)));
	}

	#schedule(from: string, to: string, event: Event, delay: number, id: string): void {
		const { type, place } = this.#parts;
		const at = place.timestamp + delay;
		if (!Number.isFinite(at)) throw new TypeError(`${type}: the delay of ${event.type} is ${delay}`);
		mustBePlain(type, event, undefined, "event");
		const own = to === this.#rootSession ? event : { type: INNER_EVENT, to, event };
		this.effects.push({ type: "schedule", id: this.#timerId(from, id), at, event: own });
	}

	#timerId(session: string, id: string): string {
		return session === this.#rootSession ? id : `${session} ${id}`;
	}

	readonly #newSession = (): string => `${this.#parts.address}:${this.#sessions++}`;

	#set(child: Child): void {
		this.#ownChildren().set(child.session, child);
	}

	#ownChildren(): Map<string, Child> {
		if (!this.#copied) this.#children = new Map(this.#children);
		this.#copied = true;
		return this.#children as Map<string, Child>;
	}

	#snapshotOf(session: string): AnyMachineSnapshot | undefined {
		if (session === this.#rootSession) return this.#root;
		const child = this.#children.get(session);
		return child?.kind === "machine" ? child.snapshot : undefined;
	}

	#keep(session: string, snapshot: AnyMachineSnapshot): void {
		if (session === this.#rootSession) {
			this.#root = snapshot;
			return;
		}
		const child = this.#children.get(session);
		if (child?.kind === "machine") this.#set({ ...child, snapshot });
	}

	#machineAt(session: string): AnyStateMachine {
		const child = this.#children.get(session);
		return child ? this.#machineOf(child) : this.#parts.machine;
	}

	#machineOf({ parent, src }: Child): AnyStateMachine {
		return boundedMachine(logicOf(this.#machineAt(parent), src) as AnyStateMachine);
	}
}

const NOBODY: readonly Child[] = [];
