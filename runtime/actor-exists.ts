/**
 * Whether an actor has ever been sent anything: any id is an actor, so that a misspelt one would be made by the first
 * command to it. Owns that question alone.
 */
import type { Address } from "./address.ts";
import { scan } from "./fold.ts";
import { mailboxOf, notFound, type OperatorParts } from "./operator.ts";

/** Rejects with `actor.not-found` where neither the log nor the snapshots know the actor. */
export async function mustExist(
	parts: OperatorParts,
	address: Address,
	partition = mailboxOf(parts, address).partition,
): Promise<void> {
	// First: whoever asks is about to write, and hears of a log that does not answer before anything is written.
	const { start, end } = await parts.log.bounds(partition);
	if (parts.snapshots?.stored(address)) return;
	for await (const page of scan(parts.log, partition, start, end)) {
		if (page.some(({ key }) => key === address)) return;
	}
	throw notFound(address, partition, start, end);
}
