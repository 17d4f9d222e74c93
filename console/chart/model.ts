/** What of a statechart is drawn: boxes, arrows and what stays inside. Owns that choice; places are layout.ts. */
import type { Chart, ChartState, ChartTransition } from "../api-types.ts";

/** Lines at one arrow, and of what a state handles without being left; the rest is told of in a number. */
const LINES_MAX = { all: { arrow: 12, inner: 40 }, some: { arrow: 3, inner: 1 } } as const;
/** Transitions past which a chart is drawn with some of its lines at first. */
const TRANSITIONS_MAX = 14;

export type Detail = keyof typeof LINES_MAX;

export function detailAtFirst({ transitions }: Chart): Detail {
	return transitions.length > TRANSITIONS_MAX ? "some" : "all";
}

export interface Box {
	readonly id: string;
	readonly label: string;
	readonly kind: ChartState["type"] | "any" | "start";
	/** What it handles without being left, and what runs in it. */
	readonly lines: readonly string[];
	readonly inner: readonly Box[];
}

export interface Arrow {
	readonly id: string;
	readonly from: string;
	readonly to: string;
	readonly lines: readonly string[];
	/** Types of the events that lead along it. */
	readonly events: readonly string[];
}

export interface Drawing {
	readonly boxes: readonly Box[];
	readonly arrows: readonly Arrow[];
	/** What is handled in every state. */
	readonly everywhere: readonly string[];
}

export function drawingOf({ root, transitions }: Chart, detail: Detail): Drawing {
	const most = LINES_MAX[detail];
	const labelOf = (transition: ChartTransition) => {
		const event = eventTypeOf(transition);
		return transition.guard && detail === "all" ? `${event} [${transition.guard}]` : event;
	};
	const arrows = new Map<string, { from: string; to: string; labels: string[]; events: Set<string> }>();
	const lines = new Map<string, string[]>();
	/** States that have ways from wherever one is in them. */
	const anywhere = new Set<string>();
	const parents = parentsOf(root);
	const isIn = (id: string, outer: string): boolean => {
		const parent = parents.get(id);
		return parent !== undefined && (parent === outer || isIn(parent, outer));
	};
	for (const transition of transitions) {
		const { source, targets } = transition;
		const staying =
			targets.length === 0 || (targets.length === 1 && targets[0] === source && source !== root.id);
		if (staying) {
			lines.set(source, [...(lines.get(source) ?? []), labelOf(transition)]);
			continue;
		}
		for (const to of targets) {
			const fromInside = isIn(to, source);
			if (fromInside) anywhere.add(source);
			const from = fromInside ? anyOf(source) : source;
			const pair = `${from}→${to}`;
			const arrow = arrows.get(pair) ?? { from, to, labels: [], events: new Set<string>() };
			arrow.labels.push(labelOf(transition));
			arrow.events.add(eventTypeOf(transition));
			arrows.set(pair, arrow);
		}
	}
	const boxOf = (state: ChartState): Box => {
		const invokes = (state.invokes ?? []).map((name) => `runs ${name}`);
		return {
			id: state.id,
			label: state.key,
			kind: state.type,
			lines: cut([...invokes, ...new Set(lines.get(state.id))], most.inner),
			inner: [...pseudo(state), ...state.states.map(boxOf)],
		};
	};
	const pseudo = ({ id, initial }: ChartState): Box[] => [
		...(initial ? [{ id: startOf(id), label: "", kind: "start" as const, lines: [], inner: [] }] : []),
		...(anywhere.has(id)
			? [{ id: anyOf(id), label: "any state", kind: "any" as const, lines: [], inner: [] }]
			: []),
	];
	const starts = [...statesIn(root)].flatMap(({ id, initial }): Arrow[] =>
		initial ? [{ id: `start:${id}`, from: startOf(id), to: initial, lines: [], events: [] }] : [],
	);
	return {
		boxes: root.states.length === 0 ? [boxOf(root)] : boxOf(root).inner,
		arrows: [
			...starts,
			...[...arrows].map(([id, { from, to, labels, events }]) => ({
				...{ id, from, to, events: [...events] },
				lines: cut([...new Set(labels)], most.arrow),
			})),
		],
		everywhere: root.states.length === 0 ? [] : [...new Set(lines.get(root.id))],
	};
}

/** The machine's part of an actor's stored state; undefined: it has none yet. */
export function machineValueOf(state: unknown): unknown {
	const stored = state as {
		readonly machine?: { readonly value?: unknown };
		readonly value?: unknown;
	} | null;
	return stored?.machine ? stored.machine.value : stored?.value;
}

/** An arrow that an event has taken between two sets of active states. */
export function wasTaken({ from, to, events }: Arrow, event: string, before: Active, after: Active): boolean {
	const type = event.replace(/^xstate\.after\.([^.]+)\..*$/, "after $1");
	const left = from.startsWith("any:") || before.has(from);
	return left && after.has(to) && events.includes(type);
}

export type Active = ReadonlySet<string>;

function eventTypeOf({ event, delay }: ChartTransition): string {
	if (delay !== undefined) return `after ${delay}`;
	return event ?? "always";
}

function cut(lines: readonly string[], max: number): readonly string[] {
	if (lines.length <= max) return lines;
	if (max === 1) return [`takes ${lines.length} events`];
	return [...lines.slice(0, max - 1), `+ ${lines.length - max + 1} more`];
}

function parentsOf(root: ChartState): ReadonlyMap<string, string> {
	return new Map(
		[...statesIn(root)].flatMap(({ id, states }) => states.map((inner) => [inner.id, id] as const)),
	);
}

function* statesIn(state: ChartState): Generator<ChartState> {
	yield state;
	for (const inner of state.states) yield* statesIn(inner);
}

function startOf(id: string): string {
	return `start:${id}`;
}

function anyOf(id: string): string {
	return `any:${id}`;
}
