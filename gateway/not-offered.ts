/**
 * Parts of Hypha that this server does not have: those who look for them are told so, instead of that nothing was found.
 * Owns their names, as HTTP addresses and as services in `public`.
 */

/** The first part of an address behind the workspace, with what is served there elsewhere. */
export const PATHS_NOT_OFFERED = {
	apps: "apps and ASGI services are",
	artifacts: "artifacts are",
	files: "file storage (S3) is",
	s3: "file storage (S3) is",
	git: "git is",
	vectors: "vector search is",
	mcp: "MCP is",
	a2a: "A2A is",
} as const satisfies Readonly<Record<string, string>>;

const SERVICES_NOT_OFFERED: ReadonlySet<string> = new Set([
	"agent-skills",
	"artifact-manager",
	"queue",
	"s3-storage",
	"server-apps",
	"triton-client",
	"vector-search",
]);

/** Throws for a service of the server itself that this one does not have. */
export function refuseNotOffered(workspace: string, service: string): void {
	if (workspace !== "public" || !SERVICES_NOT_OFFERED.has(service)) return;
	throw new Error(`NotImplementedError: the service ${workspace}/${service} is not offered by this server`);
}
