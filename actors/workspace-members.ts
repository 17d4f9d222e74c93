/**
 * Members of a workspace: who is let in, what their leaving takes along.
 * Owns admission (connection.md §3) and generations; sessions and resume windows are the client actor's, a user's
 * connections over all workspaces the user actor's.
 */
import { deniedText, may, permissionOf } from "./permission.ts";
import { type User, userAddress } from "./user.ts";
import { announce, withoutSubscriptions } from "./workspace-events.ts";
import { type WorkspaceRecord, workspaceRecord } from "./workspace-record.ts";
import {
	clientAddress,
	type JoinEvent,
	type LeaveEvent,
	LIMITS_DEFAULT,
	type Outcome,
	tell,
	type WorkspaceContext,
	type WorkspaceEffect,
} from "./workspace-state.ts";
import { get, put, size, without } from "./workspace-table.ts";

/** Why the client may not join, in upstream's words; undefined: it may. */
export function joinProblem(context: WorkspaceContext, event: JoinEvent): string | undefined {
	const { members, revoked, name } = context;
	const record = context.record ?? broughtRecord(context, event);
	if (event.tokenHash !== undefined && get(revoked, event.tokenHash) !== undefined) {
		return "Token has been revoked";
	}
	if (!record) return `Workspace not found: ${name}`;
	if (!may("join", event.user, record)) return deniedText(name);
	const known = get(members, event.client);
	if (known && event.generation < known.generation) return "A newer connection took its place";
	if (known) return undefined;
	const { clientsPerWorkspace } = event.limits ?? LIMITS_DEFAULT;
	if (size(members) >= clientsPerWorkspace) {
		return `Workspace ${name} has reached its limit of ${clientsPerWorkspace} clients`;
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
	const before = get(context.members, client)?.user;
	return {
		change: { members: put(context.members, client, { generation, user }) },
		effects: [
			...(before && userAddress(before) !== userAddress(user)
				? forgottenBy(before, context, client, generation)
				: []),
			admitted(context, event),
		],
	};
}

/** The user's actor has the last word where there is one: it knows of the other workspaces. */
function admitted(context: WorkspaceContext, event: JoinEvent): WorkspaceEffect {
	const { client: name, generation, user, limits = LIMITS_DEFAULT } = event;
	const client = clientAddress(context, name);
	// Ownership is known here only; with this the gateway can narrow the user's scope to what it holds.
	const admission = { permission: context.record ? permissionOf(user, context.record) : undefined };
	const admitted = { type: "client.admitted", generation, admission };
	const counting = userAddress(user);
	if (!counting) return tell(client, admitted);
	const giveBack = {
		type: "member.leave",
		client: name,
		generation,
		reason: "over its user's limit",
		refused: true,
	};
	// A session that goes on was counted when it began.
	const known = get(context.members, name) !== undefined;
	return tell(counting, {
		type: "user.join",
		client,
		generation,
		limit: known ? Number.MAX_SAFE_INTEGER : limits.connectionsPerUser,
		admitted,
		refused: { to: context.address, event: giveBack },
	});
}

/** The member is not, or no more, this user's. */
export function forgottenBy(
	user: User,
	context: WorkspaceContext,
	client: string,
	generation: number,
): readonly WorkspaceEffect[] {
	const counting = userAddress(user);
	if (!counting) return [];
	return [tell(counting, { type: "user.leave", client: clientAddress(context, client), generation })];
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
export function leave(context: WorkspaceContext, { client, refused }: LeaveEvent): Outcome {
	const member = get(context.members, client);
	const change = {
		members: without(context.members, client),
		services: without(context.services, client),
		subscribers: withoutSubscriptions(context.subscribers, client),
	};
	if (refused) return { change, effects: [] };
	const data = { id: client, workspace: context.name };
	const effects = [
		...announce({ ...context, ...change }, "client_disconnected", data),
		...(member ? forgottenBy(member.user, context, client, member.generation) : []),
	];
	return { change, effects };
}
