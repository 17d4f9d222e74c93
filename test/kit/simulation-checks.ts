/**
 * What must hold when a simulation is quiet: states, outputs, timers, frames and dead letters against the log.
 * Owns the invariants; each says what it found in words that a person can follow.
 */
import type { LogRecord, PartitionId } from "../../persistence/log.ts";
import { partitionName } from "../../persistence/log.ts";
import { Actor } from "../../runtime/actor.ts";
import { partitionOf, typeOf } from "../../runtime/address.ts";
import type { Behaviour } from "../../runtime/behaviour.ts";
import { firstDifference } from "../../runtime/difference.ts";
import type { Effect } from "../../runtime/effect.ts";
import { type Message, messageOf, newOwnerIn } from "../../runtime/message.ts";
import { DEAD_LETTERS_TOPIC, MAILBOX_TOPICS } from "../../runtime/topics.ts";
import { verify } from "../../runtime/verify.ts";
import { Watermarks } from "../../runtime/watermarks.ts";
import { type CellContext, cellBehaviours } from "./cell.ts";
import type { Simulation } from "./simulation.ts";

const BEHAVIOURS: ReadonlyMap<string, Behaviour> = new Map(cellBehaviours.map((b) => [b.type, b]));

/** Actors of each partition for which `verify` is asked too. */
const VERIFIED_MAX = 3;

/** A partition folded from nothing, by the log alone. */
interface Fold {
	readonly id: PartitionId;
	readonly actors: Map<string, Actor>;
	/** What the effects of its records must have put into other mailboxes: origin and receiver. */
	readonly outputs: { readonly origin: string; readonly to: string; readonly mayBeMissing: boolean }[];
	/** Origins of the records that count, repeats left out. */
	readonly received: Set<string>;
	readonly failed: Set<number>;
	readonly messages: Message[];
}

export async function checks(simulation: Simulation): Promise<string[]> {
	const folds = MAILBOX_TOPICS.flatMap((topic) => simulation.partitionsOf(topic)).map((id) =>
		fold(simulation, id),
	);
	const contexts = new Map<string, CellContext>();
	for (const { actors } of folds)
		for (const [address, actor] of actors) contexts.set(address, contextOf(actor));
	return [
		...[...contexts].flatMap(([address, { wrong }]) => wrong.map((text) => `${address} found ${text}`)),
		...acceptedHaveOneEffect(simulation, contexts),
		...relaysArriveOnce(contexts),
		...timersRangOnce(simulation, contexts),
		...outputsAreThoseOfTheFold(folds),
		...framesWereTaken(simulation, folds),
		...deliveriesAreWhole(simulation, folds),
		...claimsAreOfThisLife(simulation, folds),
		...deadLettersAreTheFailures(simulation, folds),
		...simulation.processes.flatMap(({ name, log, alive }) =>
			alive ? log.ownerErrors.map((error) => `${name} stopped a partition: ${(error as Error).stack}`) : [],
		),
		...(await liveStatesAreTheFold(simulation, folds)),
	];
}

function fold(simulation: Simulation, id: PartitionId): Fold {
	const folded: Fold = {
		id,
		actors: new Map(),
		outputs: [],
		received: new Set(),
		failed: new Set(),
		messages: [],
	};
	const watermarks = new Watermarks();
	for (const record of simulation.storage.all(id)) foldRecord(folded, record, watermarks);
	return folded;
}

function foldRecord(folded: Fold, record: LogRecord, watermarks: Watermarks): void {
	if (newOwnerIn(record) !== undefined) return;
	const message = messageOf(record);
	if ("unreadable" in message || !message.origin) throw new Error(`record ${record.offset} is unreadable`);
	if (watermarks.seen(message.origin, record.offset)) return;
	folded.received.add(originText(message));
	folded.messages.push(message);
	let actor = folded.actors.get(message.to);
	if (!actor) {
		actor = Actor.fresh(message.to, BEHAVIOURS.get(typeOf(message.to)) as Behaviour);
		folded.actors.set(message.to, actor);
	}
	let effects: readonly Effect[] = [];
	try {
		effects = actor.receive(message);
	} catch {
		actor.fail(message);
		folded.failed.add(record.offset);
	}
	effects.forEach((effect, index) => {
		if (effect.type !== "tell" && effect.type !== "forward" && effect.type !== "post") return;
		const origin = `${partitionName(folded.id)}@${message.offset}.${index}`;
		folded.outputs.push({ origin, to: effect.to, mayBeMissing: message.expiresAt !== undefined });
	});
}

function contextOf(actor: Actor): CellContext {
	return (actor.state as { readonly context: CellContext }).context;
}

function originText({ origin }: Message): string {
	return origin ? `${origin.source}@${origin.major}.${origin.minor}` : "";
}

