/**
 * How a workspace comes into being and ends: founded by a first member or by request, overwritten, deleted.
 * Owns who may do that and who hears of it; in which state each is possible is drawn in workspace.ts.
 */
import { addressOf } from "../runtime/address.ts";
import type { EventMeta } from "../runtime/machine-behaviour.ts";
import { DIRECTORY_ADDRESS, type DirectoryAnswer } from "./directory-address.ts";
import { deniedText, isOwner, may } from "./permission.ts";
import { workspaceIdProblem } from "./service-id.ts";
import { homeOf, type User } from "./user.ts";
import { broughtRecord, forgottenBy } from "./workspace-members.ts";
import { summaryOf, type WorkspaceRecord, workspaceRecord } from "./workspace-record.ts";
import {
	type CreateEvent,
	clientAddress,
	type DeleteEvent,
	type JoinEvent,
	NOTHING,
	type Outcome,
	tell,
	type WorkspaceContext,
	type WorkspaceEffect,
} from "./workspace-state.ts";

export function found(context: WorkspaceContext, event: JoinEvent): Outcome {
	const record = broughtRecord(context, event);
	return record ? { change: { record }, effects: [listed(record)] } : NOTHING;
}

/** Why the request is refused, in upstream's words; undefined: it is not. */
export function createProblem(context: WorkspaceContext, event: CreateEvent): string | undefined {
	const { user } = event.caller;
	const { record, name } = context;
	if (user.is_anonymous) return "PermissionError: Only registered user can create workspace.";
	if (record) {
		if (!event.overwrite) return `RuntimeError: Workspace already exists: ${name}`;
		return may("overwrite", user, record) ? undefined : deniedText(name);
	}
	const problem = workspaceIdProblem(name, user.scope.workspaces["*"] === "a");
	if (problem) return `ValueError: ${problem}`;
	// Names that the server gives to users' own workspaces.
	return name.startsWith("ws-user-") && !mayFoundHome(user, name) ? deniedText(name) : undefined;
}

export function create(context: WorkspaceContext, event: CreateEvent): Outcome {
	const { user } = event.caller;
	const given = workspaceRecord(context.name, event.record);
	const record = {
		...given,
		owners: withOwner(context.record ? [...context.record.owners, ...given.owners] : given.owners, user),
	};
	const home = addressOf("workspace", homeOf(user));
	const { id, name, description } = record;
	return {
		change: { record },
		effects: [
			listed(record, answerFor(event.meta, record)),
			tell(home, { type: "events.announce", event: "workspace_loaded", data: record }),
			tell(home, { type: "bookmark.add", item: { bookmark_type: "workspace", id, name, description } }),
		],
	};
}

export function deleteProblem(
	{ record, name }: WorkspaceContext,
	{ caller }: DeleteEvent,
): string | undefined {
	return record && may("delete", caller.user, record) ? undefined : deniedText(name);
}

/** Members are shown out, but for the one who asked: it still waits for the answer. */
export function remove(context: WorkspaceContext, event: DeleteEvent): Outcome {
	const { name, record } = context;
	const { caller, meta } = event;
	const others = Object.keys(context.members).filter(
		(client) => caller.workspace !== name || client !== caller.client,
	);
	const reason = `Workspace has been deleted: ${name}`;
	const home = addressOf("workspace", homeOf(caller.user));
	return {
		change: GONE,
		effects: [
			unlisted(name, answerFor(meta, null)),
			...others.map((client) => tell(clientAddress(context, client), { type: "client.kicked", reason })),
			...Object.entries(context.members).flatMap(([client, { user, generation }]) =>
				forgottenBy(user, context, client, generation),
			),
			tell(home, { type: "events.announce", event: "workspace_deleted", data: record }),
			tell(home, { type: "bookmark.remove", item: { bookmark_type: "workspace", id: name } }),
		],
	};
}

export function end({ name }: WorkspaceContext): Outcome {
	return { change: GONE, effects: [unlisted(name)] };
}

/** What was revoked stays revoked: the name can be founded again. */
const GONE = { record: null, members: {}, services: {}, subscribers: {}, logged: [] } as const;

/**
 * Tells the directory of a new or changed record. The directory gives the answer, so that whoever made a
 * workspace finds it in the next list.
 */
export function listed(record: WorkspaceRecord, answer?: DirectoryAnswer): WorkspaceEffect {
	return tell(DIRECTORY_ADDRESS, { type: "directory.put", summary: summaryOf(record), answer });
}

function unlisted(id: string, answer?: DirectoryAnswer): WorkspaceEffect {
	return tell(DIRECTORY_ADDRESS, { type: "directory.remove", id, answer });
}

function answerFor({ replyTo }: EventMeta, value: unknown): DirectoryAnswer | undefined {
	return replyTo ? { to: replyTo, value } : undefined;
}

/** A workspace made with a child token belongs to the user behind it too: the token will expire. */
function withOwner(owners: readonly string[], user: User): readonly string[] {
	return [...new Set([...owners, user.id, ...(user.parent ? [user.parent] : [])])];
}

function mayFoundHome(user: User, name: string): boolean {
	return user.scope.workspaces["*"] === "a" || isOwner(user, { id: name, owners: [] });
}
