/**
 * Members of a workspace: who is let in, what their leaving takes along.
 * Owns admission (connection.md §3) and generations; sessions and resume windows are the client actor's.
 */
import { atLeast, deniedText, permissionOf } from "./permission.ts";
import { announce, withoutSubscriptions } from "./workspace-events.ts";
import { type WorkspaceRecord, workspaceRecord } from "./workspace-record.ts";
import {
	clientAddress,
	type JoinEvent,
	type LeaveEvent,
	type Outcome,
	tell,
	type WorkspaceContext,
} from "./workspace-state.ts";
import { get, put, size, without } from "./workspace-table.ts";

export const CLIENTS_PER_WORKSPACE_MAX = 1_000;
/** Counted within the workspace: no actor knows a user's connections elsewhere. */
export const CONNECTIONS_PER_USER_MAX = 200;

/** Why the client may not join, in upstream's words; undefined: it may. */
export function joinProblem(context: WorkspaceContext, event: JoinEvent): string | undefined {
	const { members, revoked, name } = context;
	const record = context.record ?? broughtRecord(context, event);
	if (event.tokenHash !== undefined && get(revoked, event.tokenHash) !== undefined) {
		return "Token has been revoked";
	}
	if (!record) return `Workspace not found: ${name}`;
	if (!atLeast(permissionOf(event.user, record), "r")) return deniedText(name);
	const known = get(members, event.client);
	if (known && event.generation < known.generation) return "A newer connection took its place";
	if (known) return undefined;
	if (size(members) >= CLIENTS_PER_WORKSPACE_MAX) {
		return `Workspace ${name} has reached its limit of ${CLIENTS_PER_WORKSPACE_MAX} clients`;
	}
	const ofUser = Object.values(members).filter((member) => member.user.id === event.user.id).length;
	if (ofUser >= CONNECTIONS_PER_USER_MAX) {
		return `User ${event.user.id} has reached the limit of ${CONNECTIONS_PER_USER_MAX} connections`;
	}
	return undefined;
}

/** The record of a workspace that its first member makes by coming, such as its user's own. */
export function broughtRecord({ name }: WorkspaceContext, { ensure }: JoinEvent): WorkspaceRecord | null {
	return ensure ? workspaceRecord(name, ensure.record) : null;
}

/** A known client that joins again resumes: its services and subscriptions stay. */
export function join(context: WorkspaceContext, event: JoinEvent): Outcome {
	const { client, generation, user } = event;
	// Ownership is known here only; with this the gateway can narrow the user's scope to what it holds.
	const admission = { permission: context.record ? permissionOf(user, context.record) : undefined };
	return {
		change: { members: put(context.members, client, { generation, user }) },
		effects: [tell(clientAddress(context, client), { type: "client.admitted", generation, admission })],
	};
}

export function refuseJoin(context: WorkspaceContext, event: JoinEvent): Outcome {
	const reason = joinProblem(context, event) as string;
	const refused = { type: "client.refused", generation: event.generation, reason };
	return { effects: [tell(clientAddress(context, event.client), refused)] };
}

/** The goodbye speaks of a connection that a newer one replaced, or of nobody. */
export function isLate({ members }: WorkspaceContext, event: LeaveEvent): boolean {
	const member = get(members, event.client);
	return !member || member.generation > event.generation;
}

export function isLast({ members }: WorkspaceContext): boolean {
	return size(members) <= 1;
}

/** One event tells of the leaving; services go without words of their own (services.md §6). */
export function leave(context: WorkspaceContext, { client }: LeaveEvent): Outcome {
	const change = {
		members: without(context.members, client),
		services: without(context.services, client),
		subscribers: withoutSubscriptions(context.subscribers, client),
	};
	const data = { id: client, workspace: context.name };
	return { change, effects: announce({ ...context, ...change }, "client_disconnected", data) };
}
