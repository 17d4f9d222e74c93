/**
 * Who makes an HTTP request: from its token to the identity that services see. Owns that step alone; what the caller may
 * do is decided in actors/, as for every transport.
 */
import { granted } from "../actors/permission.ts";
import { homeOf, type User, userAddress } from "../actors/user.ts";
import { addressOf } from "../runtime/address.ts";
import type { Node } from "../runtime/node.ts";
import type { CallerLimits } from "./caller-limits.ts";
import { KeysUnavailable } from "./external-tokens.ts";
import { newGuest } from "./guest.ts";
import { hashOf } from "./handshake.ts";
import { type Exchange, HttpError } from "./http-exchange.ts";
import { Identity } from "./identity.ts";
import type { Tokens } from "./tokens.ts";

/** Whose requests without a token are, in upstream's words; it may read what is public and owns nothing. */
const ANONYMOUS_ID = "anonymouz-http";
const ANONYMOUS_WORKSPACE = "ws-anonymous";
const COOKIE = "access_token";

/** An actor's answer about a token, milliseconds. */
const TOKEN_MS_MAX = 10_000;

export interface HttpCallerParts {
	readonly node: Pick<Node, "ask" | "tracing">;
	readonly tokens: Tokens;
	readonly limits: CallerLimits;
}

/**
 * Throws HttpError 401 for a token that is there and no good, or was revoked, and 429 for whoever asks too often.
 * `workspace`: of the address asked for.
 */
export async function admitted(
	exchange: Exchange,
	workspace: string,
	{ node, tokens, limits }: HttpCallerParts,
): Promise<Identity> {
	const token = tokenOf(exchange);
	if (token === undefined) {
		limits.request(exchange, undefined);
		return anonymousCaller(tokens);
	}
	let user: User;
	try {
		user = await tokens.parse(token);
	} catch (error) {
		if (error instanceof KeysUnavailable) throw new HttpError(503, error.message);
		limits.failed(exchange);
		throw new HttpError(401, (error as Error).message);
	}
	// Anonymous users are made at will, so that a place counts instead; root must not be locked out.
	const counted = userAddress(user);
	if (counted || user.is_anonymous) limits.request(exchange, counted);
	const home = granted(user, workspace) ? workspace : homeOf(user);
	const identity = guestOf(user.scope.current_workspace ?? home, user, tokens);
	const question = { type: "token.revoked", hash: hashOf(token) };
	const asked = { kind: "query", timeoutMs: TOKEN_MS_MAX } as const;
	if (await node.ask(addressOf("workspace", identity.workspace), question, asked)) {
		limits.failed(exchange);
		throw new HttpError(401, "Token has been revoked");
	}
	return identity;
}

export function anonymousCaller(tokens: Tokens): Identity {
	return guestOf(ANONYMOUS_WORKSPACE, anonymous(), tokens);
}

function guestOf(workspace: string, user: User, tokens: Tokens): Identity {
	return new Identity(
		workspace,
		newGuest(workspace, (text) => tokens.seal(text)),
		user,
	);
}

/** Bearer, Basic with any user, or the token alone; else the cookie. */
export function tokenOf(exchange: Exchange): string | undefined {
	const header = exchange.header("authorization")?.trim();
	if (header) {
		const [scheme = "", rest = ""] = header.split(/\s+/, 2);
		if (/^bearer$/i.test(scheme)) return rest;
		if (/^basic$/i.test(scheme)) return rest.slice(rest.indexOf(":") + 1);
		return header;
	}
	return exchange.cookie(COOKIE);
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
