/**
 * The workspace manager: every method clients may call at the manager's address, by its name on the wire.
 * Owns the table and the object that describes it; a method's rules are in the manager-*.ts file of its subject.
 */
import { clientMethods } from "./manager-clients.ts";
import type { ManagerContext, ManagerMethod, ManagerMethods } from "./manager-context.ts";
import { serviceMethods } from "./manager-services.ts";
import { tokenMethods } from "./manager-tokens.ts";
import { workspaceMethods } from "./manager-workspaces.ts";
import { methodValue } from "./rpc-value.ts";

export type { ManagerContext, ManagerMethod } from "./manager-context.ts";

/** Methods of upstream's manager that this server does not have: a clear word instead of a missing attribute. */
const NOT_OFFERED = {
	get_event_stats: ["event_type", "start_time", "end_time"],
	get_events: ["event_type", "start_time", "end_time"],
	search_services: ["query", "filters", "limit", "offset", "return_fields", "order_by", "pagination"],
	register_service_type: ["type_info"],
	get_service_type: ["type_id"],
	list_service_types: ["workspace"],
	cleanup: ["workspace", "timeout"],
} as const;

export const managerMethods: ManagerMethods = {
	...serviceMethods(managerObject),
	...clientMethods,
	...workspaceMethods,
	...tokenMethods,
	...Object.fromEntries(
		Object.entries(NOT_OFFERED).map(([name, parameters]) => [name, notOffered(name, parameters)]),
	),
};

/** Clients fetch it before every registration, so it is small: schemas only where a client reads them. */
export function managerObject({ managerId, serverInfo }: ManagerContext): Readonly<Record<string, unknown>> {
	const target = `*/${managerId}`;
	const methods = Object.entries(managerMethods).map(([name, { doc, schema }]) => {
		const method = methodValue(target, "default", name, doc);
		return [name, schema ? { ...method, _rschema: { name, description: doc, parameters: schema } } : method];
	});
	return {
		id: "default",
		name: "Default workspace management service",
		description: "Services for managing workspace.",
		type: "generic",
		config: { visibility: "public", require_context: true, ...serverInfo },
		...Object.fromEntries(methods),
	};
}

function notOffered(name: string, parameters: readonly string[]): ManagerMethod {
	return {
		parameters,
		required: 0,
		doc: "Not offered by this server.",
		run: () => Promise.reject(new Error(`NotImplementedError: ${name} is not offered by this server`)),
	};
}
