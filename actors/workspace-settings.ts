/**
 * What a workspace keeps beside members and services: environment variables, bookmarks, revoked tokens.
 * Owns their bounds; variables and bookmarks live in the record's `config`, where clients look for them.
 */
import { deniedText, may } from "./permission.ts";
import { Refusal } from "./refusal.ts";
import { announceTo, type SystemEvent } from "./workspace-events.ts";
import {
	isMap,
	plain,
	recordFor,
	WORKSPACE_RECORD_CHARACTERS_MAX,
	type WorkspaceRecord,
} from "./workspace-record.ts";
import {
	answer,
	type BookmarkEvent,
	type Caller,
	type Outcome,
	type RevokeEvent,
	type SetEnvEvent,
	type WorkspaceContext,
	type WorkspaceEffect,
} from "./workspace-state.ts";
import { get, put, size, type Table, without } from "./workspace-table.ts";

/** Revoked tokens that have not expired yet. */
export const REVOKED_TOKENS_MAX = 10_000;
export const BOOKMARKS_MAX = 1_000;

export function setEnv(context: WorkspaceContext, { key, value, caller, meta }: SetEnvEvent): Outcome {
	const record = writable(context, caller);
	if (typeof key !== "string" || key === "") throw new Refusal("ValueError: key must be a non-empty string");
	if (value !== null && typeof value !== "string")
		throw new Refusal("ValueError: value must be a string or null");
	const before = environment(record);
	const environs = value === null ? without(before, key) : put(before, key, value);
	return changed(context, { ...record, config: { ...record.config, environs } }, meta);
}

export function environment(record: WorkspaceRecord): Table<string> {
	const { environs } = record.config;
	return isMap(environs) ? (environs as Table<string>) : {};
}

export function addBookmark(context: WorkspaceContext, { item, caller, meta }: BookmarkEvent): Outcome {
	const record = writable(context, caller);
	const bookmark = checkBookmark(item);
	const others = bookmarks(record).filter((other) => !sameBookmark(other, bookmark));
	if (others.length >= BOOKMARKS_MAX) throw new Refusal(`RuntimeError: At most ${BOOKMARKS_MAX} bookmarks`);
	const config = { ...record.config, bookmarks: [...others, bookmark] };
	return changed(context, { ...record, config }, meta);
}

export function removeBookmark(context: WorkspaceContext, { item, caller, meta }: BookmarkEvent): Outcome {
	const record = writable(context, caller);
	const bookmark = checkBookmark(item);
	const before = bookmarks(record);
	const rest = before.filter((other) => !sameBookmark(other, bookmark));
	if (rest.length === before.length) return { effects: answer(meta, null) };
	return changed(context, { ...record, config: { ...record.config, bookmarks: rest } }, meta);
}

/** Works without a record too: a token can be revoked before its workspace is first used. */
export function revokeToken(context: WorkspaceContext, { hash, expiresAt, meta }: RevokeEvent): Outcome {
	const still = Object.entries(context.revoked).filter(([, expiry]) => expiry > meta.timestamp);
	const revoked = put(Object.fromEntries(still), hash, expiresAt);
	if (size(revoked) > REVOKED_TOKENS_MAX) {
		throw new Refusal(`RuntimeError: At most ${REVOKED_TOKENS_MAX} unexpired tokens can be revoked`);
	}
	return { change: { revoked }, effects: answer(meta, null) };
}

/** No caller: another workspace speaks, which checked its own. Throws Refusal. */
export function writable(context: WorkspaceContext, caller: Caller | undefined): WorkspaceRecord {
	const { record, name } = context;
	if (!record) throw new Refusal(`KeyError: 'Workspace not found: ${name}'`);
	if (caller && !may("settings.write", caller.user, record)) throw new Refusal(deniedText(name));
	return record;
}

/** The record is kept and told to subscribers; `value` answers whoever changed it. Throws Refusal. */
export function changed(
	context: WorkspaceContext,
	next: WorkspaceRecord,
	meta: SetEnvEvent["meta"],
	value: unknown = null,
): Outcome {
	const record = plain(next, `workspace ${context.name}`, WORKSPACE_RECORD_CHARACTERS_MAX);
	const events = announceRecord(context, "workspace_changed", record);
	return { change: { record }, effects: [...events, ...answer(meta, value)] };
}

/** To every subscriber as much of the record as it may see. */
export function announceRecord(
	context: WorkspaceContext,
	event: SystemEvent,
	record: WorkspaceRecord,
): readonly WorkspaceEffect[] {
	return announceTo(context, event, (client) => {
		const member = get(context.members, client);
		return member ? recordFor(record, member.user) : null;
	});
}

interface Bookmark {
	readonly bookmark_type: "workspace" | "service";
	readonly id: string;
}

function checkBookmark(item: unknown): Bookmark {
	if (isMap(item) && typeof item["id"] === "string") {
		const kind = item["bookmark_type"];
		if (kind === "workspace" || kind === "service") return item as unknown as Bookmark;
	}
	throw new Refusal("ValueError: a bookmark is {bookmark_type: 'workspace' or 'service', id}");
}

function bookmarks(record: WorkspaceRecord): readonly Bookmark[] {
	const { bookmarks: list } = record.config;
	return Array.isArray(list) ? list : [];
}

function sameBookmark(one: Bookmark, other: Bookmark): boolean {
	return one.id === other.id && one.bookmark_type === other.bookmark_type;
}
