/**
 * Paths through an actor's machine, and a real actor sent along each of them. Owns the bounds and the comparison of what
 * the model says with what the actor says; the graph is XState's.
 */
import type { AnyMachineSnapshot, AnyStateMachine } from "xstate";
import { type AdjacencyMap, getAdjacencyMap, getShortestPaths } from "xstate/graph";
import type { ActorRef } from "../runtime/actor-ref.ts";
import type { ActorDefinition, ActorState, EventOf } from "../runtime/define-actor.ts";
import { firstDifference } from "../runtime/difference.ts";
import { createNode } from "../runtime/embedded-node.ts";
import type { EventMeta } from "../runtime/machine-behaviour.ts";
import type { Event } from "../runtime/message.ts";
import { MemoryLog, MemoryStorage } from "./memory-log.ts";
import { MemorySnapshots } from "./memory-snapshots.ts";
import { VirtualTime } from "./virtual-time.ts";

/** States, by value and context, that are looked at. */
export const PATH_STATES_MAX = 2_000;
/** Paths that are made. */
export const PATHS_MAX = 1_000;

/** What a machine may be sent, and how far paths go. */
export interface PathsOptions<Machine extends AnyStateMachine> {
	/** What may be sent in any state. Events of the machine's own, such as delays, cannot be. */
	readonly events: readonly EventOf<Machine>[];
	/**
	 * `shortest`: one way to each state. `simple`: every way to each state that comes to no state twice. Default:
	 * shortest.
	 */
	readonly kind?: "shortest" | "simple";
	/** No path goes on from here: where a context counts, there is no end of states. Default: nowhere. */
	readonly stopWhen?: (state: AnyMachineSnapshot) => boolean;
}

/** A way through a machine. */
export interface ModelPath<Machine extends AnyStateMachine> {
	/** Its events, for people. */
	readonly description: string;
	/** After each event the state that the model says. */
	readonly steps: readonly { readonly event: EventOf<Machine>; readonly state: AnyMachineSnapshot }[];
}

/** Rejects paths past PATHS_MAX and states past PATH_STATES_MAX, rather than leave some out. */
export function modelPaths<Machine extends AnyStateMachine>(
	{ machine, type }: ActorDefinition<string, Machine>,
	{ events, kind = "shortest", stopWhen }: PathsOptions<Machine>,
): readonly ModelPath<Machine>[] {
	const meta: EventMeta = { address: type, from: undefined, replyTo: undefined, offset: 0, timestamp: 0 };
	const options = {
		events: events.map((event) => ({ ...event, meta })),
		input: { address: type },
		limit: PATH_STATES_MAX * Math.max(events.length, 1),
		...(stopWhen ? { stopWhen } : undefined),
	};
	const logic = machine as AnyStateMachine;
	let states: AdjacencyMap<AnyMachineSnapshot, Event>;
	try {
		states = getAdjacencyMap(logic, options as never) as never;
	} catch (error) {
		if (!(error as Error).message.includes("limit")) throw error;
		throw tooMany("states", PATH_STATES_MAX);
	}
	if (Object.keys(states).length > PATH_STATES_MAX) throw tooMany("states", PATH_STATES_MAX);
	const ways = kind === "simple" ? simple(states) : shortest(logic, options);
	if (ways.length > PATHS_MAX) throw tooMany("paths", PATHS_MAX);
	return ways.map((way) => ({
		description: way.map(({ event }) => event.type).join(" → "),
		steps: way.map(({ event: { meta: _, ...event }, state }) => ({ event: event as never, state })),
	}));
}

type Way = readonly { readonly event: Event; readonly state: AnyMachineSnapshot }[];

/** Those that are the beginning of another one lead nowhere new. */
function shortest(logic: AnyStateMachine, options: object): Way[] {
	const paths = getShortestPaths(logic, options as never) as readonly { readonly steps: Way }[];
	// The first step of XState's is the initial state.
	return withoutBeginnings(paths.map(({ steps }) => steps.slice(1)));
}

