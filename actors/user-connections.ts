/**
 * The user actor `user/<id>`: which connections a user has, over all workspaces and nodes.
 * Owns the limit of them. It counts the set it holds; workspaces tell it of every member that comes or goes, so the
 * number cannot drift.
 */
import { type AnyMachineSnapshot, setup } from "xstate";
import type { Address } from "../runtime/address.ts";
import type { Behaviour } from "../runtime/behaviour.ts";
import { type EventMeta, machineBehaviour } from "../runtime/machine-behaviour.ts";
import type { Event } from "../runtime/message.ts";
import { ACTORS_TOPIC } from "../runtime/topics.ts";
import { get, put, size, type Table, without } from "./workspace-table.ts";

export interface UserConnectionsContext {
	readonly id: string;
	/** Address of a client actor → generation of its connection. */
	readonly connections: Table<number>;
}

/** A workspace has let a connection in, as far as it is concerned. */
export interface UserJoinEvent {
	readonly type: "user.join";
	readonly client: Address;
	readonly generation: number;
	readonly limit: number;
	/** What the client is told if it stays within the limit. */
	readonly admitted: Event;
	/** Whom to tell, and what, if it does not. */
	readonly refused: { readonly to: Address; readonly event: Event };
}

export interface UserLeaveEvent {
	readonly type: "user.leave";
	readonly client: Address;
	readonly generation: number;
}

type UserEvent = (UserJoinEvent | UserLeaveEvent) & { readonly meta: EventMeta };

const machineSetup = setup({
	types: {
		context: {} as UserConnectionsContext,
		events: {} as UserEvent,
		input: {} as { address: Address },
	},
	actions: {
		tell: (_, _params: { to: Address; event: Event }) => {},
		drop: (_, _params: { reason: string }) => {},
	},
	guards: {
		mayJoin: ({ context: { connections }, event }) =>
			event.type === "user.join" &&
			(get(connections, event.client) !== undefined || size(connections) < event.limit),
		isLate: ({ context: { connections }, event }) => {
			const generation = get(connections, event.client);
			return generation === undefined || generation > event.generation;
		},
	},
});

const join = machineSetup.enqueueActions(({ context, event, enqueue }) => {
	if (event.type !== "user.join") return;
	const { client, generation, admitted } = event;
	enqueue.assign({ connections: put(context.connections, client, generation) });
	enqueue({ type: "tell", params: { to: client, event: admitted } });
});

const refuse = machineSetup.enqueueActions(({ context, event, enqueue }) => {
	if (event.type !== "user.join") return;
	const { client, generation, limit, refused } = event;
	const reason = `User ${context.id} has reached the limit of ${limit} connections`;
	enqueue({ type: "tell", params: refused });
	enqueue({ type: "tell", params: { to: client, event: { type: "client.refused", generation, reason } } });
});

const leave = machineSetup.assign({
	connections: ({ context, event }) => without(context.connections, event.client),
});

export const userMachine = machineSetup.createMachine({
	id: "user",
	context: ({ input }) => ({ id: input.address.slice("user/".length), connections: {} }),
	initial: "counting",
	states: {
		counting: {
			on: {
				"user.join": [{ guard: "mayJoin", actions: join }, { actions: refuse }],
				"user.leave": [
					{ guard: "isLate", actions: { type: "drop", params: { reason: "late-leave" } } },
					{ actions: leave },
				],
			},
		},
	},
});

export const userBehaviour: Behaviour<AnyMachineSnapshot> = machineBehaviour({
	type: "user",
	version: 1,
	topic: ACTORS_TOPIC,
	machine: userMachine,
	queries: {
		"user.connections": ({ context }) => Object.keys((context as UserConnectionsContext).connections),
	},
});
