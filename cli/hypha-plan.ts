/**
 * What of a Hypha's store becomes which messages here, and what stays behind for which reason. Pure: owns the choice;
 * reading is hypha-store.ts, writing hypha-import.ts.
 */
import { decodeJwt } from "jose";
import { clientIdProblem, workspaceIdProblem } from "../actors/service-id.ts";
import type { User } from "../actors/user.ts";
import { hashOf } from "../gateway/handshake.ts";
import type { Event } from "../runtime/message.ts";
import type { HyphaService, HyphaStore } from "./hypha-store.ts";

/** Characters of one client's services in one message, as JSON; the log bounds a record. */
const SERVICES_CHARACTERS_MAX = 400_000;
/** Every server makes its own. */
const SERVER_WORKSPACES: ReadonlySet<string> = new Set(["public", "ws-anonymous"]);

export type Kind = "workspace" | "client" | "revocation";

/** One thing to take over: the messages for its workspace's mailbox, in order. */
export interface Item {
	readonly kind: Kind;
	/** As the report names it. */
	readonly name: string;
	readonly workspace: string;
	readonly events: readonly Event[];
}

export interface Left {
	readonly kind: Kind | "service";
	readonly name: string;
	readonly why: string;
}

export interface Plan {
	readonly items: readonly Item[];
	readonly left: readonly Left[];
}

export interface PlanOptions {
	readonly overwrite: boolean;
	/** How long clients have to come here, milliseconds; 0: they and their services are not taken over. */
	readonly waitForClientsMs: number;
}

export function planImport(store: HyphaStore, options: PlanOptions): Plan {
	const left: Left[] = store.damaged.map((name) => ({ kind: "service", name, why: "cannot be read" }));
	const clients = clientsOf(store.services, left);
	const taken = options.waitForClientsMs > 0 ? clients : [];
	const workspaces: Item[] = [];
	for (const record of store.workspaces) {
		const id = String(record["id"]);
		const inUse = taken.some(({ workspace }) => workspace === id);
		const why = leftBehind(id, record, inUse);
		if (why) left.push({ kind: "workspace", name: id, why });
		else workspaces.push(workspaceItem(id, record, options.overwrite));
	}
	const known = new Set(workspaces.map(({ workspace }) => workspace));
	const items = [...workspaces];
	for (const client of taken) {
		const item = clientItem(client, options.waitForClientsMs);
		if (!known.has(client.workspace)) {
			left.push({ kind: "client", name: item.name, why: "its workspace is not taken over" });
		} else items.push(item);
	}
	for (const token of store.revokedTokens) items.push(...revocations(token, left));
	return { items, left };
}

interface Client {
	readonly workspace: string;
	readonly client: string;
	readonly user: User;
	readonly services: Readonly<Record<string, unknown>>;
}

function clientsOf(services: readonly HyphaService[], left: Left[]): readonly Client[] {
	const byClient = Map.groupBy(services, ({ id }) => id.slice(0, id.lastIndexOf(":")));
	const clients: Client[] = [];
	for (const [peer, own] of byClient) {
		const slash = peer.indexOf("/");
		const [workspace, client] = [peer.slice(0, slash), peer.slice(slash + 1)];
		const names = new Map(own.map(({ id, record }) => [id.slice(id.lastIndexOf(":") + 1), record]));
		const user = userOf(names.get("built-in"));
		const why = clientLeftBehind(workspace, client, user, names.has("admin-utils"));
		if (why) left.push({ kind: "client", name: peer, why });
		else clients.push({ workspace, client, user: user as User, services: Object.fromEntries(names) });
	}
	return clients;
}

/** The built-in service's record holds its client's whole user. */
function userOf(builtIn: HyphaService["record"] | undefined): User | undefined {
	const maker = (builtIn?.["config"] as { created_by?: Partial<User> } | undefined)?.created_by;
	const { id, scope } = maker ?? {};
	if (typeof id !== "string" || typeof scope?.workspaces !== "object") return undefined;
	const { roles = [], is_anonymous = false, email = null, parent = null, expires_at = null } = maker as User;
	const user = {
		id,
		roles,
		is_anonymous,
		email,
		parent,
		expires_at,
		current_workspace: scope.current_workspace,
	};
	if (parent === null) return { ...user, scope };
	// As its tokens are read here: what an admin made for somebody else does not make an admin.
	const { "*": _, ...workspaces } = scope.workspaces;
	return { ...user, roles: roles.filter((role) => role !== "admin"), scope: { ...scope, workspaces } };
}

function clientLeftBehind(
	workspace: string,
	client: string,
	user: User | undefined,
	isServer: boolean,
): string | undefined {
	if (SERVER_WORKSPACES.has(workspace) || isServer) return "a part of the server itself";
	if (!user) return "its user is not known";
	if (user.is_anonymous) return "anonymous: it comes by itself";
	return clientIdProblem(client);
}

function leftBehind(id: string, { persistent }: Readonly<Record<string, unknown>>, inUse: boolean) {
	if (SERVER_WORKSPACES.has(id)) return "every server makes its own";
	if (id.startsWith("ws-user-anonymouz-")) return "of an anonymous user, made again when it comes";
	if (persistent !== true && !inUse) return "temporary, and nobody is taken over with it";
	return workspaceIdProblem(id, true);
}

function workspaceItem(
	workspace: string,
	record: Readonly<Record<string, unknown>>,
	overwrite: boolean,
): Item {
	const event = { type: "workspace.import", record, overwrite };
	return { kind: "workspace", name: workspace, workspace, events: [event] };
}

function clientItem({ workspace, client, user, services }: Client, resumeWindowMs: number): Item {
	const events: Event[] = [];
	let some: Record<string, unknown> = {};
	let characters = 0;
	const close = () => {
		events.push({ type: "workspace.importClient", client, user, services: some, resumeWindowMs });
		[some, characters] = [{}, 0];
	};
	for (const [name, record] of Object.entries(services)) {
		const length = JSON.stringify(record).length;
		if (characters > 0 && characters + length > SERVICES_CHARACTERS_MAX) close();
		some[name] = record;
		characters += length;
	}
	close();
	return { kind: "client", name: `${workspace}/${client}`, workspace, events };
}

/** Where it was good; its signature is not asked for, since a revocation grants nothing. */
function revocations(token: string, left: Left[]): readonly Item[] {
	const hash = hashOf(token);
	// Tokens must not be shown; what was revoked can be told apart by this.
	const name = `token ${hash.slice(0, 12)}…`;
	try {
		const { scope, exp } = decodeJwt<{ scope?: string }>(token);
		if (typeof scope !== "string" || typeof exp !== "number") throw new Error("no scope or end");
		const words = scope.split(" ");
		const bound = words.filter((word) => word.startsWith("wid:")).map((word) => word.slice(4));
		const granted = words.flatMap((word) => /^ws:(.+)#(?:r|rw|a)$/.exec(word)?.[1] ?? []);
		const targets = (bound.length > 0 ? bound : granted).filter((id) => !workspaceIdProblem(id, true));
		if (targets.length === 0) throw new Error("it was good for no workspace");
		const event = { type: "token.revoke", hash, expiresAt: exp * 1_000 };
		return targets.map((workspace) => ({ kind: "revocation", name, workspace, events: [event] }) as const);
	} catch (error) {
		left.push({ kind: "revocation", name, why: (error as Error).message });
		return [];
	}
}