function simple(states: AdjacencyMap<AnyMachineSnapshot, Event>): Way[] {
	const found: Way[] = [];
	const keyOf = new Map(Object.entries(states).map(([key, { state }]) => [textOf(state), key]));
	const walk = (key: string, way: Way, seen: ReadonlySet<string>) => {
		let isEnd = true;
		for (const { event, state } of Object.values(states[key as never]?.transitions ?? {})) {
			const next = keyOf.get(textOf(state));
			if (next === undefined || seen.has(next)) continue;
			isEnd = false;
			walk(next, [...way, { event, state }], new Set([...seen, next]));
		}
		if (isEnd && way.length > 0 && found.push(way) > PATHS_MAX) throw tooMany("paths", PATHS_MAX);
	};
	const [first] = Object.keys(states);
	if (first !== undefined) walk(first, [], new Set([first]));
	return found;
}

function textOf({ value, context }: AnyMachineSnapshot): string {
	return JSON.stringify([value, context]);
}

function withoutBeginnings(ways: readonly Way[]): Way[] {
	const texts = ways.map((way) => `${way.map(({ event }) => JSON.stringify(event)).join()},`);
	return ways.filter(
		(way, i) => way.length > 0 && !texts.some((text, j) => j !== i && text.startsWith(texts[i] as string)),
	);
}

/** Of `runPaths`. */
export interface RunPathsOptions<Machine extends AnyStateMachine> extends PathsOptions<Machine> {
	/** `value`: where the context holds times or offsets, which the model does not know. Default: both. */
	readonly compare?: "value" | "value and context";
	/** After each step; what it throws fails the path. */
	readonly check?: (step: {
		readonly path: ModelPath<Machine>;
		readonly model: AnyMachineSnapshot;
		readonly state: ActorState<Machine>;
		readonly ref: ActorRef<Machine>;
	}) => void | Promise<void>;
}

/** Paths that were walked. */
export interface RunPaths<Machine extends AnyStateMachine> {
	readonly paths: readonly ModelPath<Machine>[];
	/** What the actors have left, for Coverage. */
	readonly log: MemoryLog;
}

/**
 * An actor of its own for each path, on a node in memory. Rejects with the path and the step at which the actor's value
 * or context is not the model's.
 */
export async function runPaths<Type extends string, Machine extends AnyStateMachine>(
	definition: ActorDefinition<Type, Machine>,
	options: RunPathsOptions<Machine>,
): Promise<RunPaths<Machine>> {
	const paths = modelPaths(definition, options);
	const time = new VirtualTime();
	const storage = new MemoryStorage();
	const snapshots = new MemorySnapshots().open();
	const log = new MemoryLog({ storage, clock: time });
	const node = createNode({ log, snapshots, actors: [definition], partitions: 1, clock: time });
	await node.start();
	for (const [i, path] of paths.entries()) {
		const ref = node.ref(definition.type, `path-${i + 1}`) as unknown as ActorRef<Machine>;
		for (const [j, { event, state: model }] of path.steps.entries()) {
			try {
				await ref.tell(event);
				const state = await ref.state();
				mustBeTheModel(model, state, options.compare ?? "value and context");
				await options.check?.({ path, model, state, ref });
			} catch (cause) {
				const text = `path ${path.description}, step ${j + 1}: ${(cause as Error).message}`;
				throw new Error(text, { cause });
			}
		}
	}
	await node.stop();
	return { paths, log: new MemoryLog({ storage, clock: time }) };
}

function mustBeTheModel(
	model: AnyMachineSnapshot,
	state: ActorState<AnyStateMachine>,
	compare: "value" | "value and context",
): void {
	const part = ({ value, context, status }: Pick<AnyMachineSnapshot, "value" | "context" | "status">) =>
		JSON.parse(JSON.stringify(compare === "value" ? { value, status } : { value, context, status }));
	const difference = firstDifference(part(model), part(state));
	if (!difference) return;
	const { path, left, right } = difference;
	throw new Error(`${path} is ${JSON.stringify(right)}, the model says ${JSON.stringify(left)}`);
}

function tooMany(what: string, most: number): Error {
	return new Error(`more than ${most} ${what}: give fewer events, or say with stopWhen where they end`);
}
