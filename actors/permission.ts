/**
 * Who may do what: the one place that decides, for every transport. Owns the order r < rw < a and ownership.
 * Tokens say what a user holds; this says what it is enough for (auth.md §2, §6).
 */
import { homeOf, type Permission, type User } from "./user.ts";
import { get } from "./workspace-table.ts";

const RANK: Readonly<Record<Permission, number>> = { r: 1, rw: 2, a: 3 };

/** What an operation needs in the workspace it works on: the whole of it, for WebSocket, HTTP and operators alike. */
export const NEEDS = {
	/** Connect a client. */
	join: "r",
	/** See it in lists of workspaces. */
	list: "r",
	/** Its record, clients, types, protected services; ping a client. */
	read: "r",
	/** One's own entries of its events. */
	"events.read": "r",
	/** Variables often are secrets. */
	"environment.read": "rw",
	/** Variables, bookmarks, service types. */
	"settings.write": "rw",
	"events.log": "rw",
	broadcast: "rw",
	/** One's own services, added and removed. */
	"service.write": "rw",
	/** Services of other clients, removed. */
	"service.remove": "a",
	"token.issue": "a",
	/** Remove dead clients, unload. */
	upkeep: "a",
	overwrite: "a",
	delete: "a",
	/** `admin-utils`, and operators' commands: in the root user's workspace. */
	administer: "a",
	/** Operators' questions, there too. Histories hold what was sent, secrets as well. */
	"operator.read": "rw",
} as const satisfies Readonly<Record<string, Permission>>;

export type Operation = keyof typeof NEEDS;

/** As far as permissions depend on a workspace. */
export interface OwnedWorkspace {
	readonly id: string;
	readonly owners: readonly string[];
}

/** What the user's token itself grants on a workspace; undefined: nothing. */
export function granted(user: User, workspace: string): Permission | undefined {
	const { workspaces } = user.scope;
	return stronger(get(workspaces, "*"), get(workspaces, workspace));
}

/**
 * Token grant, else ownership. A token that names workspaces is never widened by ownership: a read token of an
 * owner stays a read token (upstream lets it mint more).
 */
export function permissionOf(user: User, workspace: OwnedWorkspace): Permission | undefined {
	const held = granted(user, workspace.id);
	if (held) return held;
	return isOwner(user, workspace) ? "a" : undefined;
}

export function isOwner(user: User, { id, owners }: OwnedWorkspace): boolean {
	if (user.is_anonymous) return id === homeOf(user);
	// A child token stands for itself only: what it made is its own, its parent's workspaces are not.
	if (user.parent) return owners.includes(user.id);
	return (
		owners.includes(user.id) || (user.email !== null && owners.includes(user.email)) || id === homeOf(user)
	);
}

/** May the user do this there? */
export function may(operation: Operation, user: User, workspace: OwnedWorkspace): boolean {
	return suffices(permissionOf(user, workspace), operation);
}

/** Is a permission that has been found out enough for it? */
export function suffices(held: Permission | undefined, operation: Operation): boolean {
	return atLeast(held, NEEDS[operation]);
}

function atLeast(held: Permission | undefined, needed: Permission): boolean {
	return held !== undefined && RANK[held] >= RANK[needed];
}

/** Upstream's words, which its clients' users know. */
export function deniedText(workspace: string): string {
	return `PermissionError: Permission denied for workspace ${workspace}`;
}

function stronger(one: Permission | undefined, other: Permission | undefined): Permission | undefined {
	if (!one || !other) return one ?? other;
	return RANK[one] >= RANK[other] ? one : other;
}
