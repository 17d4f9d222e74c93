/**
 * Makes a fork true: one record in the actor's mailbox that says the state from there on, by whom, why and how it was made.
 * Owns that nothing of the actor is overwritten unseen; the comparison before it is fork.ts.
 */
import { MycelogError } from "../persistence/errors.ts";
import { RESTORE_REFUSED } from "./actor.ts";
import type { Address } from "./address.ts";
import { foldActor, scan } from "./fold.ts";
import { type DryRun, dryRun, type Fork } from "./fork.ts";
import { messageOf } from "./message.ts";
import { mailboxOf, type OperatorParts, type ScanProgress, type WritableParts } from "./operator.ts";
import { mustSayWhy, type Reason } from "./reason.ts";
import { isHistory, restoreDraft } from "./recovery-records.ts";

/** By whom, why, and as of what. */
export interface PromoteOptions extends Reason {
	/** Offset of the actor's last message that was looked at (`base` of the dry run). */
	readonly base: number;
	/** Messages that came since are kept, behind the edits, instead of refusing. */
	readonly acceptNewer?: boolean;
	readonly onProgress?: (progress: ScanProgress) => void;
}

/** A fork that was made true. */
export interface Promotion {
	/** Of the record. */
	readonly offset: number;
	/** What it did, as of its base. */
	readonly run: DryRun;
}

/**
 * Rejects with `recovery.actor-moved` where the actor had messages after `base`: nothing was changed. Also as `dryRun`.
 */
export async function promote(
	parts: WritableParts,
	address: Address,
	fork: Fork,
	options: PromoteOptions,
): Promise<Promotion> {
	const { by, why, base, acceptNewer = false, onProgress } = options;
	mustSayWhy(options);
	const run = await dryRun(parts, address, fork, onProgress ? { onProgress } : {});
	if (run.base !== base && !acceptNewer) throw moved(address, base, run.base);
	const edits = fork.to === undefined ? fork.edits : [{ to: fork.to }, ...fork.edits];
	const draft = restoreDraft(address, { by, why, base: run.base, ...run.restored, edits });
	const offset = await parts.append(draft);
	if (!(await isApplied(parts, address, run.base, offset))) throw moved(address, run.base, offset);
	return { offset, run };
}

/** A message may have come between the look and the record: then every fold refuses it. */
async function isApplied(
	parts: OperatorParts,
	address: Address,
	base: number,
	offset: number,
): Promise<boolean> {
	const { partition, behaviour } = mailboxOf(parts, address);
	let isAlone = true;
	for await (const page of scan(parts.log, partition, base + 1, offset)) {
		for (const record of page) {
			if (record.key !== address) continue;
			const message = messageOf(record);
			if (!("unreadable" in message) && isHistory(message.kind)) isAlone = false;
		}
	}
	if (isAlone) return true;
	// It may have been a repeat, which only the whole fold knows.
	let applied = true;
	for await (const { message, effects } of foldActor(parts.log, partition, address, behaviour, {
		end: offset + 1,
	})) {
		if (message.offset !== offset) continue;
		applied = !effects.some((effect) => effect.type === "drop" && effect.reason === RESTORE_REFUSED);
	}
	return applied;
}

function moved(address: Address, base: number, last: number): MycelogError {
	const text = `${address} had messages after offset ${base}, the last one looked at (now at ${last}): nothing was changed`;
	return new MycelogError("recovery.actor-moved", text, { address, base, last });
}
