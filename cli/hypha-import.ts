/**
 * Writes what a plan takes over into the actors' mailboxes, but for what is here already. Owns that comparison, which
 * makes a second run harmless, and the report; a node folds the records when it runs next, or at once if it runs.
 */
import { randomBytes } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { IMPORTED_GENERATION, importProblem } from "../actors/workspace-import.ts";
import { workspaceRecord } from "../actors/workspace-record.ts";
import { initialContext, type WorkspaceContext } from "../actors/workspace-state.ts";
import { Appender } from "../persistence/appender.ts";
import { MycelogError } from "../persistence/errors.ts";
import type { Address } from "../runtime/address.ts";
import { addressOf } from "../runtime/address.ts";
import { systemClock } from "../runtime/clock.ts";
import { type Event, encodeBody } from "../runtime/message.ts";
import { NodeName } from "../runtime/node-name.ts";
import type { OperatorParts, ScanProgress } from "../runtime/operator.ts";
import { Outbox } from "../runtime/outbox.ts";
import { replay } from "../runtime/replay.ts";
import type { Item, Kind, Left, Plan } from "./hypha-plan.ts";
import type { OpenedData } from "./operator-data.ts";

/** Until the log has to take a record, milliseconds. */
const APPEND_MS_MAX = 30_000;

export interface Report {
	/** Nothing was written. */
	readonly dryRun: boolean;
	readonly hypha: string | undefined;
	/** Written, or to be written. */
	readonly taken: Readonly<Record<Kind, readonly string[]>>;
	/** Here already, as it is there. */
	readonly present: Readonly<Record<Kind, readonly string[]>>;
	readonly left: readonly Left[];
}

export interface ImportOptions {
	readonly dryRun: boolean;
	readonly overwrite: boolean;
	readonly hypha: string | undefined;
	readonly onProgress: (progress: ScanProgress) => void;
}

/** `parts`: undefined where there is no log yet, and none is to be made. */
export async function importPlan(
	parts: OpenedData | undefined,
	plan: Plan,
	options: ImportOptions,
): Promise<Report> {
	const { dryRun, hypha, onProgress } = options;
	const taken: Record<Kind, string[]> = { workspace: [], client: [], revocation: [] };
	const present: Record<Kind, string[]> = { workspace: [], client: [], revocation: [] };
	const left = [...plan.left];
	const writer = dryRun || !parts ? undefined : newWriter(parts);
	const states = new Map<string, WorkspaceContext>();
	for (const [done, item] of plan.items.entries()) {
		const { workspace, kind, name } = item;
		const state = states.get(workspace) ?? (await stateOf(parts, addressOf("workspace", workspace)));
		states.set(workspace, state);
		const outcome = outcomeFor(item, state, options.overwrite);
		if (outcome === "present") present[kind].push(name);
		else if (outcome !== "new") left.push({ kind, name, why: outcome });
		else {
			for (const event of item.events) await writer?.(addressOf("workspace", workspace), event);
			taken[kind].push(name);
		}
		onProgress({ scanned: done + 1, total: plan.items.length });
	}
	return { dryRun, hypha, taken, present, left };
}

/** `new`: to be written; anything else is why not. */
function outcomeFor({ kind, events }: Item, state: WorkspaceContext, overwrite: boolean): string {
	const [event] = events as readonly [Event];
	if (kind === "revocation") return Object.hasOwn(state.revoked, String(event["hash"])) ? "present" : "new";
	if (kind === "client") {
		const member = state.members[String(event["client"])];
		if (!member) return "new";
		return member.generation === IMPORTED_GENERATION ? "present" : "it has come here already";
	}
	const problem = importProblem({ ...state, record: null }, event as never);
	if (problem) return problem;
	const wanted = workspaceRecord(state.name, event["record"] as Readonly<Record<string, unknown>>);
	if (isDeepStrictEqual(state.record, wanted)) return "present";
	return state.record && !overwrite ? "it is here and differs; --overwrite replaces it" : "new";
}

/** As the log says it is now. */
async function stateOf(parts: OperatorParts | undefined, address: Address): Promise<WorkspaceContext> {
	if (!parts) return initialContext(address);
	try {
		const { value } = await replay(parts, address);
		return (value as { context: WorkspaceContext }).context;
	} catch (error) {
		if (MycelogError.is(error, "actor.not-found")) return initialContext(address);
		throw error;
	}
}

/** Resolves when the log has it. */
function newWriter({
	log,
	behaviours,
	partitions,
}: OpenedData): (to: Address, event: Event) => Promise<void> {
	const appender = new Appender(log);
	const node = new NodeName("import", randomBytes(6).toString("base64url"));
	const outbox = new Outbox({ appender, behaviours, partitions, clock: systemClock, node });
	return async (to, event) => {
		const draft = { to, kind: "command", type: event.type, body: encodeBody(event) } as const;
		await outbox.submit(draft, APPEND_MS_MAX);
	};
}
