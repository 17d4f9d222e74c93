/**
 * The workspace manager: every method clients may call at the manager's address, by its name on the wire.
 * Owns the table and the object that describes it; a method's rules are in the manager-*.ts file of its subject.
 */
import { clientMethods } from "./manager-clients.ts";
import type { ManagerContext, ManagerMethods } from "./manager-context.ts";
import { historyMethods } from "./manager-history.ts";
import { serviceMethods } from "./manager-services.ts";
import { tokenMethods } from "./manager-tokens.ts";
import { upkeepMethods } from "./manager-upkeep.ts";
import { workspaceMethods } from "./manager-workspaces.ts";
import { methodObject, notOffered } from "./method-table.ts";

export type { ManagerContext, ManagerMethod } from "./manager-context.ts";

const NOT_OFFERED = {
	search_services: ["query", "filters", "limit", "offset", "return_fields", "order_by", "pagination"],
} as const;

export const managerMethods: ManagerMethods = {
	...serviceMethods(managerObject),
	...clientMethods,
	...workspaceMethods,
	...tokenMethods,
	...historyMethods,
	...upkeepMethods,
	...notOffered(NOT_OFFERED),
};

/** Clients fetch it before every registration, so it is small: schemas only where a client reads them. */
export function managerObject({ managerId, serverInfo }: ManagerContext): Readonly<Record<string, unknown>> {
	return {
		id: "default",
		name: "Default workspace management service",
		description: "Services for managing workspace.",
		type: "generic",
		config: { visibility: "public", require_context: true, ...serverInfo },
		...methodObject(`*/${managerId}`, "default", managerMethods),
	};
}
