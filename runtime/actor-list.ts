/**
 * Which actors there are and in which state: the snapshots, brought up to date with the log's tail.
 * Owns the merge of the two; reading one actor closely is history.ts and replay.ts.
 */
import { MycelogError } from "../persistence/errors.ts";
import type { PartitionId } from "../persistence/log.ts";
import { Actor } from "./actor.ts";
import { type Address, typeOf } from "./address.ts";
import type { Behaviour } from "./behaviour.ts";
import { scan } from "./fold.ts";
import { messageOf } from "./message.ts";
import { mailboxesOf, type OperatorParts, type ScanProgress } from "./operator.ts";
import { storedAddresses } from "./stored-addresses.ts";
import { Watermarks } from "./watermarks.ts";

/** Which actors to list. Default: all. */
export interface ActorsFilter {
	/** Only addresses that start with this. */
	readonly prefix?: string;
	/** Only actors of this type. */
	readonly type?: string;
	/** Only addresses with this in them. */
	readonly search?: string;
	/** Only addresses behind this one: the last of a page. */
	readonly after?: Address;
	readonly onProgress?: (progress: ScanProgress) => void;
}

/** An actor as lists show it. */
export interface ListedActor {
	readonly address: Address;
	/** Name of its state; undefined where `problem` says why it is not known. */
	readonly state: string | undefined;
	/** Offset of the last record that changed it. */
	readonly offset: number | undefined;
	/** The stored snapshot cannot be read; `verify` shows more. */
	readonly problem?: "corrupt" | "version" | "unknown-type";
	/** It takes no messages at present. */
	readonly paused?: true;
}

/**
 * By address, ascending. Holds one small entry for each actor with records after its partition's checkpoint;
 * without snapshots that is every actor of the log.
 */
export async function* actors(parts: OperatorParts, filter: ActorsFilter = {}): AsyncGenerator<ListedActor> {
	const { prefix = "", type, search = "", after = "" } = filter;
	const wanted = (address: Address) =>
		address.startsWith(prefix) &&
		(type === undefined || address.startsWith(`${type}/`)) &&
		address.includes(search) &&
		byCodePoint(address, after) > 0;
	const recent = await foldTails(parts, wanted, filter.onProgress);
	const tail = [...recent.keys()].sort(byCodePoint);
	let next = 0;
	const stored = { prefix: prefix || (type ? `${type}/` : ""), after };
	for (const address of parts.snapshots ? storedAddresses(parts.snapshots, stored) : []) {
		if (!wanted(address)) continue;
		while (next < tail.length && byCodePoint(tail[next] as Address, address) < 0) {
			yield recent.get(tail[next++] as Address) as ListedActor;
		}
		if (tail[next] === address) next++;
		yield recent.get(address) ?? listed(parts, address);
	}
	while (next < tail.length) yield recent.get(tail[next++] as Address) as ListedActor;
}

async function foldTails(
	parts: OperatorParts,
	wanted: (address: Address) => boolean,
	onProgress: ActorsFilter["onProgress"],
): Promise<Map<Address, ListedActor>> {
	const found = new Map<Address, ListedActor>();
	const mailboxes = mailboxesOf(parts);
	for (const [i, id] of mailboxes.entries()) {
		await foldTail(parts, id, wanted, found);
		onProgress?.({ scanned: i + 1, total: mailboxes.length });
	}
	return found;
}

async function foldTail(
	parts: OperatorParts,
	partition: PartitionId,
	wanted: (address: Address) => boolean,
	found: Map<Address, ListedActor>,
): Promise<void> {
	const { start, end } = await parts.log.bounds(partition);
	const checkpoint = parts.snapshots?.checkpoint(partition);
	const from = checkpoint && checkpoint.next >= start ? checkpoint.next : start;
	const watermarks = checkpoint ? Watermarks.decode(checkpoint.watermarks) : new Watermarks();
	const loaded = new Map<Address, Actor | ListedActor>();
	for await (const page of scan(parts.log, partition, from, end)) {
		for (const record of page) {
			const message = messageOf(record);
			if ("unreadable" in message) continue;
			if (message.origin && watermarks.seen(message.origin, record.offset)) continue;
			if (!wanted(message.to) || (message.kind !== "command" && message.kind !== "timer")) continue;
			const actor = loaded.get(message.to) ?? load(parts, message.to);
			loaded.set(message.to, actor);
			// A live node may have stored a newer row since the checkpoint was read.
			if (actor instanceof Actor && message.offset > actor.offset) fold(actor, message);
		}
	}
	for (const [address, actor] of loaded) found.set(address, actor instanceof Actor ? entry(actor) : actor);
}

function fold(actor: Actor, message: Parameters<Actor["receive"]>[0]): void {
	try {
		actor.receive(message);
	} catch {
		// As the live loop does, which parks the record.
		actor.fail(message);
	}
}

function listed(parts: OperatorParts, address: Address): ListedActor {
	const actor = load(parts, address);
	return actor instanceof Actor ? entry(actor) : actor;
}

function entry({ address, behaviour, state, offset }: Actor): ListedActor {
	const paused = behaviour.hold?.(state) ? ({ paused: true } as const) : undefined;
	return { address, state: behaviour.describe(state), offset, ...paused };
}

function load(parts: OperatorParts, address: Address): Actor | ListedActor {
	const problem = (why: NonNullable<ListedActor["problem"]>): ListedActor => {
		return { address, state: undefined, offset: undefined, problem: why };
	};
	const behaviour: Behaviour | undefined = parts.behaviours.get(typeOf(address));
	if (!behaviour) return problem("unknown-type");
	try {
		const stored = parts.snapshots?.load(address);
		if (!stored) return Actor.fresh(address, behaviour);
		return Actor.adopt(stored, behaviour) ?? problem("version");
	} catch (error) {
		if (MycelogError.is(error, "actor.version-mismatch")) return problem("version");
		if (MycelogError.is(error, "snapshot.corrupt")) return problem("corrupt");
		throw error;
	}
}

/** As SQLite orders text (by UTF-8 bytes), so that the two sources merge. */
function byCodePoint(left: string, right: string): number {
	return Buffer.compare(Buffer.from(left), Buffer.from(right));
}
