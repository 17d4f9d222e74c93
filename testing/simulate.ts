/**
 * `simulate`: actors made with `defineActor` on a simulated cluster, with faults, by seeds. Owns the callers outside and
 * what must hold for them; the cluster itself is simulation.ts.
 */
import type { AnyStateMachine } from "xstate";
import { addressOf } from "../runtime/address.ts";
import { ID_FACT } from "../runtime/answers.ts";
import type { ActorDefinition, ActorState, EventOf } from "../runtime/define-actor.ts";
import { STATE_QUERY } from "../runtime/durable-behaviour.ts";
import { INTERVENTIONS, type Intervention } from "../runtime/failures.ts";
import { type Event, encodeBody, messageOf, recordOf } from "../runtime/message.ts";
import type { Coverage } from "./coverage.ts";
import type { Random } from "./random.ts";
import type { SimulatedProcess } from "./simulated-process.ts";
import { Simulation, type SimulationReport, type SimulationWork } from "./simulation.ts";
import { commonChecks, type Fold, foldsOf, takenKey } from "./simulation-checks.ts";

/** Virtual milliseconds. */
const PATIENCE_MS = [200, 8_000] as const;
const RETRY_MS = [10, 800] as const;
/** Of a run, if it is not told. */
const OPERATIONS_DEFAULT = [40, 220] as const;

type MachineOf<Actors extends readonly ActorDefinition[], Type> = Extract<
	Actors[number],
	{ readonly type: Type }
>["machine"];

/** Callers outside, on whichever node is up. */
export interface Callers<Actors extends readonly ActorDefinition[]> {
	/** The only source of chance: everything else would make runs that no seed repeats. */
	readonly random: Random;
	/** Sent once; whether it was accepted is not known where its node dies meanwhile. */
	tell<const Type extends Actors[number]["type"]>(
		type: Type,
		id: string,
		event: EventOf<MachineOf<Actors, Type>>,
	): void;
	/** What an operator would do, where it applies. */
	intervene(type: Actors[number]["type"], id: string, what: Intervention): void;
	/** Sent again under one id until it is answered: counts exactly once. Of an actor that pauses it may never be. */
	ask<const Type extends Actors[number]["type"]>(
		type: Type,
		id: string,
		event: EventOf<MachineOf<Actors, Type>>,
	): void;
}

/** Actors when everything has come to rest. */
export interface Outcome<Actors extends readonly ActorDefinition[]> {
	/** Of an actor as the log makes it. */
	state<const Type extends Actors[number]["type"]>(
		type: Type,
		id: string,
	): ActorState<MachineOf<Actors, Type>>;
	/** Asks that were answered, with or without a refusal. */
	readonly answered: number;
}

/** Of `simulate`. */
export interface SimulateOptions<Actors extends readonly ActorDefinition[]> {
	readonly actors: Actors;
	/** One operation of the outside; called as often as `operations` says, at moments drawn by chance. */
	readonly workload: (callers: Callers<Actors>) => void;
	/** What else must hold in the end: each line is a failure. */
	readonly check?: (outcome: Outcome<Actors>) => Iterable<string>;
	/** Lost, late and doubled appends, crashes, damaged disks, two owners. Default: as the seed says. */
	readonly faults?: boolean;
	/** Every run's history is added to it. */
	readonly coverage?: Coverage;
	/** Default: 40 to 220, by the seed. */
	readonly operations?: number;
	/** The first one. Default: 1. */
	readonly seed?: number;
	/** How many, one after the other. Default: 1. */
	readonly seeds?: number;
}

/** Rejects with the first seed that fails, and what did not hold; nothing lost, nothing twice, order, equal re-folds. */
export async function simulate<const Actors extends readonly ActorDefinition[]>(
	options: SimulateOptions<Actors>,
): Promise<readonly SimulationReport[]> {
	const { seed: first = 1, seeds = 1 } = options;
	const reports: SimulationReport[] = [];
	for (let seed = first; seed < first + seeds; seed++) {
		const report = await simulationOf(options, seed).run();
		if (report.problems.length > 0) throw new Error(`seed ${seed} fails:\n  ${report.problems.join("\n  ")}`);
		reports.push(report);
	}
	return reports;
}

/** One run that has not begun, for those who want to spoil its log first. */
export function simulationOf<const Actors extends readonly ActorDefinition[]>(
	options: SimulateOptions<Actors>,
	seed: number,
): Simulation<OutsideWork> {
	const { actors, workload, check, coverage, faults = true } = options;
	return new Simulation<OutsideWork>({
		seed,
		behaviours: actors.map(({ behaviour }) => behaviour),
		faults,
		work: (simulation) => {
			const work: OutsideWork = new OutsideWork(simulation, options.operations, () => {
				const tell = work.tell.bind(work);
				const callers = {
					random: simulation.random,
					tell,
					ask: work.ask.bind(work),
					intervene: work.intervene.bind(work),
				};
				workload(callers as unknown as Callers<Actors>);
			});
			return work;
		},
		checks: async (simulation) => {
			const folds = foldsOf(simulation);
			for (const { id } of folds) coverage?.addPartition(simulation.storage.all(id));
			const problems = [...simulation.work.problems(folds), ...(await commonChecks(simulation, folds))];
			const answered = simulation.work.answered.length;
			const outcome = { answered, state: (type: string, id: string) => stateIn(folds, actors, type, id) };
			return [...problems, ...(check?.(outcome as unknown as Outcome<Actors>) ?? [])];
		},
	});
}

