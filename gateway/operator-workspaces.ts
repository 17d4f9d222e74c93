/**
 * Operators' questions about workspaces, their clients and services. Owns the routes; the answers are the manager's, who
 * checks the same permissions as for every other caller.
 */
import type { OperatorContext, OperatorRoutes } from "./operator-api.ts";

const OF_WORKSPACE = { workspace: "its id" } as const;

export function addWorkspaceQuestions(routes: OperatorRoutes, { manager }: OperatorContext): void {
	routes.question(
		"workspaces",
		"Workspaces of all users",
		{ offset: "leave so many out", limit: "at most so many" },
		async (query, { by }) => {
			const page = { offset: query.whole("offset"), limit: query.whole("limit") };
			return { workspaces: await manager.call(by, "list_workspaces", page) };
		},
	);
	routes.question("clients", "Clients of a workspace", OF_WORKSPACE, async (query, { by }) => {
		return { clients: await manager.call(by, "list_clients", { workspace: query.needed("workspace") }) };
	});
	routes.question("services", "Services of a workspace", OF_WORKSPACE, async (query, { by }) => {
		const services = await manager.call(by, "list_services", {
			query: { workspace: query.needed("workspace") },
		});
		return { services };
	});
}
