/**
 * The user record as it stands in tokens, messages and `connection_info` (auth.md §2). Owns its shape, and whose
 * connections a user's count as.
 */
import { type Address, addressOf } from "../runtime/address.ts";
import { ID_CHARACTERS_MAX } from "./service-id.ts";

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

const ROOT_ID = "root";

/** The workspace that is a user's own, by its name. */
export function homeOf({ id }: Pick<User, "id">): string {
	return `ws-user-${id}`;
}

/**
 * The actor that counts this user's connections; undefined: nobody does. Tokens a user made count with their maker,
 * or nobody would meet a limit; those that root made stand for somebody else. An anonymous user is one connection by
 * construction, and root must not be locked out.
 */
export function userAddress({ id, parent, is_anonymous }: User): Address | undefined {
	const counted = parent && parent !== ROOT_ID ? parent : id;
	if (counted === "" || counted === ROOT_ID || (is_anonymous && !parent)) return undefined;
	return addressOf("user", counted.slice(0, ID_CHARACTERS_MAX));
}
