/**
 * The workspace actor `workspace/<name>`: members, services, events and settings of one workspace, as a statechart.
 * Owns the lifecycle; what a command does in a state is a pure function of the workspace-*.ts files beside.
 */
import { type AnyMachineSnapshot, setup } from "xstate";
import type { Address } from "../runtime/address.ts";
import type { Behaviour } from "../runtime/behaviour.ts";
import type { ReplyResult } from "../runtime/effect.ts";
import { machineBehaviour } from "../runtime/machine-behaviour.ts";
import type { Event, ReplyTo } from "../runtime/message.ts";
import { ACTORS_TOPIC } from "../runtime/topics.ts";
import { Refusal } from "./refusal.ts";
import { serviceAccess } from "./workspace-access.ts";
import { announceFromElsewhere, passBroadcast, subscribe, unsubscribe } from "./workspace-events.ts";
import { countLogged, listLogged, logEvent } from "./workspace-history.ts";
import { importClient, importClientProblem, importProblem, importWorkspace } from "./workspace-import.ts";
import { create, createProblem, deleteProblem, end, found, remove } from "./workspace-life.ts";
import { isLast, isLate, join, joinProblem, leave, refuseJoin } from "./workspace-members.ts";
import * as queries from "./workspace-queries.ts";
import { register, unregister } from "./workspace-services.ts";
import { addBookmark, removeBookmark, revokeToken, setEnv } from "./workspace-settings.ts";
import {
	type CreateEvent,
	type DeleteEvent,
	type ImportClientEvent,
	type ImportEvent,
	initialContext,
	type JoinEvent,
	type LeaveEvent,
	type Outcome,
	refuse,
	type WorkspaceContext,
	type WorkspaceEvent,
} from "./workspace-state.ts";
import { findServiceType, listServiceTypes, registerServiceType } from "./workspace-types.ts";
import { kick, unload } from "./workspace-upkeep.ts";

const machineSetup = setup({
	types: {
		context: {} as WorkspaceContext,
		events: {} as WorkspaceEvent,
		input: {} as { address: Address },
	},
	actions: {
		tell: (_, _params: { to: Address; event: Event }) => {},
		post: (_, _params: { to: Address; event: Event }) => {},
		reply: (_, _params: { to: ReplyTo; result: ReplyResult }) => {},
		drop: (_, _params: { reason: string }) => {},
	},
	guards: {
		mayJoin: ({ context, event }) => joinProblem(context, event as JoinEvent) === undefined,
		mayCreate: ({ context, event }) => createProblem(context, event as CreateEvent) === undefined,
		mayDelete: ({ context, event }) => deleteProblem(context, event as DeleteEvent) === undefined,
		mayImport: ({ context, event }) => importProblem(context, event as ImportEvent) === undefined,
		mayImportClient: ({ context, event }) =>
			importClientProblem(context, event as ImportClientEvent) === undefined,
		isLate: ({ context, event }) => isLate(context, event as LeaveEvent),
		isLastOfTemporary: ({ context }) => isLast(context) && !context.record?.persistent,
		isLast: ({ context }) => isLast(context),
	},
});

/** Runs a rule: its changes into the context, its effects out, its Refusal into a reply. */
function act<E extends WorkspaceEvent>(rule: (context: WorkspaceContext, event: E) => Outcome) {
	return machineSetup.enqueueActions(({ context, event, enqueue }) => {
		const { change, effects } = outcomeOf(rule, context, event as E);
		if (change) enqueue.assign(change);
		for (const effect of effects) {
			const { type, ...params } = effect;
			enqueue({ type, params } as Parameters<typeof enqueue>[0]);
		}
	});
}

function outcomeOf<E extends WorkspaceEvent>(
	rule: (context: WorkspaceContext, event: E) => Outcome,
	context: WorkspaceContext,
	event: E,
): Outcome {
	try {
		return rule(context, event);
	} catch (error) {
		if (error instanceof Refusal) return { effects: refuse(event.meta, error.message) };
		throw error;
	}
}

const refuseCreate = act<CreateEvent>((context, event) => ({
	effects: refuse(event.meta, createProblem(context, event) as string),
}));
const refuseDelete = act<DeleteEvent>((context, event) => ({
	effects: refuse(event.meta, deleteProblem(context, event) as string),
}));
const refuseImport = act<ImportEvent>((context, event) => ({
	effects: refuse(event.meta, importProblem(context, event) as string),
}));
const refuseImportClient = act<ImportClientEvent>((context, event) => ({
	effects: refuse(event.meta, importClientProblem(context, event) as string),
}));
const refuseAbsent = act(({ name }, { meta }) => ({
	effects: refuse(meta, `KeyError: 'Workspace not found: ${name}'`),
}));
const dropLate = act(() => ({ effects: [{ type: "drop", reason: "late-leave" }] }));

