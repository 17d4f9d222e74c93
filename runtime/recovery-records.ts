/**
 * The records by which operators change actors outside their behaviours: rebuilt, restored, imported. Owns their types and
 * forms; they lie in the mailbox like every message, so that each fold takes them at the same place (actor.ts).
 */
import { decode, encode } from "@msgpack/msgpack";
import { MycelogError } from "../persistence/errors.ts";
import type { StoredTimer } from "../persistence/snapshots.ts";
import type { Address } from "./address.ts";
import type { Behaviour } from "./behaviour.ts";
import { INTERVENTIONS } from "./failures.ts";
import { type Draft, eventOf, type Message, type MessageKind, messageOf } from "./message.ts";
import type { Reason } from "./reason.ts";

/** Begins the types of events that only the runtime and operators send. */
export const OWN_PREFIX = "mycelog.";
/** Fold the actor anew: asked for. Changes nothing by itself. */
export const REBUILD = "mycelog.rebuild";
/** From its owner: what was folded anew takes the place of what was in memory, as of this record. */
export const REBUILT = "mycelog.rebuilt";
/** The state is another one from here on. */
export const RESTORE = "mycelog.restore";
/** A message of this actor in another log: folded, without its effects. */
export const IMPORTED = "mycelog.imported";

const TYPES: ReadonlySet<string> = new Set([REBUILD, REBUILT, RESTORE, IMPORTED]);

export interface RebuildRecord extends Reason {
	/** It was done already, on stopped data: a note of it. */
	readonly stored?: true;
	/** From the stored snapshot on, not from the first message. */
	readonly snapshot?: boolean;
}

export interface RebuiltRecord {
	/** Offset of the newest `rebuild` that this one answers. */
	readonly request: number;
	/** Why it was not done; undefined: it was. */
	readonly refused?: string;
	/** It was folded from the stored snapshot on. */
	readonly snapshot?: boolean;
}

export interface RestoreRecord extends Reason {
	/** Offset of the actor's last message when it was decided. Absent: whatever came since is accepted. */
	readonly base?: number;
	/** Of the behaviour that made the state. */
	readonly version: number;
	/** As the behaviour encodes it. */
	readonly state: string;
	readonly timers: readonly StoredTimer[];
	/** What was changed in the history to come to this state, for people. */
	readonly edits: readonly unknown[];
}

/** A message to be taken by actor.ts itself. Throws where an actor sent it. */
export function isRecovery({ type, from }: Message): boolean {
	if (!TYPES.has(type)) return false;
	if (from === undefined) return true;
	throw new TypeError(`${type} is no event for actors`);
}

export function rebuildDraft(to: Address, record: RebuildRecord): Draft {
	return draft(to, REBUILD, record);
}

export function rebuiltDraft(to: Address, record: RebuiltRecord): Draft {
	return draft(to, REBUILT, record);
}

export function restoreDraft(to: Address, record: RestoreRecord): Draft {
	return draft(to, RESTORE, record);
}

function draft(to: Address, type: string, fields: object): Draft {
	return { to, kind: "command", type, body: encode(fields, { ignoreUndefined: true }) };
}

/** One that its owner has to carry out. */
export function isRebuild(message: Message): boolean {
	return message.type === REBUILD && message.from === undefined && rebuildIn(message).stored === undefined;
}

export function rebuiltIn(message: Message): RebuiltRecord {
	return eventOf(message) as unknown as RebuiltRecord;
}

export function rebuildIn(message: Message): RebuildRecord {
	return eventOf(message) as unknown as RebuildRecord;
}

/** Its actor was folded from the first message on: a state from before this record does not lead to what it is since. */
export function isWholeRebuild(message: Message): boolean {
	const { type, from } = message;
	if (from !== undefined || (type !== REBUILT && type !== REBUILD)) return false;
	if (type === REBUILD) {
		const { stored, snapshot } = rebuildIn(message);
		return stored === true && !snapshot;
	}
	const { refused, snapshot } = rebuiltIn(message);
	return refused === undefined && !snapshot;
}

export function restoreIn(message: Message): RestoreRecord {
	return eventOf(message) as unknown as RestoreRecord;
}

/**
 * The state that a record brings, as one of this machine. Throws `actor.version-mismatch`; within one version a machine
 * may have other states than before, and what it cannot place makes `decode` throw.
 */
export function restoredState({ version, state }: RestoreRecord, behaviour: Behaviour): unknown {
	if (version === behaviour.version) return behaviour.decode(state);
	const migrated: unknown = behaviour.restore?.(state);
	if (migrated !== undefined) return migrated;
	const text = `a restored state of ${behaviour.type} version ${version} is not one of version ${behaviour.version}, and nothing migrates it`;
	throw new MycelogError("actor.version-mismatch", text, { found: version, required: behaviour.version });
}

/** The envelope of a message in the log it comes from. */
export interface OriginalMessage {
	readonly offset: number;
	readonly timestamp: number;
	readonly headers: Readonly<Record<string, string>>;
	readonly body: Uint8Array;
}

/** Of the import that brought a message, its place there, and by whom and why that was done. */
export interface ImportNote extends Reason {
	/** Checksum of the file. */
	readonly id: string;
	/** Counts from 1. */
	readonly line: number;
	/** A restore that was refused there: it is so here. */
	readonly inert?: boolean;
}

export function importedDraft(to: Address, original: OriginalMessage, note: ImportNote): Draft {
	return draft(to, IMPORTED, { ...original, import: note });
}

/** As it was in the other log, for this actor, and what is known of its coming here. */
export function importedIn(message: Message): { readonly original: Message; readonly note: ImportNote } {
	const { buffer, byteOffset, length } = message.body;
	const fields = decode(new Uint8Array(buffer, byteOffset, length)) as OriginalMessage & {
		readonly import: ImportNote;
	};
	const { offset, timestamp, headers, body: value, import: note } = fields;
	const original = messageOf({ key: message.to, offset, timestamp, headers, value });
	if ("unreadable" in original)
		throw new TypeError(`the imported message is unreadable: ${original.unreadable}`);
	return { original, note };
}

/** What operators do to actors: for those who ask later who did what. Of an import only its beginning. */
export function isIntervention(message: Message): boolean {
	const { kind, type, from } = message;
	if (kind !== "command" || from !== undefined || !type.startsWith(OWN_PREFIX)) return false;
	if (type !== IMPORTED) return TYPES.has(type) || isPause(type);
	try {
		return importedIn(message).note.line === 1;
	} catch {
		return false;
	}
}

/** Kinds that are part of an actor's history. */
export function isHistory(kind: MessageKind): boolean {
	return kind === "command" || kind === "timer";
}

/** Looked up when asked: this module and that of the interventions lead to each other. */
function isPause(type: string): boolean {
	return Object.values<string>(INTERVENTIONS).includes(type);
}
