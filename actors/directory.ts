/**
 * The actor `directory/workspaces`: which workspaces there are. Workspaces tell it of their records.
 * Owns lists over all workspaces; each workspace itself is the truth about itself, and tells again on every change.
 */
import { type AnyMachineSnapshot, setup } from "xstate";
import { type Address, partitionOf } from "../runtime/address.ts";
import type { Behaviour } from "../runtime/behaviour.ts";
import type { ReplyResult } from "../runtime/effect.ts";
import { type EventMeta, machineBehaviour } from "../runtime/machine-behaviour.ts";
import type { ReplyTo } from "../runtime/message.ts";
import { ACTORS_TOPIC } from "../runtime/topics.ts";
import type { DirectoryAnswer } from "./directory-address.ts";
import { matches } from "./glob.ts";
import { may } from "./permission.ts";
import { Refusal } from "./refusal.ts";
import type { User } from "./user.ts";
import { isMap, type WorkspaceSummary } from "./workspace-record.ts";
import { get, putInner, type Table, withoutInner } from "./workspace-table.ts";

/** Workspaces in one answer. */
export const LISTED_WORKSPACES_MAX = 256;
/** Parts of the state, so that a change copies a small one. */
const SHELVES = 256;

interface DirectoryContext {
	/** By shelf, then by workspace id. */
	readonly shelves: Table<Table<WorkspaceSummary>>;
}

type DirectoryEvent =
	| { type: "directory.put"; meta: EventMeta; summary: WorkspaceSummary; answer?: DirectoryAnswer }
	| { type: "directory.remove"; meta: EventMeta; id: string; answer?: DirectoryAnswer };

export interface WorkspaceListQuery {
	readonly user: User;
	/** Fields of a summary that must be equal. */
	readonly match?: unknown;
	readonly offset?: number;
	readonly limit?: number;
}

const machineSetup = setup({
	types: { context: {} as DirectoryContext, events: {} as DirectoryEvent, input: {} as { address: Address } },
	actions: { reply: (_, _params: { to: ReplyTo; result: ReplyResult }) => {} },
});

const takeNote = machineSetup.enqueueActions(({ context: { shelves }, event, enqueue }) => {
	if (event.type === "directory.put") {
		const { summary } = event;
		enqueue.assign({ shelves: putInner(shelves, shelfOf(summary.id), summary.id, summary) });
	} else {
		enqueue.assign({ shelves: withoutInner(shelves, shelfOf(event.id), event.id) });
	}
	if (!event.answer) return;
	const { to, value } = event.answer;
	enqueue({ type: "reply", params: { to, result: { ok: true, value } } });
});

export const directoryMachine = machineSetup.createMachine({
	id: "directory",
	context: { shelves: {} },
	initial: "listing",
	states: {
		listing: {
			on: { "directory.put": { actions: takeNote }, "directory.remove": { actions: takeNote } },
		},
	},
});

export const directoryBehaviour: Behaviour<AnyMachineSnapshot> = machineBehaviour({
	type: "directory",
	version: 1,
	topic: ACTORS_TOPIC,
	machine: directoryMachine,
	queries: {
		"directory.list": ({ context }, query) => listWorkspaces(context, query as unknown as WorkspaceListQuery),
		"directory.owned": ({ context }, query) => ownedBy(context, query["user"] as User),
		"directory.names": ({ context }, query) => names(context, query["pattern"] as string),
	},
});

/** How many it lists; `state`: of the directory. */
export function workspacesIn(state: unknown): number {
	return all((state as AnyMachineSnapshot).context as DirectoryContext).length;
}

/** Workspaces the user may read, by id. Throws Refusal. */
function listWorkspaces(context: DirectoryContext, query: WorkspaceListQuery): readonly WorkspaceSummary[] {
	const { user, match, offset = 0, limit = LISTED_WORKSPACES_MAX } = query;
	if (match !== undefined && match !== null && !isMap(match))
		throw new Refusal("ValueError: match must be a map");
	if (!Number.isInteger(offset) || offset < 0) throw new Refusal("ValueError: offset must be 0 or more");
	if (!Number.isInteger(limit) || limit < 1 || limit > LISTED_WORKSPACES_MAX) {
		throw new Refusal(`ValueError: limit must be from 1 to ${LISTED_WORKSPACES_MAX}`);
	}
	const wanted = Object.entries((match ?? {}) as Readonly<Record<string, unknown>>);
	return all(context)
		.filter((summary) => may("list", user, summary))
		.filter((summary) => wanted.every(([key, value]) => isEqual(get<unknown>(summary, key), value)))
		.sort(byId)
		.slice(offset, offset + limit);
}

/** How many workspaces count against the user's quota: its own one is free. */
function ownedBy(context: DirectoryContext, user: User): number {
	const ids = new Set([user.id, ...(user.parent ? [user.parent] : [])]);
	return all(context).filter(
		({ id, owners }) => !id.startsWith("ws-user-") && owners.some((owner) => ids.has(owner)),
	).length;
}

/** Ids that match, the first of them in order. */
function names(context: DirectoryContext, pattern: string): readonly string[] {
	return all(context)
		.map(({ id }) => id)
		.filter((id) => matches(pattern, id))
		.sort()
		.slice(0, LISTED_WORKSPACES_MAX);
}

function all({ shelves }: DirectoryContext): WorkspaceSummary[] {
	return Object.values(shelves).flatMap((shelf) => Object.values(shelf));
}

function shelfOf(id: string): string {
	return String(partitionOf(id, SHELVES));
}

function byId(one: WorkspaceSummary, other: WorkspaceSummary): number {
	return one.id < other.id ? -1 : one.id > other.id ? 1 : 0;
}

function isEqual(one: unknown, other: unknown): boolean {
	return JSON.stringify(one) === JSON.stringify(other);
}
