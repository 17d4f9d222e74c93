/**
 * Service types of a workspace: named descriptions that services can be checked against (services.md §5, `check_type`).
 * Owns their shape; they live in the record's `service_types`, where clients look for them.
 */
import { Refusal } from "./refusal.ts";
import { ID_CHARACTERS_MAX } from "./service-id.ts";
import { readable } from "./workspace-queries.ts";
import { isMap } from "./workspace-record.ts";
import { changed, writable } from "./workspace-settings.ts";
import type { Caller, Outcome, ServiceTypeEvent, WorkspaceContext } from "./workspace-state.ts";
import { get, put, size, type Table } from "./workspace-table.ts";

export const SERVICE_TYPES_MAX = 100;

interface ServiceType {
	readonly id: string;
	readonly name: string;
	readonly definition: Readonly<Record<string, unknown>>;
	readonly description: string | null;
	readonly config: Readonly<Record<string, unknown>>;
	readonly docs: unknown;
}

/** The same id again replaces it. */
export function registerServiceType(
	context: WorkspaceContext,
	{ serviceType, caller, meta }: ServiceTypeEvent,
): Outcome {
	const record = writable(context, caller);
	const type = serviceTypeOf(serviceType, context.name);
	const service_types = put(typesOf(record.service_types), type.id, type);
	if (size(service_types) > SERVICE_TYPES_MAX) {
		throw new Refusal(`RuntimeError: A workspace may have at most ${SERVICE_TYPES_MAX} service types`);
	}
	return changed(context, { ...record, service_types }, meta, type);
}

/** Throws Refusal. */
export function findServiceType(context: WorkspaceContext, { id, caller }: { id: string; caller: Caller }) {
	const type = get(typesOf(readable(context, caller).service_types), id);
	if (!type) throw new Refusal(`KeyError: 'Service type not found: ${context.name}/${id}'`);
	return { ...type, id: `${context.name}/${id}` };
}

/** Throws Refusal. */
export function listServiceTypes(context: WorkspaceContext, { caller }: { caller: Caller }) {
	return Object.values(typesOf(readable(context, caller).service_types));
}

function serviceTypeOf(given: unknown, workspace: string): ServiceType {
	if (!isMap(given)) throw new Refusal("ValueError: type_info must be a map");
	const { id, name, definition, description, config, docs } = given;
	const short =
		typeof id === "string" && id.startsWith(`${workspace}/`) ? id.slice(workspace.length + 1) : id;
	if (typeof short !== "string" || !/^[A-Za-z0-9._-]+$/.test(short) || short.length > ID_CHARACTERS_MAX) {
		throw new Refusal(`ValueError: Invalid service type id: ${String(id).slice(0, 80)}`);
	}
	if (!isMap(definition)) throw new Refusal("ValueError: definition must be a map");
	return {
		id: short,
		name: typeof name === "string" ? name : short,
		definition,
		description: typeof description === "string" ? description : null,
		config: isMap(config) ? config : {},
		docs: docs ?? null,
	};
}

function typesOf(types: Readonly<Record<string, unknown>>): Table<ServiceType> {
	return types as Table<ServiceType>;
}
