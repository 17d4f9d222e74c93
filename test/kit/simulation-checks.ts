/**
 * What must hold of cells when their simulation is quiet: effects, relays, timers, frames and claims against the log.
 * Owns the invariants; each says what it found in words that a person can follow.
 */
import type { Actor } from "../../runtime/actor.ts";
import { firstDifference } from "../../runtime/difference.ts";
import type { Simulation } from "../../testing/simulation.ts";
import { commonChecks, type Fold, foldsOf } from "../../testing/simulation-checks.ts";
import type { CellContext } from "./cell.ts";
import type { SimulatedWork } from "./simulation-work.ts";

export type CellSimulation = Simulation<SimulatedWork>;

export async function checks(simulation: CellSimulation): Promise<string[]> {
	const folds = foldsOf(simulation);
	const contexts = new Map<string, CellContext>();
	for (const { actors } of folds)
		for (const [address, actor] of actors) contexts.set(address, contextOf(actor));
	return [
		...[...contexts].flatMap(([address, { wrong }]) => wrong.map((text) => `${address} found ${text}`)),
		...acceptedHaveOneEffect(simulation, contexts),
		...relaysArriveOnce(contexts),
		...timersRangOnce(simulation, contexts),
		...framesWereTaken(simulation, folds),
		...deliveriesAreWhole(simulation, folds),
		...claimsAreOfThisLife(simulation, folds),
		...(await commonChecks(simulation, folds)),
	];
}

function contextOf(actor: Actor): CellContext {
	return (actor.state as { readonly context: CellContext }).context;
}

function* acceptedHaveOneEffect(simulation: CellSimulation, contexts: ReadonlyMap<string, CellContext>) {
	const { notes, answered } = simulation.work;
	for (const { to, from, n } of notes) {
		const times = contexts.get(to)?.heard[from]?.filter((heard) => heard === n).length ?? 0;
		if (times !== 1) yield `accepted note ${n} of ${from} to ${to} had ${times} effects`;
	}
	for (const { to, id } of answered) {
		const times = contexts.get(to)?.once[id] ?? 0;
		if (times < 1) yield `answered ask ${id} to ${to} had no effect`;
	}
}

function* relaysArriveOnce(contexts: ReadonlyMap<string, CellContext>) {
	for (const [from, { sent }] of contexts) {
		for (const [to, last] of Object.entries(sent)) {
			const heard = contexts.get(to)?.heard[from] ?? [];
			if (heard.length !== last || heard.at(-1) !== last)
				yield `${from} sent ${last} notes to ${to}, which heard ${heard.join(",")}`;
		}
	}
}

function* timersRangOnce(simulation: CellSimulation, contexts: ReadonlyMap<string, CellContext>) {
	for (const { to, id } of simulation.work.armed) {
		const timer = contexts.get(to)?.timers[id];
		if (timer !== "rang" && timer !== "disarmed") yield `timer ${id} of ${to} is ${timer}`;
	}
}

function* framesWereTaken(simulation: CellSimulation, folds: readonly Fold[]) {
	const times = new Map<string, number>();
	for (const { messages } of folds) {
		for (const { kind, to, facts } of messages) {
			const key = `${to} ${facts?.["id"]}`;
			if (kind === "frame") times.set(key, (times.get(key) ?? 0) + 1);
		}
	}
	for (const { to, id } of simulation.work.frames) {
		const found = times.get(`${to} ${id}`) ?? 0;
		if (found !== 1) yield `accepted frame ${id} lies ${found} times in the mailbox of ${to}`;
	}
}

/** A connection of a process that lives got every frame since it was attached, in order. */
function* deliveriesAreWhole(simulation: CellSimulation, folds: readonly Fold[]) {
	for (const { actors, messages } of folds) {
		for (const [address, actor] of actors) {
			const { outlet, attachedAt } = contextOf(actor);
			const process = simulation.live.find(({ name }) => name === outlet?.node);
			if (!outlet || !process) continue;
			const given = process.deliveries.get(outlet.connection)?.ids ?? [];
			const due = messages.filter(
				({ to, kind, type, offset, expiresAt }) =>
					to === address &&
					kind === "frame" &&
					type !== "broadcast" &&
					offset > attachedAt &&
					expiresAt === undefined,
			);
			const ids = due.map(({ facts }) => facts?.["id"] ?? "");
			const wanted = new Set(ids);
			const got = given.filter((id) => wanted.has(id));
			const difference = firstDifference(ids, got);
			if (difference) yield `${outlet.connection} was due ${ids.join()} and got ${given.join()}`;
		}
	}
}

/** Every actor has heard which processes are gone, whichever node owns it. */
function* claimsAreOfThisLife(simulation: CellSimulation, folds: readonly Fold[]) {
	for (const { actors } of folds) {
		for (const [address, { claim }] of actors) {
			if (claim && !simulation.live.some(({ name }) => name === claim))
				yield `${address} still claims ${claim}`;
		}
	}
}
