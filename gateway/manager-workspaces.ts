/**
 * Manager methods about workspaces: make, delete, list, describe, settings.
 * Owns the quota of workspaces a user may make; records and permissions are the workspaces'.
 */
import { DIRECTORY_ADDRESS } from "../actors/directory-address.ts";
import { workspaceIdProblem } from "../actors/service-id.ts";
import { homeOf } from "../actors/user.ts";
import {
	ACTOR_ANSWER_MS_MAX,
	type Arguments,
	command,
	type ManagerContext,
	type ManagerMethods,
	options,
	query,
	text,
} from "./manager-context.ts";

export const WORKSPACES_PER_USER_MAX = 100;

export const workspaceMethods: ManagerMethods = {
	create_workspace: {
		parameters: ["config", "overwrite"],
		required: 1,
		doc: "Make a workspace: {id, name?, description?, persistent?, owners?}.",
		run: createWorkspace,
	},
	delete_workspace: {
		parameters: ["workspace"],
		required: 1,
		doc: "Delete a workspace; its clients are disconnected.",
		run: ({ workspace }, context) =>
			command(context, workspaceId(text(workspace, "workspace")), { type: "workspace.delete" }),
	},
	get_workspace_info: {
		parameters: ["workspace"],
		required: 0,
		doc: "Get the record of a workspace.",
		run: ({ workspace }, context) =>
			query(context, readableWorkspace(workspace, context), { type: "workspace.info" }),
	},
	list_workspaces: {
		parameters: ["match", "offset", "limit"],
		required: 0,
		doc: "List the workspaces you may read.",
		run: ({ match, offset, limit }, { node, caller }) => {
			const event = {
				type: "directory.list",
				user: caller.user,
				match,
				offset: offset ?? undefined,
				limit: limit ?? undefined,
			};
			return node.ask(DIRECTORY_ADDRESS, event, { kind: "query", timeoutMs: ACTOR_ANSWER_MS_MAX });
		},
	},
	check_status: {
		parameters: [],
		required: 0,
		doc: "Get the state of this workspace and your permission in it.",
		run: (_, context) => query(context, context.caller.workspace, { type: "workspace.status" }),
	},
	get_summary: {
		parameters: [],
		required: 0,
		doc: "Get counts and short records of clients and services.",
		run: (_, context) => query(context, context.caller.workspace, { type: "workspace.summary" }),
	},
	set_env: {
		parameters: ["key", "value"],
		required: 1,
		doc: "Set an environment variable of the workspace; null removes it.",
		run: ({ key, value }, context) =>
			command(context, context.caller.workspace, { type: "env.set", key, value: value ?? null }),
	},
	get_env: {
		parameters: ["key"],
		required: 0,
		doc: "Get one environment variable of the workspace, or all.",
		run: ({ key }, context) => query(context, context.caller.workspace, { type: "env.get", key }),
	},
	bookmark: {
		parameters: ["item"],
		required: 1,
		doc: "Keep a link to a workspace or service in your own workspace.",
		run: ({ item }, context) => command(context, homeOf(context.caller.user), { type: "bookmark.add", item }),
	},
	unbookmark: {
		parameters: ["item"],
		required: 1,
		doc: "Remove a link from your own workspace.",
		run: ({ item }, context) =>
			command(context, homeOf(context.caller.user), { type: "bookmark.remove", item }),
	},
};

async function createWorkspace({ config, overwrite }: Arguments, context: ManagerContext): Promise<unknown> {
	const record = options(config, "config");
	const id = text(record["id"] ?? record["name"], "id");
	const { node, caller } = context;
	const root = caller.user.scope.workspaces["*"] === "a";
	const problem = workspaceIdProblem(id, root);
	if (problem) throw new Error(`ValueError: ${problem}`);
	if (!root) {
		const event = { type: "directory.owned", user: caller.user };
		const owned = await node.ask(DIRECTORY_ADDRESS, event, { kind: "query", timeoutMs: ACTOR_ANSWER_MS_MAX });
		if ((owned as number) >= WORKSPACES_PER_USER_MAX && overwrite !== true) {
			throw new Error(`RuntimeError: A user may own at most ${WORKSPACES_PER_USER_MAX} workspaces`);
		}
	}
	return command(context, id, { type: "workspace.create", record, overwrite: overwrite === true });
}

/** The workspace asked for, or the caller's. Throws where the name could be none. */
export function readableWorkspace(workspace: unknown, { caller }: ManagerContext): string {
	return workspace === undefined || workspace === null
		? caller.workspace
		: workspaceId(text(workspace, "workspace"));
}

function workspaceId(id: string): string {
	const problem = workspaceIdProblem(id, true);
	if (problem) throw new Error(`ValueError: ${problem}`);
	return id;
}
