/**
 * The workspace record as clients see it (services.md §7): its fields and its short form.
 * Owns checking and completing what clients send; who may change a record is decided elsewhere.
 */
import { may } from "./permission.ts";
import { Refusal } from "./refusal.ts";
import type { User } from "./user.ts";
import { without } from "./workspace-table.ts";

/** Characters of a record as JSON: it is sent whole with every change. */
export const WORKSPACE_RECORD_CHARACTERS_MAX = 64 * 1024;

export interface WorkspaceRecord {
	readonly type: "workspace";
	readonly id: string;
	readonly name: string;
	readonly description: string | null;
	/** Outlives its last member. */
	readonly persistent: boolean;
	/** User ids or e-mail addresses. */
	readonly owners: readonly string[];
	readonly read_only: boolean;
	readonly icon: string | null;
	readonly covers: unknown;
	readonly docs: unknown;
	readonly service_types: Readonly<Record<string, unknown>>;
	readonly config: Readonly<Record<string, unknown>>;
	readonly status: Readonly<Record<string, unknown>> | null;
}

/** What listings show. */
export type WorkspaceSummary = Pick<
	WorkspaceRecord,
	"id" | "name" | "description" | "read_only" | "persistent" | "owners"
>;

const READY = { ready: true, errors: null } as const;

export function summaryOf(record: WorkspaceRecord): WorkspaceSummary {
	const { id, name, description, read_only, persistent, owners } = record;
	return { id, name, description, read_only, persistent, owners };
}

/** Variables often are secrets: who may only read does not see them. */
export function recordFor(record: WorkspaceRecord, user: User): WorkspaceRecord {
	if (!("environs" in record.config) || may("environment.read", user, record)) return record;
	return { ...record, config: without(record.config, "environs") };
}

/** A complete record from what a client or the gateway sent. Throws Refusal. */
export function workspaceRecord(id: string, given: Readonly<Record<string, unknown>>): WorkspaceRecord {
	const record: WorkspaceRecord = {
		type: "workspace",
		id,
		name: text(given, "name") ?? id,
		description: text(given, "description"),
		persistent: flag(given, "persistent"),
		owners: owners(given["owners"]),
		read_only: flag(given, "read_only"),
		icon: text(given, "icon"),
		covers: given["covers"] ?? null,
		docs: given["docs"] ?? null,
		service_types: map(given, "service_types"),
		config: map(given, "config"),
		status: READY,
	};
	return plain(record, `workspace ${id}`, WORKSPACE_RECORD_CHARACTERS_MAX);
}

/**
 * The value as a snapshot will give it back, so that state in memory and state from disk are equal.
 * Throws Refusal where it is too long.
 */
export function plain<T>(value: T, what: string, charactersMax: number): T {
	const json = JSON.stringify(value);
	if (json.length > charactersMax) {
		throw new Refusal(
			`ValueError: ${what} is too large: ${json.length} characters, at most ${charactersMax}`,
		);
	}
	return JSON.parse(json);
}

/** Throws for what is there and no text. */
export function text(given: Readonly<Record<string, unknown>>, key: string): string | null {
	const value = given[key] ?? null;
	if (value !== null && typeof value !== "string") throw new Refusal(`ValueError: ${key} must be a string`);
	return value;
}

function flag(given: Readonly<Record<string, unknown>>, key: string): boolean {
	const value = given[key] ?? false;
	if (typeof value !== "boolean") throw new Refusal(`ValueError: ${key} must be true or false`);
	return value;
}

function map(given: Readonly<Record<string, unknown>>, key: string): Readonly<Record<string, unknown>> {
	const value = given[key] ?? {};
	if (!isMap(value)) throw new Refusal(`ValueError: ${key} must be a map`);
	return value;
}

function owners(value: unknown): readonly string[] {
	const list = value ?? [];
	if (!Array.isArray(list) || list.some((owner) => typeof owner !== "string")) {
		throw new Refusal("ValueError: owners must be a list of user ids");
	}
	return [...new Set(list as string[])];
}

export function isMap(value: unknown): value is Record<string, unknown> {
	return (
		typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
	);
}
