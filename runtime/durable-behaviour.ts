/**
 * The behaviour of actors made with `defineActor`: a machine with all it holds, ids that are remembered, schedules, and
 * failures that may pause the actor. Owns the order of these around one message; every part is a pure function of state
 * and records, so that a fold at any time comes to the same.
 */
import type { AnyStateMachine } from "xstate";
import { MycelogError } from "../persistence/errors.ts";
import { answered, ID_FACT, repeated } from "./answers.ts";
import type { Behaviour, Step } from "./behaviour.ts";
import { type DelayMeaning, noted, rung, SEEN_TIMER, seen, ticked, woken } from "./calendar.ts";
import { durableEffect } from "./durable-actions.ts";
import {
	type DurableState,
	decodeState,
	encodeState,
	formOf,
	placeOf,
	type SnapshotForm,
	type StoredMachine,
	type StoredState,
	UNBORN,
} from "./durable-state.ts";
import type { Effect } from "./effect.ts";
import {
	failures,
	INTERVENTIONS,
	type Intervention,
	isOfCalendar,
	type OnFailure,
	type Taken,
	WorkError,
} from "./failures.ts";
import { ended, type Place, withMeta } from "./machine-behaviour.ts";
import { boundedMachine, type ChildWork, describeTree, logicOf, type Tree } from "./machine-children.ts";
import { INNER_EVENT, Turn, WORK_PREFIX } from "./machine-tree.ts";
import { type Event, eventOf, eventVersionOf, type Message } from "./message.ts";
import { OWN_PREFIX } from "./recovery-records.ts";
import { structureHash } from "./structure-hash.ts";
import { WORK_FACT, WORK_FAILED, WORK_SENT, type WorkCode } from "./work.ts";

export const STATE_QUERY = "mycelog.state";
const WOKEN = "mycelog.woken";

/** What to do with a snapshot of another version or structure where nothing migrates it. */
export type OnMismatch = "rebuild" | "refuse";

export interface DurableOptions {
	readonly type: string;
	readonly version: number;
	readonly topic: string;
	readonly machine: AnyStateMachine;
	readonly handlers: ReadonlyMap<string, WorkCode>;
	readonly invoked: Pick<WorkCode, "attempts" | "backoffMs">;
	readonly delays: Readonly<Record<string, DelayMeaning>>;
	readonly onFailure: OnFailure;
	readonly onMismatch: OnMismatch;
	readonly migrate: ((machine: StoredMachine, from: SnapshotForm) => StoredMachine) | undefined;
	readonly upcast: ((event: Event, version: number) => Event) | undefined;
	readonly snapshotEvery: number | undefined;
	readonly passivateAfterMs: number | undefined;
}

