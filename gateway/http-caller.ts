/**
 * Who makes an HTTP request: from its token to the identity that services see. Owns that step alone; what the caller may
 * do is decided in actors/, as for every transport.
 */
import { randomBytes } from "node:crypto";
import { granted } from "../actors/permission.ts";
import type { User } from "../actors/user.ts";
import { homeOf } from "../actors/workspace-state.ts";
import type { Exchange } from "./http-exchange.ts";
import { HttpError } from "./http-exchange.ts";
import { Identity } from "./identity.ts";
import type { Tokens } from "./tokens.ts";

/** Whose requests without a token are, in upstream's words; it may read what is public and owns nothing. */
const ANONYMOUS_ID = "anonymouz-http";
const ANONYMOUS_WORKSPACE = "ws-anonymous";
const COOKIE = "access_token";

export interface HttpCaller {
	readonly identity: Identity;
	/** As it was presented; undefined: anonymous. */
	readonly token: string | undefined;
}

/** Throws HttpError 401 for a token that is there and no good. `workspace`: of the address asked for. */
export async function callerOf(exchange: Exchange, workspace: string, tokens: Tokens): Promise<HttpCaller> {
	const token = tokenOf(exchange);
	const client = `client-${randomBytes(6).toString("hex")}`;
	if (token === undefined) {
		return { identity: new Identity(ANONYMOUS_WORKSPACE, client, anonymous()), token };
	}
	let user: User;
	try {
		user = await tokens.parse(token);
	} catch (error) {
		throw new HttpError(401, (error as Error).message);
	}
	const home = granted(user, workspace) ? workspace : homeOf(user);
	return { identity: new Identity(user.scope.current_workspace ?? home, client, user), token };
}

/** Bearer, Basic with any user, or the token alone; else the cookie. */
function tokenOf(exchange: Exchange): string | undefined {
	const header = exchange.header("authorization")?.trim();
	if (header) {
		const [scheme = "", rest = ""] = header.split(/\s+/, 2);
		if (/^bearer$/i.test(scheme)) return rest;
		if (/^basic$/i.test(scheme)) return rest.slice(rest.indexOf(":") + 1);
		return header;
	}
	for (const pair of (exchange.header("cookie") ?? "").split(";")) {
		const at = pair.indexOf("=");
		if (pair.slice(0, at).trim() === COOKIE) return decodeURIComponent(pair.slice(at + 1).trim());
	}
	return undefined;
}

function anonymous(): User {
	return {
		id: ANONYMOUS_ID,
		roles: ["anonymous"],
		is_anonymous: true,
		scope: {
			current_workspace: ANONYMOUS_WORKSPACE,
			workspaces: { [ANONYMOUS_WORKSPACE]: "r" },
			client_id: null,
			extra_scopes: [],
		},
		email: null,
		parent: null,
		expires_at: null,
		current_workspace: ANONYMOUS_WORKSPACE,
	};
}
