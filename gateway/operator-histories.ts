/**
 * Whole histories over the operator's routes: followed as they grow, written into a file for another environment, brought in
 * from one. Owns the requests; what is in a history, a file and an import is the runtime's.
 */
import { exportHistories } from "../runtime/export.ts";
import { history } from "../runtime/history.ts";
import { mailboxOf } from "../runtime/operator.ts";
import { readableJson } from "../runtime/readable-json.ts";
import { filterOf, HISTORY_FILTER, shownEntry } from "./operator-actors.ts";
import type { OperatorContext, OperatorRoutes } from "./operator-api.ts";
import { ImportSpool } from "./operator-import.ts";
import type { Query } from "./operator-input.ts";
import { inPieces, withPings } from "./operator-lines.ts";

export function addHistoryStreams(routes: OperatorRoutes, context: OperatorContext): void {
	const { node } = context;
	// These have time: nobody is kept from an answer meanwhile.
	const reading = { ...context.reading, index: context.historyIndex };
	const spool = new ImportSpool(context.dataDir);
	routes.lines(
		"history/follow",
		"An actor's messages as they come, with what each did; an empty line where none does for a while",
		{ address: "the actor: type/id", from: "first offset shown", ...HISTORY_FILTER },
		(query) => followed(reading, query),
	);
	routes.lines(
		"export",
		"Histories as a file of JSON Lines with a checksum",
		{
			address: "of one actor: type/id",
			type: "of actors of this type",
			under: "of addresses that begin so",
		},
		(query) => {
			const filter = { address: query.text("address"), type: query.text("type"), under: query.text("under") };
			return inPieces(exportHistories(reading, { ...filter, now: node.now() }));
		},
	);
	routes.upload(
		"import/history",
		"Bring exported histories in: a line of fields (why, into, acceptDifferent, dryRun), then the lines of the file",
		(upload, { by }) =>
			spool.import({ ...reading, append: (draft) => node.submit(draft) }, upload, by.user.id),
	);
}

function followed(reading: OperatorContext["reading"], query: Query): AsyncGenerator<string> {
	const address = query.needed("address");
	const { behaviour } = mailboxOf(reading, address);
	const options = { ...filterOf(query), from: query.whole("from") };
	return withPings(async function* (follow) {
		for await (const entry of history(reading, address, { ...options, follow })) {
			yield `${readableJson(shownEntry(behaviour, entry))}\n`;
		}
	});
}
