/**
 * The data that recovery commands read and append to: folded with the actors of a file too, by the history index. Owns the
 * confirmation of what cannot be undone; opening the data is operator-data.ts.
 */

import { MycelogError } from "../persistence/errors.ts";
import { mailboxOf, type ScanProgress, type WritableParts } from "../runtime/operator.ts";
import type { Reason } from "../runtime/reason.ts";
import { behavioursWith } from "./actor-definitions.ts";
import { historyIndexOf } from "./history-index.ts";
import { LogWriter, localUser } from "./log-writer.ts";
import type { ActorsFileFlag } from "./operator-commands.ts";
import { withData } from "./operator-data.ts";
import type { Config } from "./options.ts";
import { progressBar } from "./progress.ts";

export interface ReasonFlags {
	readonly why: string;
	readonly by?: string;
}

export interface Opening extends ActorsFileFlag {
	/** What the progress counts. */
	readonly unit: string;
	/** `records`: the log is appended to; `true`: snapshots are written too, no node may live. Default: false. */
	readonly write?: boolean | "records";
}

/** Open the data, show progress, and close it. */
export async function recovering<Answer>(
	config: Config,
	{ unit, write = false, actors: file }: Opening,
	ask: (parts: WritableParts, onProgress: (progress: ScanProgress) => void) => Promise<Answer>,
): Promise<Answer> {
	const behaviours = file === undefined ? undefined : await behavioursWith(file);
	const bar = progressBar(unit);
	try {
		return await withData(config, write, async (found) => {
			const index = historyIndexOf(config.dataDir, behaviours !== undefined);
			const writer = new LogWriter(found.log);
			const reading = { ...found, index, ...(behaviours ? { behaviours } : undefined) };
			const append: WritableParts["append"] = (draft) =>
				writer.send(draft, mailboxOf(reading, draft.to).partition);
			try {
				return await ask({ ...reading, append }, bar.onProgress);
			} finally {
				await writer.close();
				index.close();
			}
		});
	} finally {
		bar.stop();
	}
}

export function reasonOf({ why, by }: ReasonFlags): Reason {
	return { why, by: by ?? localUser() };
}

/** Throws `config.invalid-value` without `--yes`. */
export function mustBeSure(yes: boolean | undefined, what: string): void {
	if (yes) return;
	throw new MycelogError("config.invalid-value", `${what}: say --yes to do it`);
}
