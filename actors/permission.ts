/**
 * Who may do what: the one place that decides, for every transport. Owns the order r < rw < a and ownership.
 * Tokens say what a user holds; this says what it is enough for (auth.md §2, §6).
 */
import type { Permission, User } from "./user.ts";

const RANK: Readonly<Record<Permission, number>> = { r: 1, rw: 2, a: 3 };

/** As far as permissions depend on a workspace. */
export interface OwnedWorkspace {
	readonly id: string;
	readonly owners: readonly string[];
}

/** What the user's token itself grants on a workspace; undefined: nothing. */
export function granted(user: User, workspace: string): Permission | undefined {
	return stronger(user.scope.workspaces["*"], user.scope.workspaces[workspace]);
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
	if (user.is_anonymous) return id === `ws-user-${user.id}`;
	// A child token stands for itself only: its parent's workspaces are not its own.
	if (user.parent) return false;
	return (
		owners.includes(user.id) ||
		(user.email !== null && owners.includes(user.email)) ||
		id === `ws-user-${user.id}`
	);
}

export function atLeast(held: Permission | undefined, needed: Permission): boolean {
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
