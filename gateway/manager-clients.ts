/**
 * Manager methods about clients and events: who is there, are they alive, what to be told of.
 * Owns the words of a failed ping; subscriptions and members are the workspace's.
 */
import { clientIdProblem, workspaceIdProblem } from "../actors/service-id.ts";
import {
	type Arguments,
	command,
	type ManagerContext,
	type ManagerMethods,
	milliseconds,
	query,
	text,
} from "./manager-context.ts";
import { readableWorkspace } from "./manager-workspaces.ts";

/** For a client to answer a ping, seconds. */
export const PING_SECONDS_DEFAULT = 5;
export const PING_SECONDS_MAX = 60;

export const clientMethods: ManagerMethods = {
	echo: {
		parameters: ["data"],
		required: 1,
		doc: "Get back what is sent.",
		run: async ({ data }) => data,
	},
	ping: {
		parameters: ["client_id", "timeout"],
		required: 1,
		doc: "Ask a client whether it is alive: 'pong' or why not.",
		run: ping,
	},
	list_clients: {
		parameters: ["workspace"],
		required: 0,
		doc: "List the clients of a workspace with their users.",
		run: ({ workspace }, context) =>
			query(context, readableWorkspace(workspace, context), { type: "client.list" }),
	},
	subscribe: {
		parameters: ["event_type"],
		required: 1,
		doc: "Be told of events of these types in this workspace.",
		run: ({ event_type }, context) =>
			command(context, context.caller.workspace, { type: "events.subscribe", types: event_type }),
	},
	unsubscribe: {
		parameters: ["event_type"],
		required: 1,
		doc: "Be told no more of events of these types.",
		run: ({ event_type }, context) =>
			command(context, context.caller.workspace, { type: "events.unsubscribe", types: event_type }),
	},
};

/** Never rejects for a client that does not answer: that is the answer. */
async function ping({ client_id, timeout }: Arguments, context: ManagerContext): Promise<string> {
	const id = text(client_id, "client_id");
	const slash = id.indexOf("/");
	const workspace = slash < 0 ? context.caller.workspace : id.slice(0, slash);
	const client = id.slice(slash + 1);
	const problem = workspaceIdProblem(workspace, true) ?? clientIdProblem(client);
	if (problem) throw new Error(`ValueError: ${problem}`);
	const timeoutMs = milliseconds(timeout, "timeout", PING_SECONDS_DEFAULT, PING_SECONDS_MAX);
	// Asked for its check alone: the client's answer is for readers of its workspace.
	await query(context, workspace, { type: "workspace.info" });
	try {
		return (await context.callClient(
			workspace,
			client,
			"services.built-in.ping",
			["ping"],
			timeoutMs,
		)) as string;
	} catch (error) {
		return `Failed to ping client ${workspace}/${client}: ${(error as Error).message}`;
	}
}
