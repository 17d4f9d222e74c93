/**
 * What a machine may use and stay durable. Owns the refusals, each by name and when the actor type is defined:
 * a feature that is quietly left out would be found only after a restart.
 */
import type { AnyStateMachine } from "xstate";
import { MycelogError } from "../persistence/errors.ts";

/** Names of machine actions that become effects; their params are the effect's fields. */
export const EFFECT_ACTIONS = ["tell", "post", "forward", "reply", "signal", "drop"] as const;

const EFFECTS: ReadonlySet<string> = new Set(EFFECT_ACTIONS);

/** XState's own actions that only move the machine; all others reach for an actor system that is not there. */
const PURE_ACTIONS: ReadonlySet<string> = new Set([
	"xstate.assign",
	"xstate.raise",
	"xstate.cancel",
	"xstate.enqueueActions",
]);

type StateNode = AnyStateMachine["root"];
/** As machines hold them: a name, a name with params, or a function, which XState's own mark by a type. */
type Action = string | { readonly type: string } | ((...args: never[]) => unknown);

/** Throws `actor.unsupported-machine`. What `enqueueActions` puts in is known only when it runs: `refuseAction`. */
export function refuseUnsupported(type: string, machine: AnyStateMachine): void {
	for (const [name, action] of Object.entries(machine.implementations.actions)) {
		const problem = typeof action === "function" ? problemOf(name, action as never) : undefined;
		if (problem) refuse(type, problem);
	}
	walk(type, machine, machine.root);
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

export function isEffectAction(name: string): boolean {
	return EFFECTS.has(name);
}

function walk(type: string, machine: AnyStateMachine, node: StateNode): void {
	const where = `in state "${node.key}"`;
	if (node.invoke.length > 0) refuse(type, `an invoke ${where}`);
	if (node.type === "history") refuse(type, `a history state "${node.key}"`);
	for (const { delay } of node.after) {
		const known = typeof delay !== "string" || Object.hasOwn(machine.implementations.delays, delay);
		if (!known) refuse(type, `the delay "${delay}" ${where}, which is not defined,`);
	}
	const transitions = [...node.transitions.values(), node.always ?? []].flat();
	const actions = [node.entry, node.exit, node.initial?.actions ?? [], transitions.flatMap((t) => t.actions)];
	for (const action of actions.flat() as Action[]) {
		const problem = problemOfUse(machine, action);
		if (problem) refuse(type, `${problem} ${where}`);
	}
	for (const child of Object.values(node.states)) walk(type, machine, child);
}

function problemOfUse(machine: AnyStateMachine, action: Action): string | undefined {
	if (typeof action === "function") return problemOf(action.name || "an inline function", action);
	const name = typeof action === "string" ? action : action.type;
	// Those with a body were looked at among the implementations.
	const known = Object.hasOwn(machine.implementations.actions, name) || EFFECTS.has(name);
	return known ? undefined : describe(name);
}

function problemOf(name: string, action: (...args: never[]) => unknown): string | undefined {
	if (!("resolve" in action)) return EFFECTS.has(name) ? undefined : describe(name);
	const { type } = action as unknown as { readonly type: string };
	return PURE_ACTIONS.has(type) ? undefined : describe(type);
}

function describe(name: string): string {
	const own = name.startsWith("xstate.") ? name.slice("xstate.".length) : undefined;
	if (own !== undefined) return `the action ${own}`;
	return `the action "${name}", which runs code or nothing (name an effect: ${EFFECT_ACTIONS.join(", ")})`;
}
