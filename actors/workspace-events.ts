/**
 * Events of a workspace: who subscribed to what, system events to subscribers, broadcasts of clients.
 * Owns subscription rules (services.md §6); a broadcast's right to speak was checked by the gateway.
 */
import type { AnyMachineSnapshot } from "xstate";
import { addressOf } from "../runtime/address.ts";
import type { Effect } from "../runtime/effect.ts";
import type { Message } from "../runtime/message.ts";
import { Refusal } from "./refusal.ts";
import { EVENT_NAME_CHARACTERS_MAX } from "./workspace-history.ts";
import { recordFor } from "./workspace-record.ts";
import {
	type AnnounceEvent,
	answer,
	type Caller,
	clientAddress,
	type Outcome,
	type SubscriptionEvent,
	type WorkspaceContext,
	type WorkspaceEffect,
} from "./workspace-state.ts";
import { get, put, type Table, without } from "./workspace-table.ts";

/** Event names one client may subscribe to. */
export const SUBSCRIPTIONS_PER_CLIENT_MAX = 500;

/** Clients build `<workspace>/<id>` from this event only, so its id is short; all others carry the full one. */
export type SystemEvent =
	| "client_connected"
	| "client_updated"
	| "client_disconnected"
	| "service_added"
	| "service_removed"
	| "workspace_loaded"
	| "workspace_changed"
	| "workspace_deleted"
	| "workspace_ready"
	| "workspace_unloaded";

/** One post a subscriber. */
export function announce(
	context: WorkspaceContext,
	event: SystemEvent,
	data: unknown,
): readonly WorkspaceEffect[] {
	return announceTo(context, event, () => data);
}

/** As `announce`, with data made for each subscriber. */
export function announceTo(
	context: WorkspaceContext,
	event: SystemEvent,
	dataFor: (client: string) => unknown,
): readonly WorkspaceEffect[] {
	const subscribers = get(context.subscribers, event) ?? [];
	return subscribers.map((client) => ({
		type: "post",
		to: clientAddress(context, client),
		event: { type: "event", event, data: dataFor(client) },
	}));
}

export function announceFromElsewhere(context: WorkspaceContext, event: AnnounceEvent): Outcome {
	return { effects: announce(context, event.event, event.data) };
}

export function subscribe(context: WorkspaceContext, { types, caller, meta }: SubscriptionEvent): Outcome {
	if (!get(context.members, caller.client)) {
		throw new Refusal(`RuntimeError: Client is not connected: ${context.name}/${caller.client}`);
	}
	let { subscribers } = context;
	for (const type of eventNames(types)) {
		checkSubscription(type, context.name);
		const clients = get(subscribers, type) ?? [];
		if (!clients.includes(caller.client)) subscribers = put(subscribers, type, [...clients, caller.client]);
	}
	if (subscriptionsOf(subscribers, caller.client) > SUBSCRIPTIONS_PER_CLIENT_MAX) {
		throw new Refusal(`ValueError: A client may subscribe to at most ${SUBSCRIPTIONS_PER_CLIENT_MAX} events`);
	}
	return { change: { subscribers }, effects: [...answer(meta, true), ...readiness(context, types, caller)] };
}

/** A workspace is ready as soon as it is there, so whoever waits for it is told at once. */
function readiness(context: WorkspaceContext, types: unknown, caller: Caller): readonly WorkspaceEffect[] {
	if (!context.record || !eventNames(types).includes("workspace_ready")) return [];
	const subscribers = { workspace_ready: [caller.client] };
	const data = recordFor(context.record, caller.user);
	return announce({ ...context, subscribers }, "workspace_ready", data);
}

export function unsubscribe(context: WorkspaceContext, { types, caller, meta }: SubscriptionEvent): Outcome {
	const subscribers = eventNames(types).reduce(
		(table, type) => withoutSubscriber(table, type, caller.client),
		context.subscribers,
	);
	return { change: { subscribers }, effects: answer(meta, true) };
}

export function withoutSubscriptions(
	subscribers: Table<readonly string[]>,
	client: string,
): Table<readonly string[]> {
	return Object.keys(subscribers).reduce(
		(table, type) => withoutSubscriber(table, type, client),
		subscribers,
	);
}

/** A client's broadcast: this very frame to every subscriber of its type, the sender included. */
export function passBroadcast(snapshot: AnyMachineSnapshot, message: Message): readonly Effect[] {
	const { name, subscribers } = snapshot.context as WorkspaceContext;
	const clients = get(subscribers, message.facts?.["event"] ?? "") ?? [];
	if (clients.length === 0) return [{ type: "drop", reason: "no-subscriber" }];
	return clients.map((client) => ({ type: "forward", to: addressOf("client", name, client), message }));
}

function withoutSubscriber(
	table: Table<readonly string[]>,
	type: string,
	client: string,
): Table<readonly string[]> {
	const clients = get(table, type);
	if (!clients?.includes(client)) return table;
	const rest = clients.filter((other) => other !== client);
	return rest.length === 0 ? without(table, type) : put(table, type, rest);
}

function subscriptionsOf(subscribers: Table<readonly string[]>, client: string): number {
	return Object.values(subscribers).filter((clients) => clients.includes(client)).length;
}

function eventNames(types: unknown): readonly string[] {
	const list = Array.isArray(types) ? types : [types];
	for (const type of list) {
		if (typeof type !== "string" || type === "" || type.length > EVENT_NAME_CHARACTERS_MAX) {
			throw new Refusal(
				`ValueError: An event type must be a string of 1 to ${EVENT_NAME_CHARACTERS_MAX} characters`,
			);
		}
	}
	return list;
}

/** A name that speaks of another workspace could carry its news here. */
function checkSubscription(type: string, workspace: string): void {
	const slash = type.indexOf("/");
	const named =
		slash >= 0 ? type.slice(0, slash) : type.startsWith("ws-") ? (type.split(":")[0] as string) : workspace;
	if (named === workspace) return;
	throw new Refusal(
		`ValueError: Subscription to event '${type}' is forbidden. Event workspace '${named}' does not match ` +
			`your workspace '${workspace}'. Clients can only subscribe to events within their own workspace or ` +
			"system events.",
	);
}
