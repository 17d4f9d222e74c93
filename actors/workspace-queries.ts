/**
 * What a workspace answers without changing: look-ups, lists, settings.
 * Owns what each asker may see; answers come from the state as it is in mailbox order.
 */

import { deniedText, may, permissionOf, suffices } from "./permission.ts";
import { Refusal } from "./refusal.ts";
import { namesLike, type PageStart, pageOf, type ServicePage } from "./service-page.ts";
import { isMatch, type ServiceMatch } from "./service-query.ts";
import { homeOf, type Permission, type User } from "./user.ts";
import { recordFor, type WorkspaceRecord } from "./workspace-record.ts";
import { isListed, isUsable, type ServiceRecord, shownTo } from "./workspace-service-record.ts";
import { environment } from "./workspace-settings.ts";
import type { Caller, WorkspaceContext } from "./workspace-state.ts";
import { get, size } from "./workspace-table.ts";

/** Of the manager's modes, those a registry can decide alone. */
export const RESOLVE_MODES = ["exact", "random", "first", "last"] as const;
export type ResolveMode = (typeof RESOLVE_MODES)[number];

/** Instances of a service that are compared with one another; of more, as many neighbours from a random one on. */
export const CANDIDATES_MAX = 64;

export interface CandidatesQuery {
	readonly caller: Caller;
	/** Absent: any client. */
	readonly client?: string;
	readonly service: string;
	readonly app?: string;
	/** From 0 to below 1: which one `random` takes. */
	readonly seed: number;
}

export interface ResolveQuery extends CandidatesQuery {
	readonly mode: ResolveMode;
}

export interface ListQuery {
	readonly caller: Caller;
	readonly match: ServiceMatch;
	readonly includeUnlisted: boolean;
	/** The asker asks many workspaces at once: public services only, unless it is its own. */
	readonly everywhere: boolean;
	/** Where an earlier page ended. */
	readonly from?: PageStart;
}

/** An instance of a service: the client that serves it, and its record. */
export interface ServiceCandidate {
	readonly client: string;
	readonly record: ServiceRecord;
}

/** Throws Refusal. */
export function resolveService(context: WorkspaceContext, query: ResolveQuery): ServiceCandidate {
	const chosen = choose(usable(context, query), query.mode, query.seed, fullId(context, query));
	return shown(context, query.caller, chosen);
}

/** Those among which the manager chooses by asking them. Throws Refusal. */
export function serviceCandidates(
	context: WorkspaceContext,
	query: CandidatesQuery,
): readonly ServiceCandidate[] {
	const found = usable(context, query);
	const first = found.length > CANDIDATES_MAX ? Math.floor(query.seed * found.length) : 0;
	return [...found.slice(first), ...found.slice(0, first)]
		.slice(0, CANDIDATES_MAX)
		.map((candidate) => shown(context, query.caller, candidate));
}

function usable(context: WorkspaceContext, query: CandidatesQuery): readonly ServiceCandidate[] {
	const { caller, client = "*", service, app = "*" } = query;
	const match = { client_id: client, service_id: service, app_id: app };
	const found = matching(context, app === "*" ? { client_id: client, service_id: service } : match);
	if (found.length === 0) throw new Refusal(`KeyError: 'Service not found: ${fullId(context, query)}'`);
	const reader = mayRead(context, caller);
	const usable = found.filter(({ record }) => isUsable(record, reader, caller));
	if (usable.length === 0) {
		const text = `Permission denied for non-public service in workspace ${context.name}`;
		throw new Refusal(`PermissionError: ${text}`);
	}
	return usable;
}

function fullId({ name }: WorkspaceContext, { client = "*", service, app = "*" }: CandidatesQuery): string {
	return `${name}/${client}:${service}@${app}`;
}

function shown(
	context: WorkspaceContext,
	caller: Caller,
	{ client, record }: ServiceCandidate,
): ServiceCandidate {
	return { client, record: shownTo(record, mayRead(context, caller)) };
}

