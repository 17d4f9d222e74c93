/**
 * `mycelog verify --all` and with filters: from the data to the actors whose snapshots are not right, and an exit code.
 * Owns how the answer reads; one actor is operator-commands.ts.
 */
import { type Survey, survey } from "../runtime/verify-many.ts";
import { EXIT } from "./exit-codes.ts";
import { NodeClient, type NodeFlags } from "./node-client.ts";
import { type ActorsFileFlag, mustBeOfData, verdict } from "./operator-commands.ts";
import { mustHaveSnapshots } from "./operator-data.ts";
import type { Config } from "./options.ts";
import { print, printJson } from "./print.ts";
import { recovering } from "./recovery-data.ts";

/** `unanswered`: partitions of a cluster that no node answered for. */
type Answer = Survey & { readonly unanswered?: readonly string[] };

export interface VerifyManyOptions extends NodeFlags, ActorsFileFlag {
	readonly type?: string;
	readonly under?: string;
	readonly partition?: number;
	/** Most actors named. */
	readonly limit: number;
	readonly json?: boolean;
}

/** Exit code 1: a snapshot is not what the log says. */
export async function verifyManyCommand(config: Config, options: VerifyManyOptions): Promise<number> {
	const { type, under, partition, limit, json } = options;
	const startedAt = performance.now();
	const opening = { unit: "records", actors: options.actors } as const;
	const node = NodeClient.of(options, process.env);
	if (node) mustBeOfData({ partition });
	const found: Answer = node
		? await node.get<Answer>("verify/many", { type, under, limit })
		: await recovering(config, opening, (parts, onProgress) =>
				survey(mustHaveSnapshots(parts, config), { type, under, partition, onProgress }, limit),
			);
	if (json) await printJson(found);
	else {
		const { checked, records, wrong, skipped, actors } = found;
		const seconds = (performance.now() - startedAt) / 1_000;
		for (const one of actors) await print(verdict(one, false));
		if (wrong > actors.length) await print(`… and ${wrong - actors.length} more (--limit)\n`);
		for (const one of skipped) {
			await print(`${one.skipped}: not checked: the log keeps it from offset ${one.start} only\n`);
		}
		const { unanswered = [] } = found;
		if (unanswered.length > 0)
			await print(`not checked, no node answered for them: ${unanswered.join(", ")}; ask again\n`);
		const rate = Math.round(records / seconds).toLocaleString("en-US");
		const verdictOfAll = wrong === 0 ? "every snapshot equals the log" : `${wrong} do not equal the log`;
		await print(
			`${checked} actors, ${records} messages in ${seconds.toFixed(1)} s (${rate}/s): ${verdictOfAll}\n`,
		);
	}
	return found.ok ? EXIT.ok : EXIT.failure;
}
