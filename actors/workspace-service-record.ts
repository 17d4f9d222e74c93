/**
 * The service record (services.md §2): completed and checked when registered, shown with care when read.
 * Owns its shape, visibility and what other workspaces may see of it.
 */
import { Refusal } from "./refusal.ts";
import { isMap, plain, text } from "./workspace-record.ts";
import type { Caller } from "./workspace-state.ts";

/** Characters of a record as JSON. Python's generated schemas have some tens of thousands. */
export const SERVICE_RECORD_CHARACTERS_MAX = 512 * 1024;
export const DESCRIPTION_CHARACTERS_MAX = 1_024;
export const BUILT_IN = "built-in";

const VISIBILITIES = ["public", "protected", "unlisted"] as const;
export type Visibility = (typeof VISIBILITIES)[number];

export interface ServiceConfig {
	readonly visibility: Visibility;
	readonly require_context: boolean | readonly string[];
	readonly workspace: string;
	readonly flags: readonly unknown[];
	/** No other client of the workspace may register this service id. */
	readonly singleton: boolean;
	readonly created_by: { readonly id: string };
	readonly service_embedding: null;
	/** Workspaces that may use a protected service. */
	readonly authorized_workspaces: readonly string[] | null;
	readonly [extra: string]: unknown;
}

export interface ServiceRecord {
	readonly config: ServiceConfig;
	/** `workspace/client:service`. */
	readonly id: string;
	readonly name: string;
	readonly type: string;
	readonly description: string | null;
	readonly docs: unknown;
	readonly app_id: string;
	readonly service_schema: unknown;
}

/** A complete record from what a client sent. Throws Refusal. */
export function serviceRecord(
	id: string,
	service: string,
	given: Record<string, unknown>,
	caller: Caller,
): ServiceRecord {
	const record: ServiceRecord = {
		config: configOf(given["config"] ?? {}, caller),
		id,
		name: text(given, "name") ?? service,
		type: text(given, "type") ?? "generic",
		description: text(given, "description"),
		docs: given["docs"] ?? null,
		app_id: text(given, "app_id") ?? "*",
		service_schema: given["service_schema"] ?? null,
	};
	if ((record.description?.length ?? 0) > DESCRIPTION_CHARACTERS_MAX) {
		throw new Refusal(`ValueError: description is longer than ${DESCRIPTION_CHARACTERS_MAX} characters`);
	}
	return plain(record, `service ${id}`, SERVICE_RECORD_CHARACTERS_MAX);
}

/** Upstream puts the whole user record of a `built-in` here, e-mail and scope, for everyone to read. */
function configOf(given: unknown, { workspace, user }: Caller): ServiceConfig {
	if (!isMap(given)) throw new Refusal("ValueError: config must be a map");
	const visibility = given["visibility"] ?? "protected";
	if (!isVisibility(visibility)) {
		throw new Refusal(
			`ValueError: Invalid visibility: ${String(visibility)}; use ${VISIBILITIES.join(", ")}`,
		);
	}
	const authorized = given["authorized_workspaces"] ?? null;
	if (authorized !== null) {
		if (visibility !== "protected") {
			throw new Refusal("ValueError: authorized_workspaces can only be set when visibility is 'protected'");
		}
		if (!isTextList(authorized))
			throw new Refusal("ValueError: authorized_workspaces must be a list of workspaces");
	}
	const requireContext = given["require_context"] ?? false;
	if (typeof requireContext !== "boolean" && !isTextList(requireContext)) {
		throw new Refusal("ValueError: require_context must be true, false or a list of method names");
	}
	return {
		...given,
		visibility,
		require_context: requireContext,
		workspace,
		flags: Array.isArray(given["flags"]) ? given["flags"] : [],
		singleton: given["singleton"] === true,
		created_by: { id: user.id },
		service_embedding: null,
		authorized_workspaces: authorized,
	};
}

/** May the caller have this service at all? `reader`: it has read permission on the service's workspace. */
export function isUsable(record: ServiceRecord, reader: boolean, caller: Caller): boolean {
	return reader || record.config.visibility !== "protected" || isAuthorized(record, caller);
}

/** May the caller see it in a list? */
export function isListed(
	record: ServiceRecord,
	reader: boolean,
	caller: Caller,
	includeUnlisted: boolean,
): boolean {
	switch (record.config.visibility) {
		case "public":
			return true;
		case "protected":
			return reader || isAuthorized(record, caller);
		case "unlisted":
			return reader && includeUnlisted;
	}
}

/** The record without what only its own workspace may know. */
export function shownTo(record: ServiceRecord, reader: boolean): ServiceRecord {
	if (reader || record.config.authorized_workspaces === null) return record;
	return { ...record, config: { ...record.config, authorized_workspaces: null } };
}

function isAuthorized({ config }: ServiceRecord, { workspace }: Caller): boolean {
	return config.visibility === "protected" && (config.authorized_workspaces?.includes(workspace) ?? false);
}

function isVisibility(value: unknown): value is Visibility {
	return VISIBILITIES.includes(value as Visibility);
}

function isTextList(value: unknown): value is readonly string[] {
	return Array.isArray(value) && value.every((item) => typeof item === "string");
}
