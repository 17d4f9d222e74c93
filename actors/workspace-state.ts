/**
 * What a workspace actor remembers, the commands it takes, and how a command's outcome is written down.
 * Owns these shapes only; the rules are in the workspace-*.ts files beside, the lifecycle in workspace.ts.
 */
import { type Address, addressOf } from "../runtime/address.ts";
import type { Effect, ReplyResult } from "../runtime/effect.ts";
import type { EventMeta } from "../runtime/machine-behaviour.ts";
import type { Event } from "../runtime/message.ts";
import type { User } from "./user.ts";
import type { SystemEvent } from "./workspace-events.ts";
import type { LoggedEvent } from "./workspace-history.ts";
import type { WorkspaceRecord } from "./workspace-record.ts";
import type { ServiceRecord } from "./workspace-service-record.ts";
import type { Table } from "./workspace-table.ts";

export interface Member {
	/** Of the connection that joined last; goodbyes of older ones are late and ignored. */
	readonly generation: number;
	readonly user: User;
}

export interface WorkspaceContext {
	readonly address: Address;
	readonly name: string;
	/** Null while the workspace does not exist. */
	readonly record: WorkspaceRecord | null;
	readonly members: Table<Member>;
	/** By client, then by service name: leaving drops one branch, registering copies one branch. */
	readonly services: Table<Table<ServiceRecord>>;
	/** Clients by event name, in the order they subscribed. */
	readonly subscribers: Table<readonly string[]>;
	/** What members wrote down, newest last; within bounds. */
	readonly logged: readonly LoggedEvent[];
	/** Hash of a revoked token → milliseconds since 1970 at which it expires anyway. Outlives the record. */
	readonly revoked: Table<number>;
}

/** Who asks, as the gateway knows it from the connection. */
export interface Caller {
	readonly client: string;
	readonly workspace: string;
	readonly user: User;
}

interface Command {
	readonly meta: EventMeta;
}

type Fields = Readonly<Record<string, unknown>>;

/** Of the gateway that asks: in the command, so that a replay does not depend on options. */
export interface Limits {
	readonly clientsPerWorkspace: number;
	readonly connectionsPerUser: number;
}

export const LIMITS_DEFAULT: Limits = { clientsPerWorkspace: 1_000, connectionsPerUser: 200 };

export interface JoinEvent extends Command {
	readonly type: "member.join";
	readonly client: string;
	readonly generation: number;
	readonly user: User;
	readonly tokenHash?: string;
	readonly ensure?: { readonly record: Fields };
	/** Absent in old histories. */
	readonly limits?: Limits;
}
export interface LeaveEvent extends Command {
	readonly type: "member.leave";
	readonly client: string;
	readonly generation: number;
	readonly reason: string;
	/** It was over its user's limit and never in: nobody is told of its leaving. */
	readonly refused?: boolean;
}
export interface RegisterEvent extends Command {
	readonly type: "service.register";
	readonly service: unknown;
	readonly caller: Caller;
}
export interface UnregisterEvent extends Command {
	readonly type: "service.unregister";
	readonly service_id: unknown;
	readonly caller: Caller;
}
export interface SubscriptionEvent extends Command {
	readonly type: "events.subscribe" | "events.unsubscribe";
	readonly types: unknown;
	readonly caller: Caller;
}
export interface AnnounceEvent extends Command {
	/** A system event for this workspace's subscribers, from another workspace. */
	readonly type: "events.announce";
	readonly event: SystemEvent;
	readonly data: unknown;
}
export interface LogEvent extends Command {
	readonly type: "events.log";
	readonly event: unknown;
	readonly data: unknown;
	readonly caller: Caller;
}
export interface RevokeEvent extends Command {
	readonly type: "token.revoke";
	readonly hash: string;
	/** Milliseconds since 1970. */
	readonly expiresAt: number;
}
export interface SetEnvEvent extends Command {
	readonly type: "env.set";
	readonly key: unknown;
	/** Null removes. */
	readonly value: unknown;
	readonly caller: Caller;
}
export interface BookmarkEvent extends Command {
	readonly type: "bookmark.add" | "bookmark.remove";
	readonly item: unknown;
	/** Absent: told by another workspace. */
	readonly caller?: Caller;
}
export interface ServiceTypeEvent extends Command {
	readonly type: "serviceType.register";
	readonly serviceType: unknown;
	readonly caller: Caller;
}
export interface KickEvent extends Command {
	readonly type: "member.kick";
	readonly client: string;
	readonly reason: string;
	readonly caller: Caller;
}
export interface UnloadEvent extends Command {
	readonly type: "workspace.unload";
	readonly caller: Caller;
}
export interface CreateEvent extends Command {
	readonly type: "workspace.create";
	readonly record: Fields;
	readonly overwrite: boolean;
	readonly caller: Caller;
}
export interface DeleteEvent extends Command {
	readonly type: "workspace.delete";
	readonly caller: Caller;
}

/** From another server's store, by an operator. */
export interface ImportEvent extends Command {
	readonly type: "workspace.import";
	readonly record: Fields;
	readonly overwrite: boolean;
}
export interface ImportClientEvent extends Command {
	readonly type: "workspace.importClient";
	readonly client: string;
	readonly user: User;
	/** By name; more may follow in further events. */
	readonly services: Fields;
	/** How long the client has to come, milliseconds. */
	readonly resumeWindowMs: number;
}

export type WorkspaceEvent =
	| ImportEvent
	| ImportClientEvent
	| JoinEvent
	| LeaveEvent
	| RegisterEvent
	| UnregisterEvent
	| SubscriptionEvent
	| AnnounceEvent
	| LogEvent
	| RevokeEvent
	| SetEnvEvent
	| BookmarkEvent
	| ServiceTypeEvent
	| KickEvent
	| UnloadEvent
	| CreateEvent
	| DeleteEvent;

/** What a command does: changed parts of the state, and effects. */
export interface Outcome {
	readonly change?: Partial<WorkspaceContext>;
	readonly effects: readonly WorkspaceEffect[];
}

export type WorkspaceEffect = Extract<Effect, { type: "tell" | "post" | "reply" | "drop" }>;

export const NOTHING: Outcome = { effects: [] };

/** A reply to the command's sender, if it waits for one. */
export function answer(meta: EventMeta, value: unknown): readonly WorkspaceEffect[] {
	return replyWith(meta, { ok: true, value });
}

export function refuse(meta: EventMeta, error: string): readonly WorkspaceEffect[] {
	return replyWith(meta, { ok: false, error });
}

function replyWith(meta: EventMeta, result: ReplyResult): readonly WorkspaceEffect[] {
	return meta.replyTo ? [{ type: "reply", to: meta.replyTo, result }] : [];
}

export function tell(to: Address, event: Event): WorkspaceEffect {
	return { type: "tell", to, event };
}

export function clientAddress(context: WorkspaceContext, client: string): Address {
	return addressOf("client", context.name, client);
}

export function initialContext(address: Address): WorkspaceContext {
	return {
		address,
		name: address.slice(address.indexOf("/") + 1),
		record: null,
		members: {},
		services: {},
		subscribers: {},
		logged: [],
		revoked: {},
	};
}
