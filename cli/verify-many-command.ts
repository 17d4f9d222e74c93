/**
 * `mycelog verify --all` and with filters: from the data to the actors whose snapshots are not right, and an exit code.
 * Owns how the answer reads; one actor is operator-commands.ts.
 */

import type { Verification } from "../runtime/verify.ts";
import { type ManyFilter, type SkippedPartition, verifyMany } from "../runtime/verify-many.ts";
import { EXIT } from "./exit-codes.ts";
import type { ActorsFileFlag } from "./operator-commands.ts";
import { verdict } from "./operator-commands.ts";
import { mustHaveSnapshots } from "./operator-data.ts";
import type { Config } from "./options.ts";
import { print, printJson } from "./print.ts";
import { recovering } from "./recovery-data.ts";

export interface VerifyManyOptions extends ActorsFileFlag {
	readonly type?: string;
	readonly under?: string;
	readonly partition?: number;
	/** Most actors named. */
	readonly limit: number;
	readonly json?: boolean;
}

type Wrong = Extract<Verification, { readonly ok: false }>;

/** Exit code 1: a snapshot is not what the log says. */
export async function verifyManyCommand(config: Config, options: VerifyManyOptions): Promise<number> {
	const { type, under, partition, limit, json } = options;
	const counts = { checked: 0, records: 0, wrong: 0 };
	const named: Wrong[] = [];
	const skipped: SkippedPartition[] = [];
	const startedAt = performance.now();
	await recovering(config, { unit: "records", actors: options.actors }, async (found, onProgress) => {
		const filter: ManyFilter = { type, under, partition, onProgress };
		for await (const one of verifyMany(mustHaveSnapshots(found, config), filter)) {
			if ("skipped" in one) {
				skipped.push(one);
				continue;
			}
			counts.checked++;
			counts.records += one.records;
			if (one.ok) continue;
			counts.wrong++;
			if (named.length < limit) named.push(one);
		}
	});
	const seconds = (performance.now() - startedAt) / 1_000;
	if (json) await printJson({ ok: counts.wrong === 0, ...counts, skipped, actors: named });
	else {
		for (const one of named) await print(verdict(one, false));
		if (counts.wrong > named.length) await print(`… and ${counts.wrong - named.length} more (--limit)\n`);
		for (const one of skipped) {
			await print(`${one.skipped}: not checked: the log keeps it from offset ${one.start} only\n`);
		}
		const rate = Math.round(counts.records / seconds).toLocaleString("en-US");
		const verdictOfAll =
			counts.wrong === 0 ? "every snapshot equals the log" : `${counts.wrong} do not equal the log`;
		await print(
			`${counts.checked} actors, ${counts.records} messages in ${seconds.toFixed(1)} s (${rate}/s): ${verdictOfAll}\n`,
		);
	}
	return counts.wrong === 0 ? EXIT.ok : EXIT.failure;
}
