/**
 * What must hold of every quiet simulation, whatever its actors: outputs, dead letters and states against the log.
 * Owns these invariants and the fold they rest on; each says what it found in words that a person can follow.
 */
import type { LogRecord, PartitionId } from "../persistence/log.ts";
import { partitionName } from "../persistence/log.ts";
import { Actor } from "../runtime/actor.ts";
import { partitionOf, typeOf } from "../runtime/address.ts";
import { ID_FACT, REPEATED_ID } from "../runtime/answers.ts";
import type { Behaviour } from "../runtime/behaviour.ts";
import { firstDifference } from "../runtime/difference.ts";
import type { Effect } from "../runtime/effect.ts";
import { type Message, messageOf, newOwnerIn } from "../runtime/message.ts";
import { DEAD_LETTERS_TOPIC, MAILBOX_TOPICS } from "../runtime/topics.ts";
import { verify } from "../runtime/verify.ts";
import { Watermarks } from "../runtime/watermarks.ts";
import type { Simulation } from "./simulation.ts";

/** What the checks look at, whatever its work. */
export type Simulated = Pick<
	Simulation,
	"behaviours" | "hosts" | "live" | "partitions" | "partitionsOf" | "processes" | "storage" | "time"
>;

/** Actors of each partition for which `verify` is asked too. */
const VERIFIED_MAX = 3;
/** Virtual milliseconds that a checkpoint may take when everything is quiet. */
const CHECKPOINT_MS_MAX = 10_000;

/** A partition folded from nothing, by the log alone. */
export interface Fold {
	readonly id: PartitionId;
	readonly actors: Map<string, Actor>;
	/** What the effects of its records must have put into other mailboxes: origin and receiver. */
	readonly outputs: { readonly origin: string; readonly to: string; readonly mayBeMissing: boolean }[];
	/** Origins of the records that count, repeats left out. */
	readonly received: Set<string>;
	readonly failed: Set<number>;
	/** How often a message under an id was taken, by receiver and id. */
	readonly taken: Map<string, number>;
	readonly messages: Message[];
}

export function foldsOf(simulation: Simulated): Fold[] {
	const behaviours = new Map(simulation.behaviours.map((behaviour) => [behaviour.type, behaviour]));
	return MAILBOX_TOPICS.flatMap((topic) => simulation.partitionsOf(topic)).map((id) =>
		foldPartition(simulation, behaviours, id),
	);
}

export async function commonChecks(simulation: Simulated, folds: readonly Fold[]): Promise<string[]> {
	return [
		...outputsAreThoseOfTheFold(simulation, folds),
		...deadLettersAreTheFailures(simulation, folds),
		...simulation.processes.flatMap(({ name, log, alive }) =>
			alive ? log.ownerErrors.map((error) => `${name} stopped a partition: ${(error as Error).stack}`) : [],
		),
		...(await liveStatesAreTheFold(simulation, folds)),
	];
}

function foldPartition(
	simulation: Simulated,
	behaviours: ReadonlyMap<string, Behaviour>,
	id: PartitionId,
): Fold {
	const folded: Fold = {
		id,
		actors: new Map(),
		outputs: [],
		received: new Set(),
		failed: new Set(),
		taken: new Map(),
		messages: [],
	};
	const watermarks = new Watermarks();
	for (const record of simulation.storage.all(id)) foldRecord(folded, record, watermarks, behaviours);
	return folded;
}

function foldRecord(
	folded: Fold,
	record: LogRecord,
	watermarks: Watermarks,
	behaviours: ReadonlyMap<string, Behaviour>,
): void {
	if (newOwnerIn(record) !== undefined) return;
	const message = messageOf(record);
	if ("unreadable" in message || !message.origin) throw new Error(`record ${record.offset} is unreadable`);
	if (watermarks.seen(message.origin, record.offset)) return;
	folded.received.add(originText(message));
	folded.messages.push(message);
	let actor = folded.actors.get(message.to);
	if (!actor) {
		actor = Actor.fresh(message.to, behaviours.get(typeOf(message.to)) as Behaviour);
		folded.actors.set(message.to, actor);
	}
	let effects: readonly Effect[] = [];
	try {
		effects = actor.receive(message);
	} catch {
		actor.fail(message);
		folded.failed.add(record.offset);
	}
	const id = message.facts?.[ID_FACT];
	if (id !== undefined && !folded.failed.has(record.offset) && !effects.some(isRepeat)) {
		const key = takenKey(message.to, id);
		folded.taken.set(key, (folded.taken.get(key) ?? 0) + 1);
	}
	effects.forEach((effect, index) => {
		if (effect.type === "park") folded.failed.add(effect.message.offset);
		if (effect.type !== "tell" && effect.type !== "forward" && effect.type !== "post") return;
		const origin = `${partitionName(folded.id)}@${message.offset}.${index}`;
		folded.outputs.push({ origin, to: effect.to, mayBeMissing: message.expiresAt !== undefined });
	});
}

export function takenKey(address: string, id: string): string {
	return `${address} ${id}`;
}

function isRepeat(effect: Effect): boolean {
	return effect.type === "drop" && effect.reason === REPEATED_ID;
}

function originText({ origin }: Message): string {
	return origin ? `${origin.source}@${origin.major}.${origin.minor}` : "";
}

function* outputsAreThoseOfTheFold(simulation: Simulated, folds: readonly Fold[]) {
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
			const target = folds.find(({ id }) => isMailbox(simulation, id, to));
			if (!mayBeMissing && !target?.received.has(origin)) yield `output ${origin} never came to ${to}`;
		}
	}
}

function isMailbox({ behaviours, partitions }: Simulated, id: PartitionId, address: string): boolean {
	const topic = behaviours.find(({ type }) => type === typeOf(address))?.topic;
	return id.topic === topic && id.partition === partitionOf(address, partitions);
}

function* deadLettersAreTheFailures(simulation: Simulated, folds: readonly Fold[]) {
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

async function liveStatesAreTheFold(simulation: Simulated, folds: readonly Fold[]): Promise<string[]> {
	const problems: string[] = [];
	const owned: (() => Promise<void>)[] = [];
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
		owned.push(async () => {
			if (!(await isWritten(partition.checkpoint(), simulation))) {
				problems.push(`the checkpoint of ${partitionName(id)} does not come to its end`);
				return;
			}
			const snapshots = disk.open();
			const { behaviours } = owner.node;
			const parts = { log: owner.log, snapshots, behaviours, partitions: simulation.partitions };
			// Frames and queries alone leave no history to verify; and each verification folds the partition anew.
			const changed = [...actors].filter(([, { offset }]) => offset >= 0);
			for (const [address] of changed.slice(0, VERIFIED_MAX)) {
				const found = await verify(parts, address);
				if (!found.ok) problems.push(`verify ${address}: ${found.reason} at ${found.path}`);
			}
		});
	}
	// Only now: time goes on for it, and with it what recurs for ever.
	for (const verified of owned) await verified();
	return problems;
}

async function isWritten(checkpoint: Promise<void>, { time }: Simulated): Promise<boolean> {
	let isDone = false;
	void checkpoint.then(() => {
		isDone = true;
	});
	for (let ms = 0; !isDone && ms < CHECKPOINT_MS_MAX; ms += 100) await time.advance(100);
	return isDone;
}

function plain(actor: Actor): unknown {
	const { offset, state, timers } = actor.snapshot();
	const byId = timers.map((timer) => [timer.id, timer] as const);
	return { offset, state: JSON.parse(state), timers: Object.fromEntries(byId) };
}
