/**
 * What operators do to one actor: pause, resume, skip, retry. Owns the commands and who is named in them; they are records
 * in the actor's mailbox, so that any node takes them and its history tells them.
 */
import { setTimeout } from "node:timers/promises";
import { MycelogError } from "../persistence/errors.ts";
import { mustExist } from "../runtime/actor-exists.ts";
import type { Address } from "../runtime/address.ts";
import { INTERVENTIONS, type Intervention } from "../runtime/failures.ts";
import { letterId } from "../runtime/letter-outcomes.ts";
import { mailboxOf } from "../runtime/operator.ts";
import { HttpError } from "./http-exchange.ts";
import { type ActorNow, actorNow } from "./operator-actor-view.ts";
import type { OperatorContext, OperatorRoutes } from "./operator-api.ts";

/** How long the actor may take to answer, milliseconds. */
const ANSWER_MS_MAX = 5_000;
/** How often the outcome of its letter is looked for, milliseconds. */
const HEARD_EVERY_MS = 20;

const SUMMARIES: Readonly<Record<Intervention, string>> = {
	pause: "Let an actor take no messages from here on; they are kept in order",
	resume: "Let a paused actor take what was kept, and go on",
	skip: "Leave the message that failed out, and go on",
	retry: "Try the message that failed once more, and go on if it is taken",
};

export function addInterventions(routes: OperatorRoutes, context: OperatorContext): void {
	const { node, reading } = context;
	for (const [name, summary] of Object.entries(SUMMARIES)) {
		const what = name as Intervention;
		routes.command(`actor/${what}`, summary, ["address", "why"], async (fields, { by }) => {
			const address = fields.needed("address");
			const why = fields.why();
			const { behaviour } = mailboxOf(reading, address);
			if (!behaviour.hold) throw new HttpError(409, `actors of type ${behaviour.type} cannot be paused`);
			await mustExist(reading, address);
			const failed = failedAt(await actorNow(context, address));
			const event = { type: INTERVENTIONS[what], by: by.user.id, why };
			const answer = await node
				.ask(address, event, { kind: "command", timeoutMs: ANSWER_MS_MAX })
				.catch((error) => {
					throw MycelogError.is(error, "actor.ask-timeout") ? notTaken(what, address, error) : error;
				});
			const isOver = failed !== undefined && (answer as { readonly paused?: boolean }).paused === false;
			if (isOver) await heard(context, letterId(node.mailbox(address), failed));
			return { address, ...(answer as object) };
		});
	}
}

/** Not before its partition comes to it, which may stand still, or wait for the log. */
function notTaken(what: Intervention, address: Address, cause: MycelogError): MycelogError {
	const text = `${address} did not come to the ${what} within ${ANSWER_MS_MAX} ms: once it is in the mailbox it is done in turn`;
	return new MycelogError("actor.ask-timeout", text, { address }, { cause });
}

/** Offset of the message that its actor waits with. */
function failedAt({ hold }: ActorNow): number | undefined {
	return hold?.failed ? hold.held[0]?.offset : undefined;
}

/** Whoever asks for the letters next shall see what became of this one: the actor has said it, and the log has it at once. */
async function heard({ outcomes }: OperatorContext, letter: string): Promise<void> {
	for (let waitedMs = 0; waitedMs < ANSWER_MS_MAX; waitedMs += HEARD_EVERY_MS) {
		await outcomes.catchUp();
		if (outcomes.of(letter)) return;
		await setTimeout(HEARD_EVERY_MS);
	}
}
