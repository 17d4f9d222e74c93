/**
 * Showing members out: one of them, or all for a while. Owns who may; the leaving itself is the client actor's word and
 * takes the usual way (workspace-members.ts).
 */
import { deniedText, may } from "./permission.ts";
import { Refusal } from "./refusal.ts";
import { announceRecord } from "./workspace-settings.ts";
import {
	answer,
	type Caller,
	clientAddress,
	type KickEvent,
	type Outcome,
	tell,
	type UnloadEvent,
	type WorkspaceContext,
} from "./workspace-state.ts";
import { get } from "./workspace-table.ts";

/** Characters of a reason; a close frame carries 123 bytes. */
const REASON_CHARACTERS_MAX = 120;

export function kick(context: WorkspaceContext, { client, reason, caller, meta }: KickEvent): Outcome {
	managed(context, caller);
	if (!get(context.members, client)) {
		throw new Refusal(`KeyError: 'Client not found: ${context.name}/${client}'`);
	}
	const event = { type: "client.kicked", reason: reason.slice(0, REASON_CHARACTERS_MAX) };
	return { effects: [tell(clientAddress(context, client), event), ...answer(meta, null)] };
}

/** Members but the one who asks are told and shown out; a temporary workspace ends with the last of them. */
export function unload(context: WorkspaceContext, { caller, meta }: UnloadEvent): Outcome {
	const record = managed(context, caller);
	const own = caller.workspace === context.name;
	const others = Object.keys(context.members).filter((client) => !own || client !== caller.client);
	const reason = `Workspace is being unloaded: ${context.name}`.slice(0, REASON_CHARACTERS_MAX);
	return {
		effects: [
			...announceRecord(context, "workspace_unloaded", record),
			...others.map((client) => tell(clientAddress(context, client), { type: "client.kicked", reason })),
			...answer(meta, others.length),
		],
	};
}

function managed({ record, name }: WorkspaceContext, { user }: Caller) {
	if (!record) throw new Refusal(`KeyError: 'Workspace not found: ${name}'`);
	if (!may("upkeep", user, record)) throw new Refusal(deniedText(name));
	return record;
}
