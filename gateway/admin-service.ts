/**
 * `ws-user-root/admin-utils`: what the operator's own clients can do to the whole server (services.md §8).
 * Owns its methods; each of them is checked again where it is done.
 */
import { deniedText, may } from "../actors/permission.ts";
import { command, type ManagerContext, type ManagerMethods, text } from "./manager-context.ts";
import { kickOut } from "./manager-upkeep.ts";
import { readableWorkspace, workspaceMethods } from "./manager-workspaces.ts";
import { notOffered } from "./method-table.ts";
import type { OwnService } from "./own-services.ts";

export const ROOT_WORKSPACE = "ws-user-root";
/** The only close code that keeps a client from coming back at once. */
const KICKED_CODE = 1008;

const NOT_OFFERED = {
	get_metrics: [],
	get_resource_usage: [],
	block_user: ["user_id", "reason"],
	unblock_user: ["user_id"],
	block_ip: ["ip", "reason"],
	unblock_ip: ["ip"],
	list_blocked: [],
} as const;

const adminMethods: ManagerMethods = guarded({
	list_servers: {
		parameters: [],
		required: 0,
		doc: "List the nodes that take part now.",
		run: async (_, context) => context.node.names(),
	},
	list_workspaces: {
		...(workspaceMethods["list_workspaces"] as ManagerMethods[string]),
		doc: "List the workspaces of all users.",
	},
	kickout_client: {
		parameters: ["workspace", "client_id", "code", "reason"],
		required: 2,
		doc: "Disconnect a client of any workspace for good.",
		run: async ({ workspace, client_id, code, reason }, context) => {
			if (code !== undefined && code !== null && code !== KICKED_CODE) {
				throw new Error(
					`ValueError: code must be ${KICKED_CODE}: with others the client would come back at once`,
				);
			}
			const from = readableWorkspace(text(workspace, "workspace"), context);
			return kickOut(from, text(client_id, "client_id"), reason, context);
		},
	},
	unload_workspace: {
		parameters: ["workspace"],
		required: 1,
		doc: "Disconnect all clients of a workspace; a temporary one ends.",
		run: async ({ workspace }, context) => {
			const id = readableWorkspace(text(workspace, "workspace"), context);
			await command(context, id, { type: "workspace.unload" });
			return null;
		},
	},
	...notOffered(NOT_OFFERED),
});

export const ADMIN_UTILS: OwnService = {
	id: "admin-utils",
	workspace: ROOT_WORKSPACE,
	name: "Admin utilities",
	description: "What the operator can do to the whole server.",
	type: "admin-utils",
	visibility: "protected",
	methods: adminMethods,
	mayHave: isAdmin,
};

export function isAdmin({ caller }: ManagerContext): boolean {
	return may("administer", caller.user, { id: ROOT_WORKSPACE, owners: ["root"] });
}

function requireAdmin(context: ManagerContext): void {
	if (!isAdmin(context)) throw new Error(deniedText(ROOT_WORKSPACE));
}

/** Whoever got hold of a method's name has not got the right to call it. */
function guarded(methods: ManagerMethods): ManagerMethods {
	return Object.fromEntries(
		Object.entries(methods).map(([name, method]) => [
			name,
			{
				...method,
				run: async (args, context) => {
					requireAdmin(context);
					return method.run(args, context);
				},
			},
		]),
	);
}
