/**
 * Brings histories of another environment into mailboxes here, as imported messages: each is folded at its place, and its
 * effects are not carried out, which they were where it comes from. Owns the checks before anything is written, and going
 * on where an import was broken off.
 */

import { MycelogError } from "../persistence/errors.ts";
import { HistoryIndexStore } from "../persistence/history-index.ts";
import { oversizeError } from "../persistence/log.ts";
import { Actor } from "./actor.ts";
import type { Address } from "./address.ts";
import { firstDifference } from "./difference.ts";
import { linesOf, type MessageLine, type StateLine } from "./history-file.ts";
import { HistoryIndex } from "./history-index.ts";
import { type Draft, messageOf } from "./message.ts";
import { mailboxOf, type OperatorParts, type ScanProgress, type WritableParts } from "./operator.ts";
import { mustSayWhy, type Reason } from "./reason.ts";
import { IMPORTED, type ImportNote, importedDraft, importedIn } from "./recovery-records.ts";

/** Messages on their way into the log at once. */
const APPENDED_TOGETHER = 500;

/** Where to, and how strictly. */
export interface ImportOptions extends Reason {
	/** The address here, of a file with one actor. Default: that of the file. */
	readonly into?: Address | undefined;
	/** Import also where these machines make another state of it. */
	readonly acceptDifferent?: boolean | undefined;
	/** Check all, write nothing. */
	readonly dryRun?: boolean | undefined;
	readonly onProgress?: ((progress: ScanProgress) => void) | undefined;
}

/** One actor of the file. */
export interface Imported {
	readonly address: Address;
	/** Address in the file. */
	readonly from: Address;
	/** Of its history in the file. */
	readonly messages: number;
	/** Of these, here already by an earlier import of the same file. */
	readonly before: number;
}

/**
 * `open` gives the file's lines, from the start, each time. Rejects, nothing written, with `recovery.invalid-file`,
 * `recovery.has-history`, `recovery.incompatible-machine`, `actor.unknown-type`, `log.record-too-large`.
 */
export async function importHistories(
	parts: WritableParts,
	open: () => AsyncIterable<string>,
	options: ImportOptions,
): Promise<Imported[]> {
	mustSayWhy(options);
	const { by, why, into, dryRun = false, onProgress } = options;
	const { id, actors } = await checked(parts, open(), options);
	const index = parts.index ?? new HistoryIndex(new HistoryIndexStore(), "");
	const found: Imported[] = [];
	for (const { address: from, messages } of actors.values()) {
		const address = into ?? from;
		found.push({
			address,
			from,
			messages,
			before: await alreadyHere(parts, index, address, { id, messages }),
		});
	}
	if (dryRun) return found;
	const here = new Map(found.map((one) => [one.from, one]));
	const total = found.reduce((sum, { messages }) => sum + messages, 0);
	const written = new Map<Address, number>();
	let scanned = 0;
	let group: Draft[] = [];
	const append = async (): Promise<void> => {
		const drafts = group;
		group = [];
		// In order: what goes to one mailbox is never overtaken on its way.
		await Promise.all(drafts.map((draft) => parts.append(draft)));
		scanned += drafts.length;
		onProgress?.({ scanned, total });
	};
	for await (const line of linesOf(open())) {
		if (!("body" in line)) continue;
		const one = here.get(line.address) as Imported;
		const number = (written.get(line.address) ?? 0) + 1;
		written.set(line.address, number);
		if (number <= one.before) continue;
		group.push(draftOf(line, one.address, { by, why, id, line: number }));
		if (group.length === APPENDED_TOGETHER) await append();
	}
	await append();
	return found;
}

interface FileActor {
	readonly address: Address;
	readonly actor: Actor;
	messages: number;
	state?: StateLine["state"];
}

