/**
 * Which states and transitions of actors' machines a history took, and whether each guard said both yes and no. Owns
 * the counting; it folds records anew, each once, so that crashes and second folds of a run do not count.
 */
import type { AnyMachineSnapshot, AnyStateMachine } from "xstate";
import type { Log, LogRecord } from "../persistence/log.ts";
import { Actor } from "../runtime/actor.ts";
import { typeOf } from "../runtime/address.ts";
import type { ActorDefinition } from "../runtime/define-actor.ts";
import { scan } from "../runtime/fold.ts";
import { boundedMachine, machinesIn } from "../runtime/machine-children.ts";
import { messageOf, newOwnerIn } from "../runtime/message.ts";
import { isHistory } from "../runtime/recovery-records.ts";
import { MAILBOX_TOPICS } from "../runtime/topics.ts";
import { Watermarks } from "../runtime/watermarks.ts";
import { CoverageCounts, isEventless, type MachineCoverage, type Microstep } from "./coverage-counts.ts";
import { coverageTable } from "./coverage-table.ts";

/** Which states and transitions of machines tests have reached. */
export class Coverage<const Actors extends readonly ActorDefinition[] = readonly ActorDefinition[]> {
	readonly #actors: Actors;
	/** By type. */
	readonly #types = new Map<string, CoverageCounts>();
	/** Of the message that is folded at present. */
	#counts: CoverageCounts | undefined;

	constructor(actors: Actors) {
		this.#actors = actors;
		for (const { type, machine } of actors) {
			const machines = [...machinesIn(machine)].map(boundedMachine);
			this.#types.set(type, new CoverageCounts(type, machines));
			for (const one of machines) this.#watch(one);
		}
	}

	/** Everything a log holds of these actors, on any driver; `partitions` as the log was made with. */
	async addLog(log: Log, partitions: number): Promise<void> {
		for (const topic of MAILBOX_TOPICS) {
			for (let partition = 0; partition < partitions; partition++) {
				const id = { topic, partition };
				const { start, end } = await log.bounds(id);
				const take = this.#partition();
				for await (const page of scan(log, id, start, end)) for (const record of page) take(record);
			}
		}
	}

	/** All records of one partition, in order. */
	addPartition(records: Iterable<LogRecord>): void {
		const take = this.#partition();
		for (const record of records) take(record);
	}

	#partition(): (record: LogRecord) => void {
		const watermarks = new Watermarks();
		const actors = new Map<string, Actor>();
		return (record) => {
			if (newOwnerIn(record) !== undefined) return;
			const message = messageOf(record);
			if ("unreadable" in message) return;
			if (message.origin && watermarks.seen(message.origin, message.offset)) return;
			const definition = this.#actors.find(({ type }) => type === typeOf(message.to));
			if (!definition || !isHistory(message.kind)) return;
			const actor = actors.get(message.to) ?? Actor.fresh(message.to, definition.behaviour);
			actors.set(message.to, actor);
			this.#counts = this.#types.get(definition.type);
			try {
				actor.receive(message);
			} catch {
				// Failed when it was live too; what it took until then counts.
				actor.fail(message);
			} finally {
				this.#counts = undefined;
			}
		};
	}

	/** Of one actor type, with the machines inside it. */
	of(type: Actors[number]["type"]): MachineCoverage {
		const counts = this.#types.get(type);
		if (!counts) throw new Error(`no actor type "${type}" is covered here`);
		return counts.result();
	}

	/** A table of every type, for people. */
	toString(): string {
		return [...this.#types].map(([type, counts]) => coverageTable(type, counts.result())).join("\n\n");
	}

	#watch(machine: AnyStateMachine): void {
		const { transition, getInitialSnapshot } = machine;
		machine.transition = (before, event, scope) => {
			const counts = this.#counts;
			if (!counts) return transition.call(machine, before, event, scope);
			const after = transition.call(machine, before, event, watching(scope, counts, before));
			counts.rest(after);
			return after;
		};
		machine.getInitialSnapshot = (scope, input) => {
			const counts = this.#counts;
			if (!counts) return getInitialSnapshot.call(machine, scope, input);
			const first = getInitialSnapshot.call(machine, watching(scope, counts), input);
			counts.entered(first);
			counts.rest(first);
			return first;
		};
	}
}

/** The same surroundings for the machine, which also tell of its steps. */
function watching<Scope extends { readonly system: object }>(
	scope: Scope,
	counts: CoverageCounts,
	start?: AnyMachineSnapshot,
): Scope {
	let before = start;
	let isFirst = true;
	const _sendInspectionEvent = (told: Microstep) => {
		if (told.type !== "@xstate.microstep") return;
		if (before && !isFirst && !isEventless(told)) counts.rest(before);
		counts.step(before, told);
		before = told.snapshot;
		isFirst = false;
	};
	return { ...scope, system: { ...scope.system, _sendInspectionEvent } };
}
