/**
 * What operators do to one actor: pause, resume, skip, retry. Owns the commands and who is named in them; they are records
 * in the actor's mailbox, so that any node takes them and its history tells them.
 */

import { mustExist } from "../runtime/actor-exists.ts";
import { INTERVENTIONS, type Intervention } from "../runtime/failures.ts";
import { mailboxOf } from "../runtime/operator.ts";
import { HttpError } from "./http-exchange.ts";
import type { OperatorContext, OperatorRoutes } from "./operator-api.ts";

/** How long the actor may take to answer, milliseconds. */
const ANSWER_MS_MAX = 5_000;

const SUMMARIES: Readonly<Record<Intervention, string>> = {
	pause: "Let an actor take no messages from here on; they are kept in order",
	resume: "Let a paused actor take what was kept, and go on",
	skip: "Leave the message that failed out, and go on",
	retry: "Try the message that failed once more, and go on if it is taken",
};

export function addInterventions(routes: OperatorRoutes, { node, reading }: OperatorContext): void {
	for (const [name, summary] of Object.entries(SUMMARIES)) {
		routes.command(`actor/${name}`, summary, ["address", "why"], async (fields, { by }) => {
			const address = fields.needed("address");
			const why = fields.why();
			const { behaviour } = mailboxOf(reading, address);
			if (!behaviour.hold) throw new HttpError(409, `actors of type ${behaviour.type} cannot be paused`);
			await mustExist(reading, address);
			const event = { type: INTERVENTIONS[name as Intervention], by: by.user.id, why };
			const answer = await node.ask(address, event, { kind: "command", timeoutMs: ANSWER_MS_MAX });
			return { address, ...(answer as object) };
		});
	}
}