/** A workspace that is not there can be founded by its first member or made by request. */
const founding = {
	"member.join": [
		{ guard: "mayJoin", target: "#workspace.active.occupied", actions: [act(found), act(join)] },
		{ actions: act(refuseJoin) },
	],
	"workspace.create": [
		{ guard: "mayCreate", target: "#workspace.active.empty", actions: act(create) },
		{ actions: refuseCreate },
	],
	"workspace.import": [
		{ guard: "mayImport", target: "#workspace.active.empty", actions: act(importWorkspace) },
		{ actions: refuseImport },
	],
} as const;

export const workspaceMachine = machineSetup.createMachine({
	id: "workspace",
	context: ({ input }) => initialContext(input.address),
	initial: "absent",
	/** In force in every state that has no rule of its own for the event. */
	on: {
		"token.revoke": { actions: act(revokeToken) },
		"member.leave": { actions: dropLate },
		"service.register": { actions: refuseAbsent },
		"service.unregister": { actions: refuseAbsent },
		"events.subscribe": { actions: refuseAbsent },
		"events.unsubscribe": { actions: refuseAbsent },
		"events.log": { actions: refuseAbsent },
		"env.set": { actions: refuseAbsent },
		"bookmark.add": { actions: refuseAbsent },
		"bookmark.remove": { actions: refuseAbsent },
		"serviceType.register": { actions: refuseAbsent },
		"member.kick": { actions: refuseAbsent },
		"workspace.unload": { actions: refuseAbsent },
		"workspace.delete": { actions: refuseAbsent },
		"workspace.importClient": { actions: refuseAbsent },
	},
	states: {
		/** Never made. */
		absent: { on: founding },
		active: {
			initial: "empty",
			on: {
				"member.join": [
					{ guard: "mayJoin", target: ".occupied", actions: act(join) },
					{ actions: act(refuseJoin) },
				],
				"workspace.create": [{ guard: "mayCreate", actions: act(create) }, { actions: refuseCreate }],
				"workspace.import": [
					{ guard: "mayImport", actions: act(importWorkspace) },
					{ actions: refuseImport },
				],
				"workspace.importClient": [
					{ guard: "mayImportClient", target: ".occupied", actions: act(importClient) },
					{ actions: refuseImportClient },
				],
				"workspace.delete": [
					{ guard: "mayDelete", target: "deleted", actions: act(remove) },
					{ actions: refuseDelete },
				],
				"service.register": { actions: act(register) },
				"service.unregister": { actions: act(unregister) },
				"events.subscribe": { actions: act(subscribe) },
				"events.unsubscribe": { actions: act(unsubscribe) },
				"events.announce": { actions: act(announceFromElsewhere) },
				"events.log": { actions: act(logEvent) },
				"env.set": { actions: act(setEnv) },
				"bookmark.add": { actions: act(addBookmark) },
				"bookmark.remove": { actions: act(removeBookmark) },
				"serviceType.register": { actions: act(registerServiceType) },
				"member.kick": { actions: act(kick) },
				"workspace.unload": { actions: act(unload) },
			},
			states: {
				/** Kept without members. */
				empty: {},
				/** At least one member. */
				occupied: {
					on: {
						"member.leave": [
							{ guard: "isLate", actions: dropLate },
							{ guard: "isLastOfTemporary", target: "#workspace.deleted", actions: [act(leave), act(end)] },
							{ guard: "isLast", target: "empty", actions: act(leave) },
							{ actions: act(leave) },
						],
					},
				},
			},
		},
		/** Gone, but for the tokens that were revoked here. */
		deleted: { on: founding },
	},
});

type Query = (context: WorkspaceContext, query: never) => unknown;

const QUERIES: Readonly<Record<string, Query>> = {
	"service.resolve": queries.resolveService,
	"service.candidates": queries.serviceCandidates,
	"service.access": serviceAccess,
	"service.list": queries.listServices,
	"client.list": queries.listClients,
	"workspace.info": queries.workspaceInfo,
	"workspace.summary": queries.workspaceSummary,
	"workspace.status": queries.workspaceStatus,
	"env.get": queries.getEnv,
	"token.revoked": queries.isRevoked,
	"serviceType.find": findServiceType,
	"serviceType.list": listServiceTypes,
	"events.logged": listLogged,
	"events.loggedCount": countLogged,
};

export const workspaceBehaviour: Behaviour<AnyMachineSnapshot> = machineBehaviour({
	type: "workspace",
	version: 2,
	topic: ACTORS_TOPIC,
	machine: workspaceMachine,
	queries: Object.fromEntries(
		Object.entries(QUERIES).map(([type, query]) => [
			type,
			(snapshot: AnyMachineSnapshot, event: Event) => query(snapshot.context, event as never),
		]),
	),
	pass: passBroadcast,
});