/** The whole file: its checksum, that every message can be written, and what these machines make of it. */
async function checked(
	parts: WritableParts,
	lines: AsyncIterable<string>,
	{ into, by, why, acceptDifferent = false }: ImportOptions,
): Promise<{ id: string; actors: ReadonlyMap<Address, FileActor> }> {
	const actors = new Map<Address, FileActor>();
	const reading = linesOf(lines);
	let next = await reading.next();
	for (; !next.done; next = await reading.next()) {
		const line = next.value;
		if ("body" in line) {
			const known = actors.get(line.address) ?? fileActor(parts, line.address, into ?? line.address);
			actors.set(line.address, known);
			known.messages++;
			// A checksum is as long as the real one.
			const note = { by, why, id: "0".repeat(64), line: known.messages };
			const draft = draftOf(line, known.actor.address, note);
			const tooLarge = oversizeError([{ value: draft.body } as never], parts.log.maxRecordBytes);
			if (tooLarge) throw tooLarge;
			take(known.actor, draft, line);
		} else if ("state" in line) {
			const known = actors.get(line.state.address);
			if (known) known.state = line.state;
		}
	}
	if (into !== undefined && actors.size !== 1) {
		throw new MycelogError(
			"config.invalid-value",
			`--into needs a file with one actor; this one has ${actors.size}`,
		);
	}
	// Another address may be part of the state, which then cannot be the same.
	if (!acceptDifferent && into === undefined) for (const one of actors.values()) mustBeEqual(one);
	return { id: next.value, actors };
}

function fileActor(parts: OperatorParts, address: Address, here: Address): FileActor {
	const { behaviour } = mailboxOf(parts, here);
	const type = (of: Address) => of.slice(0, of.indexOf("/"));
	if (type(address) !== type(here)) {
		const text = `a history of ${address} cannot be imported into ${here}, which is of another type`;
		throw new MycelogError("config.invalid-value", text);
	}
	return { address, actor: Actor.fresh(here, behaviour), messages: 0 };
}

/** As the mailbox here will give it. */
function take(actor: Actor, { to, body, type }: Draft, { offset, time }: MessageLine): void {
	const headers = { "~v": "1", "~k": "c", "~t": type };
	const record = { key: to, value: body, headers, timestamp: Date.parse(time), offset };
	const message = messageOf(record);
	if ("unreadable" in message) throw new MycelogError("recovery.invalid-file", message.unreadable);
	try {
		actor.receive(message);
	} catch (cause) {
		const text = `the message of ${to} at offset ${offset} of the file cannot be read: ${(cause as Error).message}`;
		throw new MycelogError("recovery.invalid-file", text, {}, { cause });
	}
}

function mustBeEqual({ address, actor, messages, state: there }: FileActor): void {
	if (!there || there.messages !== messages) {
		throw new MycelogError("recovery.invalid-file", `the state of ${address} at the end is missing`);
	}
	const here = actor.snapshot();
	const plain = ({ state, timers }: Pick<StateLine["state"], "state" | "timers">) => {
		const { version: _, hash: _hash, ...fields } = JSON.parse(state) as Record<string, unknown>;
		return { state: fields, timers: Object.fromEntries(timers.map((timer) => [timer.id, timer])) };
	};
	const difference = firstDifference(plain(there), plain(here));
	if (!difference) return;
	const { path, left, right } = difference;
	const text = `the machine here (version ${here.version}) makes another ${address} of its history than the one there (version ${there.version}): ${path} is ${JSON.stringify(right)} instead of ${JSON.stringify(left)}`;
	throw new MycelogError("recovery.incompatible-machine", text, { address, path });
}

function draftOf({ offset, time, headers, body, inert }: MessageLine, to: Address, note: ImportNote): Draft {
	const value = new Uint8Array(Buffer.from(body, "base64"));
	const original = { offset, timestamp: Date.parse(time), headers, body: value };
	return importedDraft(to, original, inert ? { ...note, inert } : note);
}

/** How many messages of this file the actor has; any other history of its own is refused. */
async function alreadyHere(
	parts: OperatorParts,
	index: HistoryIndex,
	address: Address,
	{ id, messages }: { readonly id: string; readonly messages: number },
): Promise<number> {
	const { partition } = mailboxOf(parts, address);
	const { start, end } = await parts.log.bounds(partition);
	await index.extend(parts.log, partition, end);
	let count = 0;
	let other: number | undefined;
	const range = { from: start, before: end, everything: false };
	for await (const page of index.messages(parts.log, partition, address, range)) {
		for (const { message, repeat } of page) {
			if (repeat) continue;
			const note = message.type === IMPORTED ? importedIn(message).note : undefined;
			if (note?.id === id && note.line === count + 1) count++;
			else if (note?.id !== id) other ??= message.offset;
		}
	}
	// All of it is here: what the actor did since is no hindrance.
	if (other !== undefined && count < messages) throw hasHistory(address, other);
	return count;
}

function hasHistory(address: Address, offset: number): MycelogError {
	const text = `${address} has a history of its own here (offset ${offset}): nothing was imported`;
	return new MycelogError("recovery.has-history", text, { address, offset });
}
