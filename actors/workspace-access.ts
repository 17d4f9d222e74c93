/**
 * Whether somebody of another workspace may call a service of a client here. Owns that question alone; what is visible to
 * whom is decided by the service records, as for look-ups.
 */
import { mayRead } from "./workspace-queries.ts";
import { BUILT_IN, isUsable } from "./workspace-service-record.ts";
import type { Caller, WorkspaceContext } from "./workspace-state.ts";
import { get } from "./workspace-table.ts";

export interface AccessQuery {
	readonly caller: Caller;
	readonly client: string;
	readonly service: string;
}

/**
 * The built-in service takes large messages for all the others: it is open to those who may call any of them. No
 * difference is made between a client that is not here and one that offers nothing.
 */
export function serviceAccess(context: WorkspaceContext, { caller, client, service }: AccessQuery): boolean {
	const services = get(context.services, client) ?? {};
	const reader = mayRead(context, caller);
	if (service !== BUILT_IN) {
		const record = get(services, service);
		return record !== undefined && isUsable(record, reader, caller);
	}
	return Object.entries(services).some(
		([name, record]) => name !== BUILT_IN && isUsable(record, reader, caller),
	);
}
