/**
 * The machines and the work inside one actor, as plain data: which there are, and how they are stored and found again.
 * Owns their shape, their code (by name, so that it is found after a restart) and the stand-ins that machines see for
 * them; what moves them is machine-tree.ts.
 */
import { type ActorRefLike, type AnyMachineSnapshot, type AnyStateMachine, StateMachine } from "xstate";
import { bounded, describeValue } from "./machine-behaviour.ts";
import { scopeOf } from "./machine-scope.ts";
import { refuse } from "./machine-support.ts";

/** The machine of the actor itself; its children count on from here. */
export const ROOT_SESSION = 0;

interface ChildBase {
	/** `address:number`, the same in every fold: also the key by which work is recognised when it runs again. */
	readonly session: string;
	/** By which its parent knows it. */
	readonly id: string;
	/** Session of the machine that started it. */
	readonly parent: string;
	/** By which its parent's machine knows its code; for an effect its name. */
	readonly src: string;
}

export interface ChildMachine extends ChildBase {
	readonly kind: "machine";
	readonly snapshot: AnyMachineSnapshot;
}

export interface ChildWork extends ChildBase {
	readonly kind: "invoked" | "effect";
	/** Plain data. */
	readonly input: unknown;
}

export type Child = ChildMachine | ChildWork;

export interface Tree {
	readonly root: AnyMachineSnapshot;
	readonly children: ReadonlyMap<string, Child>;
	/** Sessions ever started, the root's included. */
	readonly sessions: number;
}

export const NO_CHILDREN: ReadonlyMap<string, Child> = new Map();

/** Logic of `fromPromise` and `fromCallback`: what XState itself can start. */
export interface WorkLogic {
	readonly start: unknown;
}

export function isMachine(logic: unknown): logic is AnyStateMachine {
	return logic instanceof StateMachine;
}

/** The code a machine means by `src`. */
export function logicOf(machine: AnyStateMachine, src: string): unknown {
	const inline = /^xstate\.invoke\.(\d+)\.(.*)$/.exec(src);
	if (!inline) return machine.implementations.actors[src];
	const [, index, node] = inline;
	const { invoke } = machine.getStateNodeById(node as string).config;
	const config = Array.isArray(invoke) ? invoke[Number(index)] : invoke;
	return (config as { readonly src?: unknown } | undefined)?.src;
}

/** Undefined: it can be run, and be run again after a restart. */
function logicProblem(logic: unknown): string | undefined {
	if (isMachine(logic)) return undefined;
	if (typeof logic !== "object" || logic === null) return "logic that is not defined";
	if (!("start" in logic) || typeof logic.start !== "function") return "fromTransition";
	const { getInitialSnapshot } = logic as unknown as {
		getInitialSnapshot(scope: unknown, input: unknown): object;
	};
	const isObservable = "_subscription" in getInitialSnapshot(undefined, undefined);
	return isObservable ? "an observable" : undefined;
}

/** All machines that may be started inside an actor whose machine this is, itself included. */
export function machinesIn(
	machine: AnyStateMachine,
	found = new Set<AnyStateMachine>(),
): Set<AnyStateMachine> {
	if (found.has(machine)) return found;
	found.add(machine);
	for (const [, logic] of sourcesOf(machine)) if (isMachine(logic)) machinesIn(logic, found);
	return found;
}

/** Names and code of everything a machine may start. */
export function* sourcesOf(machine: AnyStateMachine): Iterable<readonly [string, unknown]> {
	yield* Object.entries(machine.implementations.actors);
	yield* invokedBy(machine, machine.root);
}

function* invokedBy(
	machine: AnyStateMachine,
	node: AnyStateMachine["root"],
): Iterable<readonly [string, unknown]> {
	for (const { src } of node.invoke) yield [src as string, logicOf(machine, src as string)];
	for (const inner of Object.values(node.states)) yield* invokedBy(machine, inner as AnyStateMachine["root"]);
}