interface Sent {
	readonly address: string;
	readonly id: string;
}

export class OutsideWork implements SimulationWork {
	readonly random: Random;
	readonly accepted: Sent[] = [];
	readonly answered: Sent[] = [];
	operations = 0;
	underWay = 0;
	readonly #simulation: Simulation<OutsideWork>;
	readonly #planned: number | undefined;
	readonly #operation: () => void;
	#ids = 0;

	constructor(simulation: Simulation<OutsideWork>, planned: number | undefined, operation: () => void) {
		this.#simulation = simulation;
		this.#planned = planned;
		this.#operation = operation;
		this.random = simulation.random;
	}

	begin(end: number): void {
		const { random, time } = this.#simulation;
		const count = this.#planned ?? random.between(...OPERATIONS_DEFAULT);
		for (let i = 0; i < count; i++) {
			time.after(random.between(0, end - time.now()), () => {
				this.operations++;
				this.#operation();
			});
		}
	}

	tell(type: string, id: string, event: Event): void {
		const process = this.random.pick(this.#simulation.live);
		if (!process) return;
		const sent = { address: addressOf(type, id), id: `s${++this.#ids}` };
		const draft = {
			to: sent.address,
			kind: "command",
			type: event.type,
			body: encodeBody(event),
			facts: { [ID_FACT]: sent.id },
		} as const;
		this.underWay++;
		const submitted = process.node.submit(draft, this.random.between(...PATIENCE_MS));
		this.#outcome(process, submitted).then((isKnown) => {
			this.underWay--;
			if (isKnown) this.accepted.push(sent);
		});
	}

	intervene(type: string, id: string, what: Intervention): void {
		const process = this.random.pick(this.#simulation.live);
		if (!process) return;
		this.underWay++;
		const told = process.node.tell(addressOf(type, id), { type: INTERVENTIONS[what] });
		this.#outcome(process, told).then(() => this.underWay--);
	}

	ask(type: string, id: string, event: Event): void {
		const sent = { address: addressOf(type, id), id: `s${++this.#ids}` };
		const facts = { [ID_FACT]: sent.id };
		this.underWay++;
		const attempt = (): void => {
			const process = this.random.pick(this.#simulation.live);
			if (!process) {
				this.#simulation.time.after(this.random.between(...RETRY_MS), attempt);
				return;
			}
			const timeoutMs = this.random.between(...PATIENCE_MS);
			const asked = process.node.ask(sent.address, event, { kind: "command", timeoutMs, facts });
			this.#outcome(process, asked).then((isKnown) => {
				if (!isKnown) {
					this.#simulation.time.after(this.random.between(...RETRY_MS), attempt);
					return;
				}
				this.underWay--;
				this.answered.push(sent);
			});
		};
		attempt();
	}

	*problems(folds: readonly Fold[]): Iterable<string> {
		const taken = new Map(folds.flatMap((fold) => [...fold.taken]));
		const failed = folds.flatMap(({ messages, failed: offsets }) =>
			messages
				.filter(({ offset }) => offsets.has(offset))
				.map(({ to, facts }) => takenKey(to, facts?.[ID_FACT] ?? "")),
		);
		for (const { address, id } of [...this.accepted, ...this.answered]) {
			const key = takenKey(address, id);
			const times = taken.get(key) ?? 0;
			if (times !== 1 && !(times === 0 && failed.includes(key))) {
				yield `accepted message ${id} to ${address} counted ${times} times`;
			}
		}
		for (const [key, times] of taken) if (times > 1) yield `${key} counted ${times} times`;
	}

	/** True: it was accepted or answered. A process that dies says nothing; its caller's connection breaks. */
	#outcome(process: SimulatedProcess, work: Promise<unknown>): Promise<boolean> {
		return new Promise((resolve) => {
			let done = false;
			const end = (isKnown: boolean) => {
				done = true;
				resolve(isKnown);
			};
			work.then(
				() => end(process.alive),
				// A refusal in the actor's own words is an answer.
				(error: Error) => end(process.alive && error.name === "RefusedError"),
			);
			const { time } = this.#simulation;
			const look = () => {
				if (done) return;
				if (process.alive) time.after(1_000, look);
				else resolve(false);
			};
			look();
		});
	}
}

function stateIn(
	folds: readonly Fold[],
	actors: readonly ActorDefinition[],
	type: string,
	id: string,
): ActorState<AnyStateMachine> {
	const address = addressOf(type, id);
	const actor = folds.map((fold) => fold.actors.get(address)).find((found) => found !== undefined);
	const behaviour = actors.find((definition) => definition.type === type)?.behaviour;
	if (!behaviour?.query) throw new Error(`no actor type "${type}" is simulated`);
	const state: unknown = actor?.state ?? behaviour.initial(address).state;
	const draft = { to: address, kind: "query", type: STATE_QUERY, body: new Uint8Array() } as const;
	const record = recordOf(draft, { source: "outcome", major: 0, minor: 0 }, 0);
	const message = messageOf({ ...record, offset: 0 });
	if ("unreadable" in message) throw new Error(message.unreadable);
	const answer = behaviour.query(state, message);
	if (!answer.ok) throw new Error(answer.error);
	return answer.value as ActorState<AnyStateMachine>;
}
