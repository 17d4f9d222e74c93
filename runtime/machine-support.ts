/**
 * What a machine may use and stay durable. Owns the refusals, each by name and when the actor type is defined:
 * a feature that is quietly left out would be found only after a restart.
 */
import type { AnyStateMachine } from "xstate";
import { MycelogError } from "../persistence/errors.ts";

/** Names of machine actions that become effects; their params are the effect's fields. */
const EFFECT_ACTIONS = ["tell", "post", "forward", "reply", "signal", "drop"] as const;

const EFFECTS: ReadonlySet<string> = new Set(EFFECT_ACTIONS);

/** XState's own actions that only move the machine; all others reach for an actor system that is not there. */
const PURE_ACTIONS: ReadonlySet<string> = new Set([
	"xstate.assign",
	"xstate.raise",
	"xstate.cancel",
	"xstate.enqueueActions",
]);

/** What actors with children may use beside them. */
const CHILD_ACTIONS: ReadonlySet<string> = new Set([
	"xstate.spawnChild",
	"xstate.stopChild",
	"xstate.sendTo",
	"xstate.emit",
]);

/** What more than the plain effects an actor type may use. */
export interface Allowed {
	/** Names of further actions that become effects. */
	readonly effects: ReadonlySet<string>;
	/** Invoked and spawned actors, events between them, emitted events and history states. */
	readonly children: boolean;
}

const PLAIN: Allowed = { effects: new Set(), children: false };

type StateNode = AnyStateMachine["root"];
/** As machines hold them: a name, a name with params, or a function, which XState's own mark by a type. */
type Action = string | { readonly type: string } | ((...args: never[]) => unknown);

/** Throws `actor.unsupported-machine`. What `enqueueActions` puts in is known only when it runs: `refuseAction`. */
export function refuseUnsupported(type: string, machine: AnyStateMachine, allowed: Allowed = PLAIN): void {
	for (const [name, action] of Object.entries(machine.implementations.actions)) {
		const problem = typeof action === "function" ? problemOf(allowed, name, action as never) : undefined;
		if (problem) refuse(type, problem);
	}
	walk(type, machine, machine.root, allowed);
}

/** An action that came out of a transition and is no effect. */
export function refuseAction(type: string, name: string): never {
	refuse(type, describe(name));
}

export function refuse(type: string, feature: string): never {
	throw new MycelogError(
		"actor.unsupported-machine",
		`Actor type "${type}" uses ${feature}, which cannot be durable`,
	);
}

export function isEffectAction(name: string, allowed: Allowed = PLAIN): boolean {
	return EFFECTS.has(name) || allowed.effects.has(name);
}

function walk(type: string, machine: AnyStateMachine, node: StateNode, allowed: Allowed): void {
	const where = `in state "${node.key}"`;
	if (node.invoke.length > 0 && !allowed.children) refuse(type, `an invoke ${where}`);
	if (node.type === "history" && !allowed.children) refuse(type, `a history state "${node.key}"`);
	for (const { systemId, onSnapshot } of node.invoke) {
		if (systemId !== undefined) refuse(type, `an invoke with a systemId ${where}`);
		if (onSnapshot !== undefined) refuse(type, `an invoke with onSnapshot ${where}`);
	}
	for (const { delay } of node.after) {
		const known = typeof delay !== "string" || Object.hasOwn(machine.implementations.delays, delay);
		if (!known) refuse(type, `the delay "${delay}" ${where}, which is not defined,`);
	}
	const transitions = [...node.transitions.values(), node.always ?? []].flat();
	const actions = [node.entry, node.exit, node.initial?.actions ?? [], transitions.flatMap((t) => t.actions)];
	for (const action of actions.flat() as Action[]) {
		const problem = problemOfUse(machine, action, allowed);
		if (problem) refuse(type, `${problem} ${where}`);
	}
	for (const child of Object.values(node.states)) walk(type, machine, child, allowed);
}

function problemOfUse(machine: AnyStateMachine, action: Action, allowed: Allowed): string | undefined {
	if (typeof action === "function") return problemOf(allowed, action.name || "an inline function", action);
	const name = typeof action === "string" ? action : action.type;
	// Those with a body were looked at among the implementations.
	const known = Object.hasOwn(machine.implementations.actions, name) || isEffectAction(name, allowed);
	return known ? undefined : describe(name);
}

function problemOf(
	allowed: Allowed,
	name: string,
	action: (...args: never[]) => unknown,
): string | undefined {
	if (!("resolve" in action)) return isEffectAction(name, allowed) ? undefined : describe(name);
	const { type, src, systemId } = action as unknown as {
		readonly type: string;
		readonly src?: unknown;
		readonly systemId?: unknown;
	};
	if (PURE_ACTIONS.has(type)) return undefined;
	if (!allowed.children || !CHILD_ACTIONS.has(type)) return describe(type);
	if (type !== "xstate.spawnChild") return undefined;
	if (systemId !== undefined) return "a spawnChild with a systemId";
	// Only a name leads back to the code after a restart.
	return typeof src === "string" ? undefined : "a spawnChild of logic without a name (name it in setup)";
}

function describe(name: string): string {
	const own = name.startsWith("xstate.") ? name.slice("xstate.".length) : undefined;
	if (own !== undefined) return `the action ${own}`;
	return `the action "${name}", which runs code or nothing (name an effect: ${EFFECT_ACTIONS.join(", ")})`;
}
