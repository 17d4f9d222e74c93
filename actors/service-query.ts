/**
 * The query of `list_services` (services.md §5.2): a workspace name, an id or a map, made into one form.
 * Owns the grammar; the manager sends it to the workspaces it names, each workspace matches its own services.
 */

import { matches } from "./glob.ts";
import { Refusal } from "./refusal.ts";
import { ID_CHARACTERS_MAX, parseServiceId, type ServiceId } from "./service-id.ts";
import { isMap } from "./workspace-record.ts";
import type { ServiceRecord } from "./workspace-service-record.ts";

/** Patterns; an absent one matches everything. */
export interface ServiceMatch {
	readonly client_id?: string;
	readonly service_id?: string;
	readonly type?: string;
	readonly app_id?: string;
	readonly visibility?: string;
}

export interface ServiceQuery {
	/** A name, or a pattern with `*`. */
	readonly workspace: string;
	readonly match: ServiceMatch;
}

const MATCH_KEYS = ["client_id", "service_id", "type", "app_id", "visibility"] as const;
const QUERY_KEYS = new Set<string>([...MATCH_KEYS, "id", "workspace"]);
/** Ids may hold dots; everything else would be a pattern language of its own. */
const VALUE = /^[A-Za-z0-9-_./|*:@]+$/;

/** Throws Refusal with upstream's words. */
export function parseServiceQuery(query: unknown, ownWorkspace: string): ServiceQuery {
	if (query === null || query === undefined) return { workspace: ownWorkspace, match: {} };
	if (typeof query === "string") return ofText(checked("query", query), ownWorkspace);
	if (!isMap(query)) throw new Refusal("ValueError: query must be a string, a map or null");
	const unknown = Object.keys(query).filter((key) => !QUERY_KEYS.has(key));
	if (unknown.length > 0) {
		throw new Refusal(`ValueError: Invalid query keys: {${unknown.map((key) => `'${key}'`).join(", ")}}`);
	}
	const parsed = ofMap(query, ownWorkspace);
	const { visibility } = parsed.match;
	if (parsed.workspace.includes("*") && visibility !== undefined && !matches(visibility, "public")) {
		throw new Refusal("AssertionError: Only public services can be listed across all workspaces.");
	}
	return parsed;
}

export function isMatch(
	{ match }: Pick<ServiceQuery, "match">,
	client: string,
	service: string,
	record: ServiceRecord,
) {
	const fits = (pattern: string | undefined, text: string) => pattern === undefined || matches(pattern, text);
	return (
		fits(match.client_id, client) &&
		fits(match.service_id, service) &&
		fits(match.type, record.type) &&
		fits(match.app_id, record.app_id) &&
		fits(match.visibility, record.config.visibility)
	);
}

/** Without `/` and `:` a text names a workspace, unlike everywhere else. */
function ofText(text: string, ownWorkspace: string): ServiceQuery {
	if (!text.includes("/") && !text.includes(":")) return { workspace: text, match: {} };
	const query = ofId(text, ownWorkspace);
	return query.workspace === "*" ? { ...query, match: { ...query.match, visibility: "public" } } : query;
}

function ofMap(query: Readonly<Record<string, unknown>>, ownWorkspace: string): ServiceQuery {
	const id = query["service_id"] ?? query["id"];
	const named = id === undefined || id === null ? undefined : ofId(checked("service_id", id), ownWorkspace);
	const match: Record<string, string> = { ...named?.match };
	for (const key of MATCH_KEYS) {
		const value = query[key];
		if (key === "service_id" || value === undefined || value === null) continue;
		match[key] = checked(key, value);
	}
	const workspace = query["workspace"] ?? named?.workspace ?? ownWorkspace;
	return { workspace: checked("workspace", workspace), match };
}

function ofId(text: string, ownWorkspace: string): ServiceQuery {
	const { workspace, client, service, app } = serviceId(text);
	return {
		workspace: workspace ?? ownWorkspace,
		match: {
			service_id: service,
			...(client === undefined ? undefined : { client_id: client }),
			...(app === undefined ? undefined : { app_id: app }),
		},
	};
}

/** Throws Refusal in place of the grammar's own errors. */
export function serviceId(text: unknown): ServiceId {
	try {
		return parseServiceId(text);
	} catch (error) {
		throw new Refusal((error as Error).message);
	}
}

function checked(key: string, value: unknown): string {
	if (typeof value !== "string" || !VALUE.test(value) || value.length > 3 * ID_CHARACTERS_MAX) {
		throw new Refusal(`ValueError: Invalid query value for ${key}: ${String(value).slice(0, 80)}`);
	}
	return value;
}
