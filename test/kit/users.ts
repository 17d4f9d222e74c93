/** Users as tokens give them, for tests of permissions. */

import type { Permission, User } from "../../actors/user.ts";
import type { Caller } from "../../actors/workspace-state.ts";

export function user(
	id: string,
	workspaces: Readonly<Record<string, Permission>> = {},
	more: Partial<User> = {},
): User {
	return {
		id,
		roles: [],
		is_anonymous: false,
		scope: {
			current_workspace: null,
			workspaces: { [`ws-user-${id}`]: "a", ...workspaces },
			client_id: null,
			extra_scopes: [],
		},
		email: `${id}@example.org`,
		parent: null,
		expires_at: null,
		current_workspace: null,
		...more,
	};
}

export function root(): User {
	return user("root", { "*": "a" }, { roles: ["admin"] });
}

export function caller(client: string, workspace: string, who: User): Caller {
	return { client, workspace, user: who };
}
