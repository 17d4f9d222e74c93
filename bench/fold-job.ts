/** Folds one tally out of its log from the first record, in a fresh process. Prints one line of JSON. */
import { SqliteLog } from "../persistence/log-sqlite.ts";
import { foldActor } from "../runtime/fold.ts";
import { ACTORS_TOPIC } from "../runtime/topics.ts";
import { tallyAddress, tallyBehaviour, topicsOf } from "./tally.ts";

export interface FoldResult {
	readonly records: number;
	readonly seconds: number;
}

const { directory } = JSON.parse(process.argv[2] as string) as { directory: string };
const log = new SqliteLog({ directory, readOnly: true });
await log.open(topicsOf(1));
const partition = { topic: ACTORS_TOPIC, partition: 0 };
const { end } = await log.bounds(partition);
let records = 0;
const since = performance.now();
for await (const step of foldActor(log, partition, tallyAddress(0), tallyBehaviour, { end })) {
	if (step.outcome !== "folded")
		throw new Error(`record ${step.message.offset} was not folded: ${step.outcome}`);
	records++;
}
const seconds = (performance.now() - since) / 1000;
await log.close(1_000);
process.stdout.write(`${JSON.stringify({ records, seconds } satisfies FoldResult)}\n`);