/** In the order of clients' and services' names, so that a later page goes on where this one ends. Throws Refusal. */
export function listServices(context: WorkspaceContext, query: ListQuery): ServicePage {
	const { caller, match, includeUnlisted, everywhere } = query;
	const own = caller.workspace === context.name;
	const reader = mayRead(context, caller) && (own || !everywhere);
	const asksUnlisted = includeUnlisted || match.visibility === "unlisted";
	if (asksUnlisted && !reader && !everywhere) throw new Refusal(deniedText(context.name));
	const isShown = (record: ServiceRecord) =>
		everywhere && !own
			? record.config.visibility === "public"
			: isListed(record, reader, caller, asksUnlisted);
	return pageOf(context.services, match, query.from, isShown, (record) => shownTo(record, reader));
}

/** Members with their full user records: readers of the workspace only. */
export function listClients(context: WorkspaceContext, { caller }: { caller: Caller }) {
	readable(context, caller);
	return Object.entries(context.members).map(([client, { user }]) => ({
		id: `${context.name}/${client}`,
		user,
	}));
}

export function workspaceInfo(context: WorkspaceContext, { caller }: { caller: Caller }): WorkspaceRecord {
	return recordFor(readable(context, caller), caller.user);
}

export function workspaceSummary(context: WorkspaceContext, { caller }: { caller: Caller }) {
	const { name, description } = readable(context, caller);
	const services = Object.values(context.services).flatMap((ofClient) => Object.values(ofClient));
	return {
		name,
		description,
		client_count: size(context.members),
		clients: Object.keys(context.members).map((client) => `${context.name}/${client}`),
		service_count: services.length,
		services: services.map(({ id, name, type, description, config }) => ({
			id,
			name,
			type,
			description,
			config,
		})),
	};
}

/** Never refused: that a workspace is missing, or closed to the asker, is the answer. */
export function workspaceStatus(context: WorkspaceContext, { caller }: { caller: Caller }) {
	return {
		status: context.record ? "ready" : "not_found",
		errors: null,
		user_permission: permission(context, caller.user) ?? null,
	};
}

export function getEnv(
	context: WorkspaceContext,
	{ key, caller }: { key?: unknown; caller: Caller },
): unknown {
	const record = readable(context, caller);
	if (!may("environment.read", caller.user, record)) throw new Refusal(deniedText(context.name));
	const environs = environment(record);
	if (key === undefined || key === null) return environs;
	const value = get(environs, String(key));
	if (value === undefined) {
		const text = `Environment variable '${String(key)}' not found in workspace ${context.name}`;
		throw new Refusal(`KeyError: "${text}"`);
	}
	return value;
}

export function isRevoked({ revoked }: WorkspaceContext, { hash }: { hash: string }): boolean {
	return get(revoked, hash) !== undefined;
}

function matching({ services }: WorkspaceContext, match: ServiceMatch): readonly ServiceCandidate[] {
	const found: ServiceCandidate[] = [];
	for (const client of namesLike(services, match.client_id)) {
		const ofClient = get(services, client) ?? {};
		for (const service of namesLike(ofClient, match.service_id)) {
			const record = get(ofClient, service);
			if (record && isMatch({ match }, client, service, record)) found.push({ client, record });
		}
	}
	return found;
}

function choose(
	found: readonly ServiceCandidate[],
	mode: ResolveMode,
	seed: number,
	id: string,
): ServiceCandidate {
	if (mode === "exact" && found.length > 1) {
		const ids = found
			.map(({ record }) => record.id)
			.slice(0, 10)
			.join(", ");
		throw new Refusal(
			`AssertionError: Multiple services found for ${id}, e.g. ${ids}. Name the client or a mode.`,
		);
	}
	const last = found.length - 1;
	const index =
		mode === "random" ? Math.min(Math.floor(seed * found.length), last) : mode === "last" ? last : 0;
	return found[index] as ServiceCandidate;
}

export function mayRead(context: WorkspaceContext, { user }: Caller): boolean {
	return suffices(permission(context, user), "read");
}

/** Before a user's own workspace is first used it is theirs all the same. */
function permission({ record, name }: WorkspaceContext, user: User): Permission | undefined {
	if (record) return permissionOf(user, record);
	return name === homeOf(user) ? "a" : undefined;
}

/** Throws in the words that the caller reads. */
export function readable({ record, name }: WorkspaceContext, { user }: Caller): WorkspaceRecord {
	if (!record) throw new Refusal(`KeyError: 'Workspace not found: ${name}'`);
	if (!may("read", user, record)) throw new Refusal(deniedText(name));
	return record;
}