/** Throws `actor.unsupported-machine` where something it may start cannot be durable. */
export function refuseSources(type: string, machine: AnyStateMachine): void {
	for (const [name, logic] of sourcesOf(machine)) {
		const problem = logicProblem(logic);
		if (problem) refuse(type, `${problem} ("${name}")`);
	}
}

const boundedOnes = new WeakMap<AnyStateMachine, AnyStateMachine>();

/** With an end to its loops. */
export function boundedMachine(machine: AnyStateMachine): AnyStateMachine {
	const known = boundedOnes.get(machine) ?? bounded(machine);
	boundedOnes.set(machine, known);
	return known;
}

/** What a machine sees of a child: enough to be named in `sendTo` and `stopChild`. */
function standIn({ session, id, src }: ChildBase): ActorRefLike {
	const inert = () => undefined;
	const ref = { id, src, sessionId: session, send: inert, getSnapshot: inert, on: inert };
	return ref as unknown as ActorRefLike;
}

export function storedSnapshot(snapshot: AnyMachineSnapshot): object {
	const { value, context, status, output } = snapshot;
	const history = Object.entries(snapshot.historyValue as Record<string, readonly { readonly id: string }[]>);
	return {
		value,
		context,
		...(status === "active" ? undefined : { status, output }),
		...(history.length === 0
			? undefined
			: {
					history: Object.fromEntries(history.map(([key, nodes]) => [key, nodes.map(({ id }) => ({ id }))])),
				}),
	};
}

/** `children`: those of this machine. */
export function restoredSnapshot(
	machine: AnyStateMachine,
	// biome-ignore lint/suspicious/noExplicitAny: what storedSnapshot made, through JSON
	stored: any,
	children: readonly Child[],
): AnyMachineSnapshot {
	const { value, context, status = "active", output, history: historyValue = {} } = stored;
	if (status === "active" && stored.history === undefined) {
		const known = activeIn(machine, value);
		// It is given to whoever asks for the state: not the same object for all.
		const own = typeof known.value === "string" ? known.value : structuredClone(known.value);
		return withChildren({ ...known, value: own, context } as AnyMachineSnapshot, children);
	}
	const persisted = { value, context, status, output, historyValue };
	return withChildren(revived(machine, persisted), children);
}

function revived(machine: AnyStateMachine, persisted: object): AnyMachineSnapshot {
	const { scope } = scopeOf(machine);
	const whole = { ...persisted, error: undefined, children: {} };
	return machine.restoreSnapshot(whole as never, scope as never) as AnyMachineSnapshot;
}

/** A machine's snapshots without context, by the JSON of the state's value: very many actors are in few states. */
const active = new WeakMap<AnyStateMachine, Map<string, AnyMachineSnapshot>>();
/** Kept of one machine; past it they are made anew. */
const ACTIVE_KEPT_MAX = 1_000;

function activeIn(machine: AnyStateMachine, value: unknown): AnyMachineSnapshot {
	let known = active.get(machine);
	if (!known || known.size >= ACTIVE_KEPT_MAX) {
		known = new Map();
		active.set(machine, known);
	}
	const name = JSON.stringify(value);
	let snapshot = known.get(name);
	if (!snapshot) {
		snapshot = revived(machine, {
			value,
			context: {},
			status: "active",
			output: undefined,
			historyValue: {},
		});
		known.set(name, snapshot);
	}
	return snapshot;
}

export function withChildren(snapshot: AnyMachineSnapshot, children: readonly Child[]): AnyMachineSnapshot {
	if (children.length === 0 && hasNone(snapshot.children)) return snapshot;
	const refs = Object.fromEntries(children.map((child) => [child.id, standIn(child)]));
	return { ...snapshot, children: refs } as AnyMachineSnapshot;
}

function hasNone(children: AnyMachineSnapshot["children"]): boolean {
	for (const _ in children) return false;
	return true;
}

/** One word for people: the state's name. */
export function describeTree({ root }: Tree): string {
	return describeValue(root.value);
}
