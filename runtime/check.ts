/**
 * Folds stored histories with another machine and finds the actors that would not be what they are. Owns the verdict of
 * each actor; writes nothing, carries out no effect. One actor against its own machine is verify.ts.
 */
import { MycelogError } from "../persistence/errors.ts";
import { type PartitionId, partitionName, type ReadableLog } from "../persistence/log.ts";
import type { SnapshotStore, StoredSnapshot } from "../persistence/snapshots.ts";
import { Actor } from "./actor.ts";
import { type Address, typeOf } from "./address.ts";
import type { Behaviour, Behaviours } from "./behaviour.ts";
import type { DeadLetter } from "./dead-letters.ts";
import { firstDifference } from "./difference.ts";
import { scan } from "./fold.ts";
import { type Message, messageOf } from "./message.ts";
import { mailboxesOf, type OperatorParts, type ScanProgress } from "./operator.ts";
import { DEAD_LETTERS_TOPIC } from "./topics.ts";
import { Watermarks } from "./watermarks.ts";

/** Of `checkHistories`. */
export interface CheckOptions {
	/** Milliseconds since 1970: only actors with a message since then, and what these messages do. Default: all. */
	readonly since?: number;
	/** The machines that the histories were made by: compared after every message, instead of with what is stored. */
	readonly against?: Behaviours;
	readonly onProgress?: (progress: ScanProgress) => void;
}

/**
 * - `fails`: the machine throws at a message that it did not fail at before.
 * - `differs`: its state is another one; without `against` that is seen where the stored one was last changed.
 * - `migration`: the stored state cannot be made one of this machine.
 * - `corrupt`: the stored snapshot does not match its checksum: nothing to compare with.
 */
export type CheckReason = "fails" | "differs" | "migration" | "corrupt";

/** The first place at which an actor would not be what it is. */
export interface CheckFinding {
	readonly reason: CheckReason;
	/** Of the message after which it was found. */
	readonly offset: number;
	/** Milliseconds since 1970 at which that was appended. */
	readonly timestamp: number;
	/** Type of that message. */
	readonly type: string;
	readonly error?: string;
	/** The first place that differs, in what was before and in what this machine makes. */
	readonly path?: string;
	readonly before?: unknown;
	readonly after?: unknown;
}

/** One history that was folded with the new machine. */
export interface CheckedActor {
	readonly address: Address;
	/** `topic/partition` of its mailbox. */
	readonly partition: string;
	/** Commands and timers folded. */
	readonly records: number;
	/** There was a state to compare with. */
	readonly compared: boolean;
	/** Undefined: it folds to what it was. */
	readonly finding: CheckFinding | undefined;
}

/**
 * Every actor of the types in `behaviours`, partition after partition; the actors of one partition are in memory at
 * once. Rejects with `log.offset-trimmed` where the log no longer keeps a partition's beginning.
 */
export async function* checkHistories(
	parts: OperatorParts,
	{ since = Number.NEGATIVE_INFINITY, against, onProgress }: CheckOptions = {},
): AsyncGenerator<CheckedActor> {
	const { log, behaviours } = parts;
	const partitions = await wholeMailboxes(parts);
	const total = partitions.reduce((sum, { end }) => sum + end, 0);
	let scanned = 0;
	for (const { id, end } of partitions) {
		const failedBefore = against ? undefined : await failuresKnown(log, id);
		const folds = new Map<Address, HistoryCheck>();
		const watermarks = new Watermarks();
		for await (const page of scan(log, id, 0, end)) {
			for (const record of page) {
				const message = messageOf(record);
				if ("unreadable" in message) continue;
				if (message.origin && watermarks.seen(message.origin, message.offset)) continue;
				if (message.kind !== "command" && message.kind !== "timer") continue;
				const behaviour = behaviours.get(typeOf(message.to));
				if (behaviour?.topic !== id.topic) continue;
				const known = folds.get(message.to);
				const fold =
					known ?? new HistoryCheck(message.to, behaviour, { ...parts, against, since, failedBefore });
				if (!known) folds.set(message.to, fold);
				fold.take(message);
			}
			onProgress?.({ scanned: scanned + (page.at(-1)?.offset ?? 0) + 1, total });
		}
		scanned += end;
		const partition = partitionName(id);
		for (const fold of folds.values()) {
			fold.end();
			const { address, records, compared, finding } = fold;
			if (fold.isRecent) yield { address, partition, records, compared, finding };
		}
	}
}

async function wholeMailboxes(parts: OperatorParts): Promise<{ id: PartitionId; end: number }[]> {
	const found: { id: PartitionId; end: number }[] = [];
	for (const id of mailboxesOf(parts)) {
		const { start, end } = await parts.log.bounds(id);
		if (start > 0) {
			const text = `${partitionName(id)} starts at offset ${start}: the history before it is gone, and with it what could be checked`;
			throw new MycelogError("log.offset-trimmed", text, { partition: partitionName(id), start });
		}
		found.push({ id, end });
	}
	return found;
}