export function durableBehaviour(options: DurableOptions): Behaviour<DurableState> {
	const { type, version, delays } = options;
	const machine = boundedMachine(options.machine);
	const form: SnapshotForm = { type, version, hash: structureHash(machine) };
	const handlers = new Set(options.handlers.keys());

	function turnOf(tree: Tree | undefined, message: Message, place: Place): Turn {
		const turn = new Turn(tree, {
			type,
			address: message.to,
			machine,
			handlers,
			effect: (action) => durableEffect(type, action, { ...message, timestamp: place.timestamp }),
			place,
		});
		if (!tree) turn.start({ address: message.to });
		return turn;
	}

	/** Throws, the state as it was, where the machine or a child of its own fails. */
	function take(state: DurableState, message: Message, place: Place): Step<DurableState> {
		const before = state.tree;
		if (before && before.root.status !== "active") return { state, effects: ended(type, message) };
		const turn = turnOf(before, message, place);
		let { calendar } = state;
		const more: Effect[] = [];
		const timer = message.kind === "timer" ? (message.facts?.["timer"] ?? "") : undefined;
		if (timer?.startsWith(WORK_PREFIX)) endWork(turn, message, timer.slice(WORK_PREFIX.length));
		else if (message.type === WORK_SENT) sentByWork(turn, message);
		else if (timer === SEEN_TIMER) {
			const noticed = seen(calendar, place.timestamp);
			calendar = noticed.calendar;
			more.push(...noticed.effects);
		} else if (timer !== undefined && timer in calendar.recurring) {
			const tick = ticked(calendar, timer, place.timestamp);
			calendar = tick.calendar;
			more.push(...tick.effects);
			for (const { event, dueAt } of tick.events) turn.send(metaOf({ ...event, dueAt }, message));
		} else {
			if (timer !== undefined) calendar = rung(calendar, timer);
			const event = currentEvent(message);
			if (timer !== undefined && message.type === INNER_EVENT) {
				turn.send(metaOf(event["event"] as Event, message), String(event["to"]));
			} else turn.send(metaOf(event, message));
		}
		const settled = noted(calendar, turn.effects, place.timestamp, delays);
		// What the machine schedules and cancels has the last word over the next tick.
		const told = answered(state.answers, message, [...more, ...settled.effects]);
		calendar = { ...settled.calendar, seenAt: place.timestamp };
		const keepsCalendar = hasNothing(settled.calendar) && hasNothing(state.calendar);
		return {
			state: {
				...state,
				tree: turn.tree,
				answers: told.answers,
				calendar: keepsCalendar ? state.calendar : calendar,
			},
			effects: told.effects,
		};
	}

	/** In the form that the machine knows; others have been written by earlier versions, and are so for ever. */
	function currentEvent(message: Message): Event {
		const event = eventOf(message);
		const from = eventVersionOf(message);
		if (message.kind !== "command" || from >= version || !options.upcast) return event;
		return options.upcast(event, from);
	}

	/** As `take`; a failure is told as `failure` says. */
	function tried(state: DurableState, message: Message, place: Place): Taken {
		try {
			return take(state, message, place);
		} catch (error) {
			return { failure: error as Error };
		}
	}

	const { hold, intervene, paused, leftOut } = failures(options.onFailure, tried);

	function command(state: DurableState, message: Message): Step<DurableState> {
		mustBeAllowed(message);
		const own = Object.entries(INTERVENTIONS).find(([, name]) => name === message.type);
		if (own && message.kind === "command") return intervene(state, message, own[0] as Intervention);
		if (message.type === WOKEN) {
			const woke = woken(state.calendar, message.timestamp);
			return { state: { ...state, calendar: woke.calendar }, effects: woke.effects };
		}
		if (message.facts?.[ID_FACT] !== undefined) {
			const repeat = repeated(state.answers, message);
			if (repeat) return { state: { ...state, answers: repeat.answers }, effects: repeat.effects };
		}
		if (state.hold) return hold(state, state.hold, message);
		const step = tried(state, message, message);
		if (!("failure" in step)) return step;
		const { failure } = step;
		if (options.onFailure === "pause") return paused(state, message, failure, []);
		// The partition parks what throws; of work it must be said how often it was tried.
		if (failure instanceof WorkError || isOfCalendar(state, message)) return leftOut(state, message, failure);
		throw failure;
	}

	return {
		type,
		version,
		topic: options.topic,
		initial: () => ({ state: UNBORN, effects: [] }),
		command,
		query(state, message) {
			if (message.type !== STATE_QUERY)
				return { ok: false, error: `TypeError: no query named ${message.type}` };
			const tree = state.tree ?? turnOf(undefined, message, message).tree;
			const { value, context, status, output } = tree.root;
			const { hold } = state;
			return {
				ok: true,
				value: {
					value,
					context,
					status,
					...(output === undefined ? undefined : { output }),
					tags: [...tree.root.tags],
					...(hold
						? {
								paused: { since: hold.since, cause: hold.cause, failed: hold.failed, held: hold.held.length },
							}
						: undefined),
				},
			};
		},
		describe: ({ tree, hold }) => `${tree ? describeTree(tree) : "new"}${hold ? " (paused)" : ""}`,
		encode: (state) => encodeState(state, form),
		decode: (text) => decodeState(JSON.parse(text) as StoredState, machine),
		machine,
		place: placeOf,
		hold: ({ hold }) => hold,
		restore(text) {
			const stored = JSON.parse(text) as StoredState;
			const found = formOf(stored);
			if (found.version === version && found.hash === form.hash) return decodeState(stored, machine);
			const { migrate, onMismatch } = options;
			if (!migrate && onMismatch === "rebuild") return undefined;
			const mismatch = `a snapshot of ${type} version ${found.version} (${found.hash}) is not one of version ${version} (${form.hash})`;
			const details = { found, required: form };
			if (!migrate) throw new MycelogError("actor.version-mismatch", mismatch, details);
			try {
				return decodeState(stored, machine, (before) => migrate(before, found));
			} catch (cause) {
				const why = `${mismatch}, and cannot be made one: ${(cause as Error).message}`;
				throw new MycelogError("actor.version-mismatch", why, details, { cause });
			}
		},
		work(state, id) {
			const child = state.tree?.children.get(id.slice(WORK_PREFIX.length));
			if (!child || child.kind === "machine") return undefined;
			const { session, src, input, kind } = child;
			const code = kind === "effect" ? options.handlers.get(src) : undefined;
			if (code) return { ...code, session, src, input };
			const logic = logicOf(machineOf(state.tree as Tree, child), src);
			return { ...options.invoked, session, src, input, logic: logic as never };
		},
		...(Object.values(delays).some((meaning) => meaning !== "deadline") ? { wokenType: WOKEN } : undefined),
		...(version > 1 ? { eventVersion: version } : undefined),
		...(options.snapshotEvery === undefined ? undefined : { snapshotEvery: options.snapshotEvery }),
		...(options.passivateAfterMs === undefined ? undefined : { passivateAfterMs: options.passivateAfterMs }),
	};

	function machineOf(tree: Tree, { parent }: ChildWork): AnyStateMachine {
		const child = tree.children.get(parent);
		return child ? (logicOf(machineOf(tree, child as never), child.src) as AnyStateMachine) : machine;
	}

	function endWork(turn: Turn, message: Message, session: string): void {
		const child = turn.tree.children.get(session);
		if (!child) return;
		const body = eventOf(message);
		if (message.type === WORK_FAILED) {
			const error = body["error"] as Pick<Error, "name" | "message" | "stack">;
			const unhandled = () => new WorkError(error, Number(body["attempts"]));
			if (child.kind === "effect") throw unhandled();
			const event = { type: `xstate.error.actor.${child.id}`, error, actorId: child.id };
			try {
				turn.end(child, metaOf(event, message));
			} catch (thrown) {
				// XState throws the very error where no `onError` takes it.
				throw thrown === error ? unhandled() : thrown;
			}
			return;
		}
		const output = body["output"];
		if (child.kind === "effect") {
			turn.forget(child);
			if (isEvent(output)) turn.send(metaOf(output, message));
			return;
		}
		const event = { type: `xstate.done.actor.${child.id}`, output, actorId: child.id };
		turn.end(child, metaOf(event, message));
	}
}

/** What a running callback sends back, while it is still wanted. */
function sentByWork(turn: Turn, message: Message): void {
	const child = turn.tree.children.get(message.facts?.[WORK_FACT] ?? "");
	if (child) turn.send(metaOf(eventOf(message)["event"] as Event, message), child.parent);
}

function metaOf(event: Event, message: Message): Event {
	return withMeta(event, message);
}

/** Names of the runtime's and XState's own events would move an actor that nothing of theirs has moved. */
function mustBeAllowed({ kind, type, from }: Message): void {
	if (kind !== "command") return;
	if (type.startsWith("xstate.") || (from !== undefined && type.startsWith(OWN_PREFIX))) {
		throw new TypeError(`${type} is no event for actors`);
	}
}

function isEvent(value: unknown): value is Event {
	return (
		typeof value === "object" && value !== null && typeof (value as { type?: unknown }).type === "string"
	);
}

function hasNothing({ recurring, delays }: DurableState["calendar"]): boolean {
	for (const _ in recurring) return false;
	for (const _ in delays) return false;
	return true;
}
