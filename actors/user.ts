/**
 * The user record as it stands in tokens, messages and `connection_info` (auth.md §2). Owns its shape.
 */

export type Permission = "r" | "rw" | "a";

export interface Scope {
	readonly current_workspace: string | null;
	/** By workspace id; `*` means every workspace. */
	readonly workspaces: Readonly<Record<string, Permission>>;
	readonly client_id: string | null;
	readonly extra_scopes: readonly string[];
}

export interface User {
	readonly id: string;
	readonly roles: readonly string[];
	readonly is_anonymous: boolean;
	readonly scope: Scope;
	readonly email: string | null;
	/** Root of the chain of tokens this user was made from. */
	readonly parent: string | null;
	/** Seconds since 1970. */
	readonly expires_at: number | null;
	readonly current_workspace: string | null;
}
