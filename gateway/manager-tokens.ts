/**
 * Manager methods about tokens: issue, read, revoke (auth.md §5).
 * Owns what a request for a token may hold and whose tokens one may revoke; signing is tokens.ts.
 */
import { deniedText, type OwnedWorkspace } from "../actors/permission.ts";
import { clientIdProblem } from "../actors/service-id.ts";
import type { User } from "../actors/user.ts";
import { hashOf } from "./handshake.ts";
import {
	type Arguments,
	command,
	type ManagerContext,
	type ManagerMethods,
	options,
	query,
	text,
} from "./manager-context.ts";
import { readableWorkspace } from "./manager-workspaces.ts";
import { TOKEN_SECONDS_DEFAULT } from "./tokens.ts";

/** Extra words in a token's scope. */
const EXTRA_SCOPES_MAX = 100;
/** Words with a meaning of their own: as "extra" ones they would grant what the caller does not hold. */
const RESERVED_SCOPE = /^(ws|wid|cid):/;

export const tokenMethods: ManagerMethods = {
	generate_token: {
		parameters: ["config"],
		required: 0,
		doc: "Make a token: {workspace?, permission?: read | read_write | admin, expires_in?, client_id?, extra_scopes?}.",
		run: generateToken,
	},
	parse_token: {
		parameters: ["token"],
		required: 1,
		doc: "Get the user a token stands for.",
		run: parseToken,
	},
	revoke_token: {
		parameters: ["token"],
		required: 1,
		doc: "Make a token useless for new connections.",
		run: revokeToken,
	},
};

async function generateToken(args: Arguments, context: ManagerContext): Promise<string> {
	const config = options(args["config"], "config");
	const { user } = context.caller;
	const { email, client_id, expires_in } = config;
	if (email !== undefined && email !== null) {
		throw new Error(
			user.roles.includes("admin")
				? "NotImplementedError: TokenConfig.email is not offered by this server"
				: "PermissionError: Only callers with the 'admin' role may set TokenConfig.email",
		);
	}
	const clientId = client_id === undefined || client_id === null ? undefined : text(client_id, "client_id");
	const problem = clientId === undefined ? undefined : clientIdProblem(clientId);
	if (problem) throw new Error(`ValueError: ${problem}`);
	const permission = text(config["permission"] ?? "read_write", "permission");
	const workspace = readableWorkspace(config["workspace"], context);
	return context.tokens.issue(user, {
		workspace: await ownedWorkspace(workspace, context),
		permission,
		expiresInSeconds: typeof expires_in === "number" ? expires_in : expiryDefault(expires_in),
		clientId,
		extraScopes: extraScopes(config["extra_scopes"]),
	});
}

/** Another workspace's token may be read there only. Throws with the words of upstream's HTTP errors. */
async function parseToken({ token }: Arguments, context: ManagerContext): Promise<User> {
	const presented = text(token, "token");
	const user = await context.tokens.parse(presented);
	const { workspace } = context.caller;
	const bound = user.scope.current_workspace;
	if (bound && bound !== workspace) {
		throw new Error(`PermissionError: Token is not authorized for workspace '${workspace}'`);
	}
	if (await query(context, workspace, { type: "token.revoked", hash: hashOf(presented) })) {
		throw new Error("ValueError: Token has been revoked");
	}
	return user;
}

/** Upstream lets any user revoke any token; here it must be one's own, or good only where one is admin. */
async function revokeToken({ token }: Arguments, context: ManagerContext): Promise<null> {
	const presented = text(token, "token");
	const user = await context.tokens.parse(presented);
	if (user.expires_at === null) throw new Error("ValueError: A token that never expires cannot be revoked");
	const { current_workspace: bound, workspaces } = user.scope;
	if (!bound && "*" in workspaces) {
		throw new Error("ValueError: A token for all workspaces cannot be revoked; change the server's secret");
	}
	const targets = bound ? [bound] : Object.keys(workspaces);
	for (const target of user.id === context.caller.user.id ? [] : targets) {
		const status = await query(context, target, { type: "workspace.status" });
		if (options(status, "status")["user_permission"] !== "a") throw new Error(deniedText(target));
	}
	const event = { type: "token.revoke", hash: hashOf(presented), expiresAt: user.expires_at * 1000 };
	for (const target of targets) await command(context, target, event);
	return null;
}

async function ownedWorkspace(workspace: string, context: ManagerContext): Promise<OwnedWorkspace> {
	try {
		return (await query(context, workspace, { type: "workspace.info" })) as OwnedWorkspace;
	} catch (error) {
		if (!(error as Error).message.startsWith("PermissionError")) throw error;
		throw new Error(`PermissionError: You do not have any permission for workspace: ${workspace}`);
	}
}

function expiryDefault(value: unknown): number {
	if (value === undefined || value === null) return TOKEN_SECONDS_DEFAULT;
	throw new Error("ValueError: expires_in must be a number of seconds");
}

function extraScopes(value: unknown): readonly string[] {
	if (value === undefined || value === null) return [];
	if (!Array.isArray(value) || value.length > EXTRA_SCOPES_MAX) {
		throw new Error(`ValueError: extra_scopes must be a list of at most ${EXTRA_SCOPES_MAX} words`);
	}
	for (const scope of value) {
		if (typeof scope !== "string" || !/^\S+$/.test(scope) || RESERVED_SCOPE.test(scope)) {
			throw new Error(`ValueError: Invalid extra scope: ${String(scope).slice(0, 80)}`);
		}
	}
	return value;
}
