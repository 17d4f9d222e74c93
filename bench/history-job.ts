/**
 * Asks one tally's history as operators do, in a fresh process: by the index, and once by reading the whole partition.
 * Prints one line of JSON.
 */
import { HistoryIndexStore } from "../persistence/history-index.ts";
import { SqliteLog } from "../persistence/log-sqlite.ts";
import { history } from "../runtime/history.ts";
import { HistoryIndex } from "../runtime/history-index.ts";
import type { OperatorParts } from "../runtime/operator.ts";
import { PartitionFold } from "../runtime/partition-fold.ts";
import { replay } from "../runtime/replay.ts";
import { ACTORS_TOPIC } from "../runtime/topics.ts";
import { tallyAddress, tallyBehaviour, topicsOf } from "./tally.ts";

export interface HistoryResult {
	readonly records: number;
	/** Records indexed a second. */
	readonly indexed: number;
	/** The first question that needs states, milliseconds: it folds the whole history and keeps some. */
	readonly firstMs: number;
	/** Of each question afterwards, milliseconds. */
	readonly newestMs: readonly number[];
	readonly pageMs: readonly number[];
	readonly stateMs: readonly number[];
	/** The newest page without an index, milliseconds. */
	readonly wholeMs: number;
	/** Records of all actors folded anew in one pass, by second of the processor. */
	readonly rebuilt: number;
	/** Of the index on disk, bytes a record. */
	readonly bytes: number;
}

const QUESTIONS = 40;
const PAGE = 100;

const { directory, questions = QUESTIONS } = JSON.parse(process.argv[2] as string) as {
	directory: string;
	questions?: number;
};
const log = new SqliteLog({ directory, readOnly: true });
await log.open(topicsOf(1));
const partition = { topic: ACTORS_TOPIC, partition: 0 };
const { end } = await log.bounds(partition);
const behaviours = new Map([[tallyBehaviour.type, tallyBehaviour]]);
const index = new HistoryIndex(new HistoryIndexStore(directory), "bench");
const whole: OperatorParts = { log, behaviours, partitions: 1 };
const parts: OperatorParts = { ...whole, index };
const address = tallyAddress(0);

const indexMs = await timed(() => index.extend(log, partition, end));
const firstMs = await timed(() => page({ newestFirst: true }));
const [newestMs, pageMs, stateMs]: [number[], number[], number[]] = [[], [], []];
for (let i = 0; i < questions; i++) {
	newestMs.push(await timed(() => page({ newestFirst: true })));
	const offset = Math.floor(Math.random() * (end - 2 * PAGE));
	pageMs.push(await timed(() => page({ from: offset })));
	stateMs.push(await timed(() => replay(parts, address, { to: offset + PAGE })));
}
const wholeMs = await timed(async () => {
	for await (const _ of history(whole, address, { from: end - PAGE }));
});
const fold = new PartitionFold(log, partition, behaviours, {});
const cpuBefore = process.cpuUsage();
await fold.to(end);
const cpu = process.cpuUsage(cpuBefore);
const rebuildMs = (cpu.user + cpu.system) / 1_000;
if (fold.folded !== end) throw new Error(`${fold.folded} of ${end} records were folded`);
index.close();
const { statSync } = await import("node:fs");
const bytes = statSync(`${directory}/history.db`).size / end;
await log.close(1_000);
const perSecond = (ms: number) => (end * 1_000) / ms;
const result: HistoryResult = {
	records: end,
	indexed: perSecond(indexMs),
	firstMs,
	newestMs,
	pageMs,
	stateMs,
	wholeMs,
	rebuilt: perSecond(rebuildMs),
	bytes,
};
process.stdout.write(`${JSON.stringify(result)}\n`);

async function page(from: { newestFirst: true } | { from: number }): Promise<void> {
	let count = 0;
	for await (const _ of history(parts, address, { ...from, limit: PAGE })) count++;
	if (count === 0) throw new Error("the page is empty");
}

async function timed(work: () => Promise<unknown>): Promise<number> {
	const since = performance.now();
	await work();
	return performance.now() - since;
}
