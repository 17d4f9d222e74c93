/**
 * Services that the server itself serves, beside the manager: found, listed and called like those of clients, though no
 * registry has them. Owns the table of them and who is shown what; their methods are in a file each.
 */
import { matches } from "../actors/glob.ts";
import { deniedText } from "../actors/permission.ts";
import { isMatch, type ServiceQuery, serviceId } from "../actors/service-query.ts";
import type { ServiceRecord } from "../actors/workspace-service-record.ts";
import { ADMIN_UTILS } from "./admin-service.ts";
import { LOGIN_SERVICE } from "./login-service.ts";
import type { ManagerContext, ManagerMethods } from "./manager-context.ts";
import { methodObject } from "./method-table.ts";

export interface OwnService {
	readonly id: string;
	readonly workspace: string;
	readonly name: string;
	readonly description: string;
	readonly type: string;
	readonly visibility: "public" | "protected";
	readonly methods: ManagerMethods;
	/** Whether the caller may have it. Its methods say no for themselves all the same. */
	readonly mayHave: (context: ManagerContext) => boolean;
}

const OWN: readonly OwnService[] = [ADMIN_UTILS, LOGIN_SERVICE];

/** By the service's part of a method's name. */
export function ownMethods(id: string | undefined): ManagerMethods | undefined {
	return OWN.find((service) => service.id === id)?.methods;
}

/** Undefined: the id means a service of a client. Throws where the caller may not have it. */
export function ownService(id: unknown, context: ManagerContext): OwnService | undefined {
	const { workspace = context.caller.workspace, client, service } = serviceId(id);
	if (client !== undefined && client !== "*" && client !== context.managerId) return undefined;
	const found = OWN.find((own) => own.workspace === workspace && own.id === service);
	if (found && !found.mayHave(context)) throw new Error(deniedText(found.workspace));
	return found;
}

/** As clients get it. */
export function ownObject(service: OwnService, context: ManagerContext): Readonly<Record<string, unknown>> {
	const { id, name, description, type, config } = ownRecord(service, context);
	const methods = methodObject(`*/${context.managerId}`, service.id, service.methods);
	return { id, name, description, type, config, ...methods };
}

/** As a registry would have it. */
export function ownRecord(service: OwnService, { managerId }: ManagerContext): ServiceRecord {
	const { id, workspace, name, description, type, visibility } = service;
	return {
		id: `${workspace}/${managerId}:${id}`,
		name,
		description,
		type,
		docs: null,
		app_id: "*",
		service_schema: null,
		config: {
			visibility,
			require_context: true,
			workspace,
			flags: [],
			singleton: true,
			created_by: { id: "root" },
			service_embedding: null,
			authorized_workspaces: null,
		},
	};
}

/** Those that are asked for, as far as the caller may have them. */
export function ownRecords(asked: ServiceQuery, context: ManagerContext): readonly ServiceRecord[] {
	const isNamed = ({ workspace, visibility }: OwnService) =>
		workspace === asked.workspace || (visibility === "public" && matches(asked.workspace, workspace));
	return OWN.filter((service) => isNamed(service) && service.mayHave(context))
		.map((service) => ({ service, record: ownRecord(service, context) }))
		.filter(({ service, record }) => isMatch(asked, context.managerId, service.id, record))
		.map(({ record }) => record);
}
