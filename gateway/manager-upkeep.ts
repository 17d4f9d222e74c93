/**
 * Manager methods for admins of a workspace: show a client out, clear away clients that do not answer.
 * Owns the pinging; who may, the workspace decides.
 */
import { deniedText } from "../actors/permission.ts";
import { clientIdProblem } from "../actors/service-id.ts";
import { PING_SECONDS_DEFAULT, PING_SECONDS_MAX } from "./manager-clients.ts";
import {
	type Arguments,
	command,
	type ManagerContext,
	type ManagerMethods,
	milliseconds,
	options,
	query,
	text,
} from "./manager-context.ts";
import { readableWorkspace } from "./manager-workspaces.ts";

/** Clients pinged at the same time. */
const PINGS_AT_ONCE_MAX = 50;

export const upkeepMethods: ManagerMethods = {
	kickout_client: {
		parameters: ["client_id", "reason"],
		required: 1,
		doc: "Disconnect a client for good; needs admin permission in its workspace.",
		run: async ({ client_id, reason }, context) => {
			const id = text(client_id, "client_id");
			const slash = id.indexOf("/");
			const workspace = readableWorkspace(slash < 0 ? null : id.slice(0, slash), context);
			return kickOut(workspace, id.slice(slash + 1), reason, context);
		},
	},
	cleanup: {
		parameters: ["workspace", "timeout"],
		required: 0,
		doc: "Ping the clients of a workspace and disconnect those that do not answer.",
		run: cleanUp,
	},
};

/** Throws the workspace's words. */
export async function kickOut(
	workspace: string,
	client: string,
	reason: unknown,
	context: ManagerContext,
): Promise<null> {
	const problem = clientIdProblem(client);
	if (problem) throw new Error(`ValueError: ${problem}`);
	const words = reason === undefined || reason === null ? "removed by an admin" : text(reason, "reason");
	await command(context, workspace, { type: "member.kick", client, reason: words });
	return null;
}

async function cleanUp(args: Arguments, context: ManagerContext): Promise<Readonly<Record<string, unknown>>> {
	const workspace = readableWorkspace(args["workspace"], context);
	const timeoutMs = milliseconds(args["timeout"], "timeout", PING_SECONDS_DEFAULT, PING_SECONDS_MAX);
	const status = options(await query(context, workspace, { type: "workspace.status" }), "status");
	if (status["user_permission"] !== "a") throw new Error(deniedText(workspace));
	const listed = (await query(context, workspace, { type: "client.list" })) as readonly { id: string }[];
	const clients = listed.map(({ id }) => id.slice(id.indexOf("/") + 1));
	if (clients.length === 0) {
		const record = options(await query(context, workspace, { type: "workspace.info" }), "record");
		if (record["persistent"] === true) return {};
		await command(context, workspace, { type: "workspace.delete" });
		return { removed_workspace: workspace };
	}
	const removed: string[] = [];
	for (let i = 0; i < clients.length; i += PINGS_AT_ONCE_MAX) {
		const some = clients.slice(i, i + PINGS_AT_ONCE_MAX);
		const alive = await Promise.all(some.map((client) => answers(workspace, client, timeoutMs, context)));
		for (const [index, client] of some.entries()) {
			if (alive[index]) continue;
			await kickOut(workspace, client, "it did not answer a ping", context);
			removed.push(`${workspace}/${client}`);
		}
	}
	return removed.length > 0 ? { removed_clients: removed } : {};
}

function answers(
	workspace: string,
	client: string,
	timeoutMs: number,
	{ callClient }: ManagerContext,
): Promise<boolean> {
	return callClient(workspace, client, "services.built-in.ping", ["ping"], timeoutMs).then(
		() => true,
		() => false,
	);
}
