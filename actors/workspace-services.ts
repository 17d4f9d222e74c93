/**
 * The registry of services: registering, replacing, removing (services.md §5.1).
 * Owns who may change which entry; looking entries up is in workspace-queries.ts.
 */
import { deniedText, granted, permissionOf, suffices } from "./permission.ts";
import { Refusal } from "./refusal.ts";
import type { ServiceId } from "./service-id.ts";
import { serviceId } from "./service-query.ts";
import { announce } from "./workspace-events.ts";
import { isMap, type WorkspaceRecord } from "./workspace-record.ts";
import { BUILT_IN, type ServiceRecord, serviceRecord } from "./workspace-service-record.ts";
import {
	answer,
	type Caller,
	type Outcome,
	type RegisterEvent,
	type UnregisterEvent,
	type WorkspaceContext,
	type WorkspaceEffect,
} from "./workspace-state.ts";
import { get, putInner, size, withoutInner } from "./workspace-table.ts";

export const SERVICES_PER_CLIENT_MAX = 1_000;

/** What became of a registration; the manager needs to know what is new, clients are answered null. */
export interface Registered {
	readonly outcome: "added" | "replaced" | "ignored";
	readonly id: string | null;
}

const IGNORED: Registered = { outcome: "ignored", id: null };
/** Where services of clients without a `built-in` count, because the server itself registers there. */
const SERVER_WORKSPACES = ["public", "ws-user-root"];

export function register(context: WorkspaceContext, { service, caller, meta }: RegisterEvent): Outcome {
	if (!isMap(service)) throw new Refusal("ValueError: service must be a map");
	const id = ownServiceId(context, service["id"], caller);
	if (isLocal(id.service, service)) return { effects: answer(meta, IGNORED) };
	const isBuiltIn = id.service === BUILT_IN;
	if (!mayWrite(context, caller)) {
		// A read-only client registers its `built-in` like all do; a reject would make it retry for ever.
		if (isBuiltIn) return { effects: answer(meta, IGNORED) };
		throw new Refusal(deniedText(context.name));
	}
	if (!get(context.members, caller.client)) {
		throw new Refusal(`PermissionError: ${context.name}/${caller.client} is not connected`);
	}
	const others = get(context.services, caller.client) ?? {};
	if (!isBuiltIn && !get(others, BUILT_IN) && !SERVER_WORKSPACES.includes(context.name)) {
		return { effects: answer(meta, IGNORED) };
	}
	const full = `${context.name}/${caller.client}:${id.service}`;
	const record = serviceRecord(full, id.service, { ...service, ...appOf(id) }, caller);
	const before = get(others, id.service);
	if (!before) checkQuota(others, id.service);
	if (!isBuiltIn) checkSingleton(context, record, id.service, caller.client);
	const change = { services: putInner(context.services, caller.client, id.service, record) };
	const registered: Registered = { outcome: before ? "replaced" : "added", id: full };
	return { change, effects: [...changeEvents(context, before, record), ...answer(meta, registered)] };
}

export function unregister(
	context: WorkspaceContext,
	{ service_id, caller, meta }: UnregisterEvent,
): Outcome {
	const id = serviceId(service_id);
	const notFound = `KeyError: 'Service not found: ${String(service_id)}'`;
	if (id.workspace !== undefined && id.workspace !== context.name) {
		throw new Refusal(deniedText(id.workspace));
	}
	if (!mayWrite(context, caller)) throw new Refusal(deniedText(context.name));
	const client = id.client ?? caller.client;
	if (client !== caller.client && !mayRemoveOthers(context, caller))
		throw new Refusal(deniedText(context.name));
	const record = get(get(context.services, client) ?? {}, id.service);
	if (!record) throw new Refusal(notFound);
	const change = { services: withoutInner(context.services, client, id.service) };
	const events =
		id.service === BUILT_IN
			? announce(context, "client_disconnected", { id: client, workspace: context.name })
			: announce(context, "service_removed", record);
	return { change, effects: [...events, ...answer(meta, null)] };
}

/** Anyone of another workspace or client could otherwise speak in its name. Throws Refusal. */
function ownServiceId(context: WorkspaceContext, given: unknown, caller: Caller): ServiceId {
	const id = serviceId(given);
	if (id.workspace !== undefined && id.workspace !== context.name) {
		throw new Refusal(
			`PermissionError: Service ID workspace prefix '${id.workspace}' does not match the workspace '${context.name}'`,
		);
	}
	if (id.client === undefined) throw new Refusal(`ValueError: Service id must contain ':': ${String(given)}`);
	if (id.client !== caller.client) {
		throw new Refusal(
			`PermissionError: Service ID client '${id.client}' does not match the client '${caller.client}'`,
		);
	}
	if (id.service.includes("*")) throw new Refusal(`ValueError: Invalid service id: ${String(given)}`);
	return id;
}

function appOf({ app }: ServiceId): { app_id?: string } {
	return app === undefined ? {} : { app_id: app };
}

function isLocal(name: string, service: Readonly<Record<string, unknown>>): boolean {
	const { config } = service;
	return (
		name.startsWith("_rintf_") ||
		service["_local_only"] === true ||
		(isMap(config) && config["_local_only"] === true)
	);
}

function mayWrite(context: WorkspaceContext, caller: Caller): boolean {
	return caller.workspace === context.name && suffices(permission(context, caller), "service.write");
}

function mayRemoveOthers(context: WorkspaceContext, caller: Caller): boolean {
	return suffices(permission(context, caller), "service.remove");
}

function permission({ record, name }: WorkspaceContext, { user }: Caller) {
	return record ? permissionOf(user, record as WorkspaceRecord) : granted(user, name);
}

function checkQuota(others: Readonly<Record<string, ServiceRecord>>, service: string): void {
	const counted = size(others) - (get(others, BUILT_IN) ? 1 : 0);
	if (service !== BUILT_IN && counted >= SERVICES_PER_CLIENT_MAX) {
		throw new Refusal(`RuntimeError: A client may register at most ${SERVICES_PER_CLIENT_MAX} services`);
	}
}

/** Two clients must not both believe that they alone serve this id. */
function checkSingleton(
	context: WorkspaceContext,
	record: ServiceRecord,
	service: string,
	client: string,
): void {
	for (const [other, services] of Object.entries(context.services)) {
		const rival = other === client ? undefined : get(services, service);
		if (!rival) continue;
		if (!record.config.singleton && !rival.config.singleton) continue;
		throw new Refusal(
			`ValueError: Service with the same id already exists in the workspace: ${rival.id}, remove it first or ` +
				"set singleton to false.",
		);
	}
}

function changeEvents(
	context: WorkspaceContext,
	before: ServiceRecord | undefined,
	record: ServiceRecord,
): readonly WorkspaceEffect[] {
	if (record.id.endsWith(`:${BUILT_IN}`)) {
		const client = record.id.slice(0, -BUILT_IN.length - 1);
		const data = { id: client, workspace: context.name };
		return announce(context, before ? "client_updated" : "client_connected", data);
	}
	const added = announce(context, "service_added", record);
	return before ? [...announce(context, "service_removed", before), ...added] : added;
}