function* acceptedHaveOneEffect(simulation: Simulation, contexts: ReadonlyMap<string, CellContext>) {
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

function* timersRangOnce(simulation: Simulation, contexts: ReadonlyMap<string, CellContext>) {
	for (const { to, id } of simulation.work.armed) {
		const timer = contexts.get(to)?.timers[id];
		if (timer !== "rang" && timer !== "disarmed") yield `timer ${id} of ${to} is ${timer}`;
	}
}

function* outputsAreThoseOfTheFold(folds: readonly Fold[]) {
	const expected = new Map<string, string>();
	for (const { outputs } of folds) for (const { origin, to } of outputs) expected.set(origin, to);
	for (const { id, received } of folds) {
		for (const origin of received) {
			if (!origin.includes("~") && !expected.has(origin))
				yield `${partitionName(id)} holds output ${origin}, which no fold makes`;
		}
	}
	for (const { outputs } of folds) {
		for (const { origin, to, mayBeMissing } of outputs) {
			const target = folds.find(({ id }) => isMailbox(id, to, folds));
			if (!mayBeMissing && !target?.received.has(origin)) yield `output ${origin} never came to ${to}`;
		}
	}
}

function isMailbox(id: PartitionId, address: string, folds: readonly Fold[]): boolean {
	const partitions = folds.length / MAILBOX_TOPICS.length;
	const topic = (BEHAVIOURS.get(typeOf(address)) as Behaviour).topic;
	return id.topic === topic && id.partition === partitionOf(address, partitions);
}

function* framesWereTaken(simulation: Simulation, folds: readonly Fold[]) {
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
function* deliveriesAreWhole(simulation: Simulation, folds: readonly Fold[]) {
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
function* claimsAreOfThisLife(simulation: Simulation, folds: readonly Fold[]) {
	for (const { actors } of folds) {
		for (const [address, { claim }] of actors) {
			if (claim && !simulation.live.some(({ name }) => name === claim))
				yield `${address} still claims ${claim}`;
		}
	}
}

function* deadLettersAreTheFailures(simulation: Simulation, folds: readonly Fold[]) {
	const failed = new Set<string>();
	for (const { id, failed: offsets } of folds)
		for (const offset of offsets) failed.add(`${partitionName(id)}@${offset}`);
	const parked = new Set<string>();
	for (const id of simulation.partitionsOf(DEAD_LETTERS_TOPIC)) {
		for (const { value } of simulation.storage.all(id)) {
			const { topic, partition, offset } = JSON.parse(Buffer.from(value).toString());
			parked.add(`${topic}/${partition}@${offset}`);
		}
	}
	for (const letter of failed) if (!parked.has(letter)) yield `the failure at ${letter} was not parked`;
	for (const letter of parked) if (!failed.has(letter)) yield `${letter} was parked, but does not fail`;
}

async function liveStatesAreTheFold(simulation: Simulation, folds: readonly Fold[]): Promise<string[]> {
	const problems: string[] = [];
	for (const { id, actors } of folds) {
		const owner = simulation.live.find(({ log }) => log === simulation.storage.owner(id));
		const disk = simulation.hosts.find(({ id: host }) => host === owner?.hostId)?.disk;
		const partition = owner?.node.partitions.find(({ id: own }) => partitionName(own) === partitionName(id));
		if (!owner || !disk || !partition) {
			problems.push(`${partitionName(id)} is owned by nobody`);
			continue;
		}
		for (const [address, folded] of actors) {
			const difference = firstDifference(plain(folded), plain(await partition.actor(address)));
			if (!difference) continue;
			const { path, left, right } = difference;
			const values = `${JSON.stringify(right)} lives, ${JSON.stringify(left)} was folded`;
			problems.push(`${address} differs from the log at ${path}: ${values}`);
		}
		const checkpoint = partition.checkpoint();
		await simulation.time.advance(100);
		await checkpoint;
		const snapshots = disk.open();
		const parts = { log: owner.log, snapshots, behaviours: BEHAVIOURS, partitions: simulation.partitions };
		// Frames and queries alone leave no history to verify; and each verification folds the partition anew.
		const changed = [...actors].filter(([, { offset }]) => offset >= 0);
		for (const [address] of changed.slice(0, VERIFIED_MAX)) {
			const found = await verify(parts, address);
			if (!found.ok) problems.push(`verify ${address}: ${found.reason} at ${found.path}`);
		}
	}
	return problems;
}

function plain(actor: Actor): unknown {
	const { offset, state, timers } = actor.snapshot();
	const byId = timers.map((timer) => [timer.id, timer] as const);
	return { offset, state: JSON.parse(state), timers: Object.fromEntries(byId) };
}
