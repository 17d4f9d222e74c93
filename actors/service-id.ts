/**
 * The grammar of service, client and workspace ids: `[workspace/][client:]service[@app]` (services.md §4, §7).
 * Owns parsing and formatting; what an id refers to is the registry's matter.
 */

export interface ServiceId {
	readonly workspace: string | undefined;
	readonly client: string | undefined;
	readonly service: string;
	readonly app: string | undefined;
}

/** Characters of an id part. Generated ids have 22; the bound keeps keys small. */
export const ID_CHARACTERS_MAX = 200;

const CLIENT_ID = /^[A-Za-z0-9._-]+$/;
const WORKSPACE_ID = /^[a-z0-9-|]+$/;

/** Throws `ValueError: …` in upstream's manner. */
export function parseServiceId(text: unknown): ServiceId {
	if (typeof text !== "string" || text === "")
		throw new Error("ValueError: Service id must be a non-empty string");
	const [path, app, ...moreApps] = text.split("@");
	const [first, second, ...moreSlashes] = (path as string).split("/");
	const local = second ?? (first as string);
	const [left, right, ...moreColons] = local.split(":");
	const tooMany = moreApps.length + moreSlashes.length + moreColons.length > 0;
	const misplaced = /[/:]/.test(app ?? "") || (second !== undefined && first?.includes(":"));
	if (tooMany || misplaced) {
		throw new Error(
			`ValueError: Invalid service id: ${text.slice(0, 80)} (at most one "/", ":" and "@" each)`,
		);
	}
	const service = right ?? (left as string);
	if (service === "")
		throw new Error(`ValueError: Invalid service id: ${text.slice(0, 80)} (no service name)`);
	return {
		workspace: second === undefined ? undefined : (first as string),
		client: right === undefined ? undefined : (left as string),
		service,
		app,
	};
}

/** Why a client id is refused; undefined: it is fine. */
export function clientIdProblem(id: string): string | undefined {
	if (id === "") return "Missing client_id";
	if (id.length > ID_CHARACTERS_MAX) return `Invalid client_id: longer than ${ID_CHARACTERS_MAX} characters`;
	if (!CLIENT_ID.test(id))
		return `Invalid client_id: ${id.slice(0, 80)} (allowed: letters, digits, ".", "_", "-")`;
	return undefined;
}

/** Why a workspace id is refused; undefined: it is fine. Root may leave out the hyphen. */
export function workspaceIdProblem(id: string, root: boolean): string | undefined {
	if (!WORKSPACE_ID.test(id) || id.length > ID_CHARACTERS_MAX) {
		return `Invalid workspace name: ${id.slice(0, 80)}, only lowercase letters, numbers and hyphens are allowed`;
	}
	if (!root && !id.includes("-")) {
		return "Workspace name must contain at least one hyphen (e.g. my-workspace).";
	}
	return undefined;
}
