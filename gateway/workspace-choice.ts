/**
 * Which workspace a connecting user joins (connection.md §3). Owns that choice and the records of workspaces
 * that are made on first use; whether the user may join is the workspace actor's decision.
 */
import { homeOf, type User } from "../actors/user.ts";

export interface WorkspaceChoice {
	readonly id: string;
	/** Made if it does not exist yet. */
	readonly ensure?: { readonly record: Readonly<Record<string, unknown>> };
}

/** Throws with upstream's words where token and wish disagree. */
export function chooseWorkspace(user: User, wanted: string | undefined): WorkspaceChoice {
	const bound = user.scope.current_workspace;
	if (bound && wanted && wanted !== bound) {
		throw new Error(`Workspace mismatch: the token is for ${bound}, not for ${wanted}`);
	}
	const own = homeOf(user);
	const chosen = bound ?? wanted ?? own;
	const id = chosen === "public" && !user.scope.workspaces["public"] ? own : chosen;
	// Nobody else's: whoever founds a workspace owns it.
	return id === own ? { id, ensure: { record: personalWorkspace(id, user) } } : { id };
}

function personalWorkspace(id: string, user: User): Record<string, unknown> {
	return {
		type: "workspace",
		id,
		name: id,
		description: `Personal workspace of ${user.id}`,
		persistent: !user.is_anonymous,
		owners: [user.id, "root"],
		read_only: false,
		config: {},
	};
}
