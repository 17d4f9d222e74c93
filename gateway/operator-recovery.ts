/**
 * Recovery over the operator's routes: rebuild, a history folded another way and made true, who did what. Owns the requests;
 * each of it is the runtime's, and what changes an actor is a record in its mailbox. Comparing is operator-verify.ts.
 */
import { mustExist } from "../runtime/actor-exists.ts";
import { AUDIT_ENTRIES_DEFAULT, audit } from "../runtime/audit.ts";
import { dryRun, EDITS_MAX, type Edit, type Fork } from "../runtime/fork.ts";
import type { WritableParts } from "../runtime/operator.ts";
import { promote } from "../runtime/promote.ts";
import {
	type LiveRebuild,
	type LiveRebuildOptions,
	REBUILDS_UNDER_WAY_MAX,
	rebuildLive,
} from "../runtime/rebuild-live.ts";
import { HttpError } from "./http-exchange.ts";
import type { OperatorContext, OperatorRoutes } from "./operator-api.ts";
import { Fields } from "./operator-input.ts";

/** Entries of one answer. */
export const AUDIT_ENTRIES_MAX = 1_000;
/** How long a request waits for the owners of the actors to rebuild, milliseconds; they go on behind it. */
export const REBUILD_MS_MAX = 30_000;

const FORK_FIELDS = ["address", "to", "edits"] as const;

export function addRecovery(routes: OperatorRoutes, { node, reading }: OperatorContext): void {
	const parts: WritableParts = { ...reading, append: (draft) => node.submit(draft) };
	routes.question(
		"audit",
		"Who did what to which actor, and why, the newest first",
		{
			address: "only to this actor",
			by: "only by this user",
			since: "only since then, milliseconds since 1970",
			limit: `at most so many, up to ${AUDIT_ENTRIES_MAX}`,
		},
		async (query) => {
			const limit = query.whole("limit", AUDIT_ENTRIES_MAX) ?? AUDIT_ENTRIES_DEFAULT;
			const filter = { address: query.text("address"), by: query.text("by"), since: query.whole("since") };
			return { entries: await audit(reading, { ...filter, limit }) };
		},
	);
	routes.command(
		"rebuild",
		"Fold actors anew from the log, in the place of what is in memory and stored",
		["addresses", "fromSnapshot", "why"],
		async (fields, { by }) => {
			const addresses = fields.texts("addresses", REBUILDS_UNDER_WAY_MAX);
			if (!addresses || addresses.length === 0) throw new HttpError(400, "addresses are needed");
			const asked = { by: by.user.id, why: fields.why(), fromSnapshot: fields.flag("fromSnapshot") };
			for (const address of addresses) await mustExist(reading, address);
			return rebuilt(parts, addresses, asked);
		},
	);
	routes.command(
		"fork/dry-run",
		"Fold an actor's history with edits beside what it was, and compare; changes nothing",
		FORK_FIELDS,
		(fields) => dryRun(reading, fields.needed("address"), forkOf(fields)),
		"operator.read",
	);
	routes.command(
		"fork/promote",
		"Make the state of a history with edits the actor's own from here on",
		[...FORK_FIELDS, "base", "acceptNewer", "why"],
		(fields, { by }) => {
			const base = fields.whole("base");
			if (base === undefined) throw new HttpError(400, "base is needed: that of the dry run");
			return promote(parts, fields.needed("address"), forkOf(fields), {
				by: by.user.id,
				why: fields.why(),
				base,
				acceptNewer: fields.flag("acceptNewer"),
			});
		},
	);
}

/** Those that were answered in time; `waiting`: the others are asked for in the log. */
async function rebuilt(
	parts: WritableParts,
	addresses: readonly string[],
	asked: LiveRebuildOptions,
): Promise<{ readonly rebuilt: readonly LiveRebuild[]; readonly waiting: number }> {
	const signal = AbortSignal.timeout(REBUILD_MS_MAX);
	const answers: LiveRebuild[] = [];
	try {
		for await (const answer of rebuildLive(parts, addresses, { ...asked, signal })) answers.push(answer);
	} catch (error) {
		if (error !== signal.reason) throw error;
	}
	return { rebuilt: answers, waiting: addresses.length - answers.length };
}

function forkOf(fields: Fields): Fork {
	const given = fields.value("edits") ?? [];
	if (!Array.isArray(given) || given.length > EDITS_MAX) {
		throw new HttpError(400, `edits must be an array of at most ${EDITS_MAX}`);
	}
	const to = fields.whole("to");
	return { edits: given.map(editOf), ...(to === undefined ? undefined : { to }) };
}

/** Their offsets and events are judged where they are used. */
function editOf(given: unknown, index: number): Edit {
	const place = `edit ${index + 1}`;
	const fields = new Fields(given, ["drop", "replace", "insert", "event"], place);
	const kinds = (["drop", "replace", "insert"] as const).filter((kind) => fields.value(kind) !== undefined);
	if (kinds.length !== 1) throw new HttpError(400, `${place} must have one of drop, replace and insert`);
	if ((kinds[0] === "drop") !== (fields.value("event") === undefined)) {
		throw new HttpError(400, `${place}: replace and insert have an event, drop has none`);
	}
	return given as Edit;
}
