/**
 * Manager methods about the workspace's history and its service types. Owns their names and parameters; what is kept
 * and who sees it is the workspace's.
 */
import { workspaceIdProblem } from "../actors/service-id.ts";
import {
	command,
	type ManagerContext,
	type ManagerMethod,
	type ManagerMethods,
	query,
	text,
} from "./manager-context.ts";
import { readableWorkspace } from "./manager-workspaces.ts";

export const historyMethods: ManagerMethods = {
	log: {
		parameters: ["msg"],
		required: 1,
		doc: "Write a message into the workspace's history.",
		run: ({ msg }, context) =>
			command(context, context.caller.workspace, { type: "events.log", event: "log", data: msg }),
	},
	log_event: {
		parameters: ["event_type", "data"],
		required: 1,
		doc: "Write an event into the workspace's history.",
		run: ({ event_type: event, data }, context) =>
			command(context, context.caller.workspace, { type: "events.log", event, data: data ?? null }),
	},
	get_events: logged("events.logged", "Get what you wrote into the workspace's history."),
	get_event_stats: logged(
		"events.loggedCount",
		"Count what you wrote into the workspace's history, by type.",
	),
	register_service_type: {
		parameters: ["type_info"],
		required: 1,
		doc: "Keep a description that services can be checked against: {id, name?, definition, …}.",
		run: ({ type_info: serviceType }, context) =>
			command(context, context.caller.workspace, { type: "serviceType.register", serviceType }),
	},
	get_service_type: {
		parameters: ["type_id"],
		required: 1,
		doc: "Get a service type of this workspace, or of another one as workspace/type.",
		run: ({ type_id }, context) => {
			const { workspace, id } = typeId(type_id, context);
			return query(context, workspace, { type: "serviceType.find", id });
		},
	},
	list_service_types: {
		parameters: ["workspace"],
		required: 0,
		doc: "List the service types of a workspace.",
		run: ({ workspace }, context) =>
			query(context, readableWorkspace(workspace, context), { type: "serviceType.list" }),
	},
};

/** A question about what was written in a time. */
function logged(type: string, doc: string): ManagerMethod {
	return {
		parameters: ["event_type", "start_time", "end_time"],
		required: 0,
		doc,
		run: ({ event_type: event, start_time: from, end_time: to }, context) =>
			query(context, context.caller.workspace, { type, event, from, to }),
	};
}

function typeId(value: unknown, { caller }: ManagerContext): { workspace: string; id: string } {
	const full = text(value, "type_id");
	const slash = full.indexOf("/");
	if (slash < 0) return { workspace: caller.workspace, id: full };
	const workspace = full.slice(0, slash);
	const problem = workspaceIdProblem(workspace, true);
	if (problem) throw new Error(`ValueError: ${problem}`);
	return { workspace, id: full.slice(slash + 1) };
}
