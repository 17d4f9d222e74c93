/**
 * A machine's statechart as plain data, for whoever draws it. Owns the form; layout and pictures are the reader's.
 */
import type { AnyStateMachine, StateValue } from "xstate";

type StateNode = AnyStateMachine["root"];

export interface ChartState {
	/** Unique in the chart: the machine's id and the keys that lead there. */
	readonly id: string;
	readonly key: string;
	readonly type: "atomic" | "compound" | "parallel" | "final" | "history";
	/** Id of the state that is entered first. */
	readonly initial?: string;
	readonly states: readonly ChartState[];
	/** Sources of what runs while the state is active. */
	readonly invokes?: readonly string[];
}

/** Exactly one of `event`, `delay` and `always` says what leads there. */
export interface ChartTransition {
	readonly source: string;
	/** Empty: the state stays as it is. */
	readonly targets: readonly string[];
	readonly event?: string;
	/** Name of the delay, or its milliseconds. */
	readonly delay?: string;
	readonly always?: true;
	readonly guard?: string;
	readonly actions?: readonly string[];
}

export interface Chart {
	readonly root: ChartState;
	/** Those of one state and event are tried in order. */
	readonly transitions: readonly ChartTransition[];
}

/** XState's event for a delay: its name, then the state's id. */
const DELAYED = /^xstate\.after\.([^.]+)\./;
/** Name of a guard or action that is a function. */
const UNNAMED = "(inline)";

export function chartOf({ root }: AnyStateMachine): Chart {
	return { root: stateOf(root), transitions: [root, ...below(root)].flatMap(transitionsOf) };
}

/** Ids of the active states, the root aside. */
export function activeStates({ root }: AnyStateMachine, value: StateValue): string[] {
	return activeBelow(root, value);
}

function activeBelow(node: StateNode, value: StateValue): string[] {
	const inner = typeof value === "string" ? { [value]: undefined } : value;
	return Object.entries(inner).flatMap(([key, deeper]) => {
		const child: StateNode | undefined = node.states[key];
		if (!child) return [];
		return [child.id, ...(deeper === undefined ? [] : activeBelow(child, deeper))];
	});
}

function stateOf(node: StateNode): ChartState {
	const initial = node.type === "compound" ? node.initial?.target?.[0]?.id : undefined;
	const invokes = node.invoke.map(({ src }) => (typeof src === "string" ? src : UNNAMED));
	return {
		id: node.id,
		key: node.key,
		type: node.type,
		...(initial === undefined ? undefined : { initial }),
		states: childrenOf(node).map(stateOf),
		...(invokes.length > 0 ? { invokes } : undefined),
	};
}

function transitionsOf(node: StateNode): ChartTransition[] {
	return [...node.transitions.values(), node.always ?? []]
		.flat()
		.map(({ eventType, guard, target, actions }) => {
			const delay = DELAYED.exec(eventType)?.[1];
			const named = actions.map(nameOf).filter((name) => !name.startsWith("xstate."));
			return {
				source: node.id,
				targets: (target ?? []).map(({ id }) => id),
				...(delay !== undefined
					? { delay }
					: eventType === ""
						? { always: true as const }
						: { event: eventType }),
				...(guard ? { guard: nameOf(guard) } : undefined),
				...(named.length > 0 ? { actions: named } : undefined),
			};
		});
}

/** Guards and actions are names, maps with a name, or functions. */
function nameOf(one: unknown): string {
	if (typeof one === "string") return one;
	const { type, name } = one as { readonly type?: unknown; readonly name?: unknown };
	if (typeof type === "string") return type;
	return typeof name === "string" && name !== "" ? name : UNNAMED;
}

function below(node: StateNode): StateNode[] {
	return childrenOf(node).flatMap((child) => [child, ...below(child)]);
}

function childrenOf(node: StateNode): StateNode[] {
	return Object.values(node.states);
}
