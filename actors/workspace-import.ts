/**
 * Workspaces, and clients with their services, that come from another server's store. Owns what is taken over and when it
 * is refused; reading the other store and telling of the outcome is the importer's.
 */
import { Refusal } from "./refusal.ts";
import { clientIdProblem, workspaceIdProblem } from "./service-id.ts";
import { listed } from "./workspace-life.ts";
import { isMap, workspaceRecord } from "./workspace-record.ts";
import { serviceRecord } from "./workspace-service-record.ts";
import {
	answer,
	clientAddress,
	type ImportClientEvent,
	type ImportEvent,
	type Outcome,
	tell,
	type WorkspaceContext,
} from "./workspace-state.ts";
import { get, put, putInner } from "./workspace-table.ts";

/** Before every generation of a client that comes itself. */
export const IMPORTED_GENERATION = -1;

/** Why the workspace cannot be taken over; undefined: it can. */
export function importProblem({ name, record }: WorkspaceContext, event: ImportEvent): string | undefined {
	if (record && !event.overwrite) return `RuntimeError: Workspace already exists: ${name}`;
	const problem = workspaceIdProblem(name, true);
	if (problem) return `ValueError: ${problem}`;
	try {
		workspaceRecord(name, event.record);
		return undefined;
	} catch (error) {
		if (error instanceof Refusal) return error.message;
		throw error;
	}
}

export function importWorkspace({ name }: WorkspaceContext, { record: given, meta }: ImportEvent): Outcome {
	const record = workspaceRecord(name, given);
	return { change: { record }, effects: [listed(record), ...answer(meta, null)] };
}

/** A client that has come here itself knows better what it serves. */
export function importClientProblem(
	{ name, record, members }: WorkspaceContext,
	{ client }: ImportClientEvent,
): string | undefined {
	if (!record) return `KeyError: 'Workspace not found: ${name}'`;
	const problem = clientIdProblem(client);
	if (problem) return `ValueError: ${problem}`;
	const member = get(members, client);
	if (member && member.generation !== IMPORTED_GENERATION) {
		return `RuntimeError: Client already exists and is active: ${name}/${client}`;
	}
	return undefined;
}

/** It is a member that has been cut off: its services are found, and calls wait for it until its window ends. */
export function importClient(context: WorkspaceContext, event: ImportClientEvent): Outcome {
	const { client, user, resumeWindowMs, meta } = event;
	const caller = { workspace: context.name, client, user };
	let { services } = context;
	for (const [service, given] of Object.entries(event.services)) {
		if (!isMap(given)) continue;
		const id = `${context.name}/${client}:${service}`;
		try {
			services = putInner(services, client, service, serviceRecord(id, service, given, caller));
		} catch (error) {
			// One bad record must not keep the others out; the client registers it anew, or not.
			if (!(error instanceof Refusal)) throw error;
		}
	}
	const members = put(context.members, client, { generation: IMPORTED_GENERATION, user });
	const imported = { type: "client.imported", resumeWindowMs };
	return {
		change: { members, services },
		effects: [tell(clientAddress(context, client), imported), ...answer(meta, null)],
	};
}
