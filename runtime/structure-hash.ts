/**
 * A hash of what a machine is made of: states, transitions, delays, actions, guards and children by name. Owns what
 * counts: two machines with one hash can have each other's snapshots; code behind a name and descriptions do not count.
 */
import { createHash } from "node:crypto";
import type { AnyStateMachine } from "xstate";
import { isMachine, logicOf, machinesIn } from "./machine-children.ts";

const HASH_CHARACTERS = 16;

export function structureHash(machine: AnyStateMachine): string {
	const parts = [...machinesIn(machine)].map((one) => machineParts(one));
	return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, HASH_CHARACTERS);
}

function machineParts(machine: AnyStateMachine): unknown {
	return nodeParts(machine, machine.root);
}

function nodeParts(machine: AnyStateMachine, node: AnyStateMachine["root"]): unknown {
	const transitions = [...node.transitions.entries()].map(([event, branches]) => [
		event,
		branches.map((branch) => transitionParts(branch as never)),
	]);
	const always = (node.always ?? []).map((branch) => transitionParts(branch as never));
	const invoke = node.invoke.map(({ id, src }) => {
		const logic = logicOf(machine, src as string);
		return [id, src, isMachine(logic) ? logic.id : "work"];
	});
	const states = Object.values(node.states).map((inner) => nodeParts(machine, inner as never));
	const { key, type, entry, exit } = node;
	const initial = node.initial?.target.map(({ id }) => id) ?? [];
	return [key, type, initial, names(entry), names(exit), transitions, always, invoke, states];
}

interface TransitionParts {
	readonly target: readonly { readonly id: string }[] | undefined;
	readonly guard?: unknown;
	readonly actions: readonly unknown[];
	readonly reenter: boolean;
}

function transitionParts({ target, guard, actions, reenter }: TransitionParts): unknown {
	return [target?.map(({ id }) => id) ?? null, nameOf(guard), names(actions), reenter];
}

function names(actions: readonly unknown[]): readonly string[] {
	return actions.map(nameOf);
}

/** Functions are known by XState's type for them, or as code. */
function nameOf(part: unknown): string {
	if (part === undefined) return "";
	if (typeof part === "string") return part;
	const { type } = part as { readonly type?: unknown };
	return typeof type === "string" ? type : "code";
}
