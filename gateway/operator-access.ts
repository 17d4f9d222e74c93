/**
 * Who may use the operator's routes: whoever administers the root workspace, and to look alone, whoever may write in it.
 * Owns that the token comes in the header, where no page of another origin can put it; what it is enough for is decided
 * in actors/permission.ts, as everywhere.
 */
import { may, type Operation } from "../actors/permission.ts";
import { ROOT_WORKSPACE } from "./admin-service.ts";
import { admitted, type HttpCallerParts, tokenOf } from "./http-caller.ts";
import { type Exchange, HttpError } from "./http-exchange.ts";
import { Identity } from "./identity.ts";
import { rootUser } from "./tokens.ts";

export type OperatorNeed = Extract<Operation, "operator.read" | "administer">;

/** Of root, who needs no place in a workspace to be answered. */
const ROOT_CLIENT = "operator";

/** Throws HttpError 401 and 403, and 429 as for every caller. */
export async function operatorOf(
	exchange: Exchange,
	need: OperatorNeed,
	parts: HttpCallerParts,
): Promise<Identity> {
	// Browsers send the other schemes and cookies along by themselves, whatever page asks.
	if (!/^bearer\s/i.test(exchange.header("authorization") ?? "")) {
		parts.limits.request(exchange, undefined);
		const headers = { "www-authenticate": 'Bearer realm="mycelog operator"' };
		throw new HttpError(401, "an operator's token is needed: Authorization: Bearer TOKEN", headers);
	}
	const { user, ...caller } = await callerOf(exchange, parts);
	if (may(need, user, { id: ROOT_WORKSPACE, owners: ["root"] })) {
		return new Identity(caller.workspace, caller.client, user);
	}
	throw new HttpError(403, `PermissionError: ${need} takes a token of the workspace ${ROOT_WORKSPACE}`);
}

/** The root token cannot be revoked, so no actor is asked about it: it works while mailboxes stand still. */
async function callerOf(
	exchange: Exchange,
	parts: HttpCallerParts,
): Promise<Pick<Identity, "workspace" | "client" | "user">> {
	if (parts.tokens.isRoot(tokenOf(exchange) ?? "")) {
		return { workspace: ROOT_WORKSPACE, client: ROOT_CLIENT, user: rootUser() };
	}
	const { workspace, client, user } = await admitted(exchange, ROOT_WORKSPACE, parts);
	return { workspace, client, user };
}
