/**
 * Words that only the server says. Owns the list of message types and second-segment keys that receivers believe,
 * for frames that come whole (router.ts) and in chunks (chunk-scan.ts) alike.
 */

/** Receivers merge the second segment over the first: these keys there would undo what the gateway wrote. */
const FORGEABLE = new Set(["type", "from", "to", "ws", "user", "ctx", "method", "session", "parent"]);

/**
 * Clients act on these whoever sends them: `client_disconnected` and `peer_not_found` make a receiver give up its
 * calls to a peer, services and workspaces that come and go are what applications keep their lists by.
 */
const SERVER_TYPES = new Set([
	"client_connected",
	"client_disconnected",
	"client_updated",
	"force-exit",
	"peer_not_found",
	"service_added",
	"service_removed",
	"service_updated",
	"workspace_changed",
	"workspace_deleted",
	"workspace_loaded",
	"workspace_ready",
	"workspace_status_changed",
	"workspace_unloaded",
]);

export function isForgeable(key: string): boolean {
	return FORGEABLE.has(key);
}

export function isServerType(type: string): boolean {
	return SERVER_TYPES.has(type);
}

export function serverTypeText(type: string): string {
	return `PermissionError: only the server sends "${type}"`;
}
