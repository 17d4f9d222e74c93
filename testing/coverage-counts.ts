/**
 * What one actor type's machines did, step by step. Owns the counts, and which guards a step must have asked; folding is
 * coverage.ts.
 */
import type { AnyMachineSnapshot, AnyStateMachine, AnyStateNode, AnyTransitionDefinition } from "xstate";

/** How often a state was active. */
export interface StateCoverage {
	/** Its id, the machine's first. */
	readonly state: string;
	/** Steps after which it was active. */
	steps: number;
}

/** How often a transition was taken. */
export interface TransitionCoverage {
	/** Id of the state it leaves. */
	readonly source: string;
	/** Type of its event; `after` with the delay; `always`: none. */
	readonly event: string;
	/** Ids of the states it enters; empty: it enters none. */
	readonly targets: readonly string[];
	readonly hasGuard: boolean;
	/** Steps that took it. */
	taken: number;
	/** Its guard was asked and said no. */
	refused: number;
}

/** What an actor type's machine did, all its actors together. */
export interface MachineCoverage {
	readonly states: readonly Readonly<StateCoverage>[];
	readonly transitions: readonly Readonly<TransitionCoverage>[];
	/** In words, what never happened; nothing: all of it is covered. */
	readonly missing: readonly string[];
}

/** What XState tells of one step. Transitions are not in its types. */
export interface Microstep {
	readonly type: string;
	readonly event: { readonly type: string };
	readonly snapshot: AnyMachineSnapshot;
	readonly _transitions: readonly AnyTransitionDefinition[];
}

export function isEventless({ _transitions: taken }: Microstep): boolean {
	return taken.length > 0 && taken.every(({ eventType }) => !eventType);
}

const ALWAYS = "always";
/** Begins the types of XState's events for delays; the state's id ends them. */
const AFTER = "xstate.after.";
/** Of a machine that was given no id. */
const NO_ID = "(machine)";

export class CoverageCounts {
	readonly #states = new Map<AnyStateNode, StateCoverage>();
	readonly #transitions = new Map<AnyTransitionDefinition, TransitionCoverage>();

	/** The first machine is the actor's, the others are inside it. */
	constructor(type: string, machines: readonly AnyStateMachine[]) {
		for (const [i, { id, root }] of machines.entries()) {
			const name = id !== NO_ID ? id : i === 0 ? type : `${type}#${i}`;
			this.#list(root, (of) => `${name}${of.id.slice(id.length)}`);
		}
	}

	#list(node: AnyStateNode, nameOf: (node: AnyStateNode) => string): void {
		if (node.type === "history") return;
		if (node.parent) this.#states.set(node, { state: nameOf(node), steps: 0 });
		for (const transition of [...[...node.transitions.values()].flat(), ...(node.always ?? [])]) {
			const { eventType, target = [], guard } = transition as AnyTransitionDefinition;
			this.#transitions.set(transition, {
				source: nameOf(node),
				event: eventName(eventType, node),
				targets: target.map(nameOf),
				hasGuard: guard !== undefined,
				taken: 0,
				refused: 0,
			});
		}
		for (const inner of Object.values(node.states)) this.#list(inner as AnyStateNode, nameOf);
	}

	/** `before`: undefined while the machine enters its first state. */
	step(before: AnyMachineSnapshot | undefined, told: Microstep): void {
		const { event, snapshot, _transitions: taken } = told;
		const eventless = isEventless(told);
		for (const transition of taken) this.#add(transition, "taken");
		const asked = before?._nodes ?? taken.map(({ source }) => source);
		for (const node of asked as readonly AnyStateNode[]) {
			const chosen = taken.find(({ source }) => source === node);
			if (!chosen && taken.some(({ source }) => isInside(source, node))) continue;
			const candidates = eventless ? (node.always ?? []) : candidatesOf(node, event.type);
			this.#refused(chosen ? candidates.slice(0, candidates.indexOf(chosen)) : candidates);
		}
		this.entered(snapshot);
	}

	entered(snapshot: AnyMachineSnapshot): void {
		for (const node of snapshot._nodes as readonly AnyStateNode[]) {
			const state = this.#states.get(node);
			if (state) state.steps++;
		}
	}

	/** It was asked whether it goes on without an event, and does not. */
	rest({ _nodes, status }: AnyMachineSnapshot): void {
		if (status !== "active") return;
		for (const { always } of _nodes as readonly AnyStateNode[]) this.#refused(always ?? []);
	}

	result(): MachineCoverage {
		const states = [...this.#states.values()];
		const transitions = [...this.#transitions.values()];
		const missing = [
			...states.filter(({ steps }) => steps === 0).map(({ state }) => `${state} was never entered`),
			...transitions.flatMap(({ source, event, targets, hasGuard, taken, refused }) => {
				const name = `${source} on ${event}${targets.length > 0 ? ` to ${targets.join(", ")}` : ""}`;
				return [
					...(taken === 0 ? [`${name} was never taken`] : []),
					...(hasGuard && refused === 0 ? [`${name} was never refused by its guard`] : []),
				];
			}),
		];
		return { states, transitions, missing };
	}

	#refused(candidates: readonly AnyTransitionDefinition[]): void {
		for (const candidate of candidates) if (candidate.guard !== undefined) this.#add(candidate, "refused");
	}

	#add(transition: AnyTransitionDefinition, what: "taken" | "refused"): void {
		const counted = this.#transitions.get(transition);
		if (counted) counted[what]++;
	}
}

function eventName(eventType: string, { id }: AnyStateNode): string {
	if (eventType === "") return ALWAYS;
	const isDelay = eventType.startsWith(AFTER) && eventType.endsWith(`.${id}`);
	return isDelay ? `after ${eventType.slice(AFTER.length, -id.length - 1)}` : eventType;
}

function isInside(node: AnyStateNode, outer: AnyStateNode): boolean {
	for (let parent = node.parent; parent; parent = parent.parent) if (parent === outer) return true;
	return false;
}

/** In the order in which XState asks them: the event's own, then wildcards, the longest first. */
function candidatesOf(node: AnyStateNode, type: string): readonly AnyTransitionDefinition[] {
	const wild = [...node.transitions.keys()]
		.filter((descriptor) => descriptor === "*" || (descriptor.endsWith(".*") && isUnder(type, descriptor)))
		.sort((a, b) => b.length - a.length);
	return [type, ...wild].flatMap((descriptor) => node.transitions.get(descriptor) ?? []);
}

function isUnder(type: string, descriptor: string): boolean {
	const prefix = descriptor.slice(0, -2);
	return type === prefix || type.startsWith(`${prefix}.`);
}