/** Offsets at which the machine of then failed: another one may do so too. */
async function failuresKnown(
	log: ReadableLog,
	{ topic, partition }: PartitionId,
): Promise<ReadonlySet<number>> {
	const letters = { topic: DEAD_LETTERS_TOPIC, partition };
	const { start, end } = await log.bounds(letters);
	const known = new Set<number>();
	for await (const page of scan(log, letters, start, end)) {
		for (const { value } of page) {
			const letter = JSON.parse(Buffer.from(value).toString()) as DeadLetter;
			if (letter.topic === topic && letter.output === undefined) known.add(letter.offset);
		}
	}
	return known;
}

interface CheckParts {
	readonly snapshots?: SnapshotStore;
	readonly against: Behaviours | undefined;
	readonly since: number;
	readonly failedBefore: ReadonlySet<number> | undefined;
}

/** One actor on its way through its history. */
class HistoryCheck {
	readonly address: Address;
	readonly #behaviour: Behaviour;
	readonly #parts: CheckParts;
	readonly #actor: Actor;
	readonly #old: Actor | undefined;
	/** What is stored, until it has been compared. */
	#stored: StoredSnapshot | undefined;
	#last: Message | undefined;
	isRecent = false;
	records = 0;
	compared = false;
	finding: CheckFinding | undefined;

	constructor(address: Address, behaviour: Behaviour, parts: CheckParts) {
		this.address = address;
		this.#behaviour = behaviour;
		this.#parts = parts;
		this.#actor = Actor.fresh(address, behaviour);
		const old = parts.against?.get(behaviour.type);
		if (old) this.#old = Actor.fresh(address, old);
	}

	take(message: Message): void {
		const { since, failedBefore, against, snapshots } = this.#parts;
		if (!this.#last && !against) {
			const stored = storedOf(snapshots, this.address);
			if (stored === "corrupt") this.#find(message, { reason: "corrupt" });
			else this.#stored = stored;
		}
		const isRecent = message.timestamp >= since;
		this.isRecent ||= isRecent;
		if (this.#stored && message.offset > this.#stored.offset) this.#compareStored();
		this.#last = message;
		if (this.finding) return;
		this.records++;
		const failure = folded(this.#actor, message);
		const old = this.#old;
		const oldFailure = old && folded(old, message);
		if (!isRecent) return;
		const isNew = old ? !oldFailure : failedBefore?.has(failure?.offset ?? -1) !== true;
		if (failure && isNew) {
			const { name, message: text } = failure.error;
			this.#find(message, { reason: "fails", error: `${name}: ${text}` });
		} else if (old) this.#compare(message, contents(old.snapshot(), old.behaviour));
	}

	/** There are no more messages. */
	end(): void {
		if (this.#stored && !this.finding) this.#compareStored();
	}

	#compareStored(): void {
		const stored = this.#stored as StoredSnapshot;
		this.#stored = undefined;
		const last = this.#last;
		// Stored before the first message that the log has: of another log.
		if (!last) return;
		let adopted: Actor | undefined;
		try {
			adopted = Actor.adopt(stored, this.#behaviour);
		} catch (error) {
			this.#find(last, { reason: "migration", error: (error as Error).message });
			return;
		}
		this.#compare(last, contents(adopted?.snapshot() ?? stored, this.#behaviour));
	}

	#compare(message: Message, before: unknown): void {
		this.compared = true;
		const difference = firstDifference(before, contents(this.#actor.snapshot(), this.#behaviour));
		if (!difference) return;
		const { path, left, right } = difference;
		this.#find(message, { reason: "differs", path, before: left, after: right });
	}

	#find(
		{ offset, timestamp, type }: Message,
		what: Omit<CheckFinding, "offset" | "timestamp" | "type">,
	): void {
		this.finding = { ...what, offset, timestamp, type };
	}
}

interface Failure {
	readonly error: Error;
	/** Of the message that failed: one that was kept until now has an earlier one. */
	readonly offset: number;
}

/** As the live loop folds; undefined: the message was taken. */
function folded(actor: Actor, message: Message): Failure | undefined {
	try {
		const parked = actor.receive(message).find((effect) => effect.type === "park");
		return parked && { error: parked.cause, offset: parked.message.offset };
	} catch (error) {
		actor.fail(message);
		return { error: error as Error, offset: message.offset };
	}
}

function storedOf(
	snapshots: SnapshotStore | undefined,
	address: Address,
): StoredSnapshot | "corrupt" | undefined {
	try {
		return snapshots?.load(address);
	} catch (error) {
		if (MycelogError.is(error, "snapshot.corrupt")) return "corrupt";
		throw error;
	}
}

/** State and deadlines as plain data, without what says which machine's they are. */
function contents(
	{ state, timers }: Pick<StoredSnapshot, "state" | "timers">,
	behaviour: Behaviour,
): unknown {
	const plain = JSON.parse(state) as unknown;
	// Only those that judge their states by themselves write it into them.
	const { type: _type, version: _version, hash: _hash, ...fields } = plain as Record<string, unknown>;
	const deadlines = timers.map(({ id, at, event }) => [id, { at, event: JSON.parse(event) }] as const);
	return { state: behaviour.restore ? fields : plain, timers: Object.fromEntries(deadlines) };
}
