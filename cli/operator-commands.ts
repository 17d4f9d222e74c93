/**
 * `mycelog actors`, `history`, `replay` and `verify`: from options to an answer and an exit code.
 * Owns how answers read; what they say is the runtime's.
 */
import { MycelogError } from "../persistence/errors.ts";
import type { ListedActor } from "../runtime/actor-list.ts";
import { actors } from "../runtime/actor-list.ts";
import { type HistoryEntry, type HistoryOutcome, history } from "../runtime/history.ts";
import type { MessageKind } from "../runtime/message.ts";
import type { OperatorParts } from "../runtime/operator.ts";
import { readableJson } from "../runtime/readable-json.ts";
import { rebuildDraft } from "../runtime/recovery-records.ts";
import { type Replay, replay } from "../runtime/replay.ts";
import { type Mismatch, rebuild, type Verification, verify } from "../runtime/verify.ts";
import { behavioursWith } from "./actor-definitions.ts";
import { EXIT } from "./exit-codes.ts";
import { historyIndexOf } from "./history-index.ts";
import { NodeClient, type NodeFlags, type Parameters } from "./node-client.ts";
import { mustHaveSnapshots, withData } from "./operator-data.ts";
import type { Config } from "./options.ts";
import { print, printJson, printJsonArray, printLines, printTables, timeText } from "./print.ts";
import { progressBar } from "./progress.ts";
import { reasonOf, recovering } from "./recovery-data.ts";

/** Items of a list that a node is asked for at once. */
const NODE_PAGE_ITEMS = 1_000;
/** Entries of a history come with whole states. */
const NODE_PAGE_ENTRIES = 100;

/** Of those that fold actors. */
export interface ActorsFileFlag {
	/** Module with the embedder's own actors. */
	readonly actors?: string | undefined;
}

export interface ListOptions extends NodeFlags, ActorsFileFlag {
	readonly json?: boolean;
	readonly limit: number;
	readonly under?: string;
	readonly type?: string;
	readonly search?: string;
}

export async function actorsCommand(config: Config, options: ListOptions): Promise<number> {
	const { under, type, search, limit, json } = options;
	const show = async (found: AsyncIterable<ListedActor>) => {
		if (json) await printJsonArray(found);
		else await printTables(["ADDRESS", "STATE", "OFFSET"], found, actorRow);
		return EXIT.ok;
	};
	const node = NodeClient.of(options, process.env);
	if (node) {
		const page = { items: "actors", on: "after", limit, page: NODE_PAGE_ITEMS };
		return show(node.list<ListedActor>("actors", { under, type, search }, page));
	}
	return asking(config, { unit: "partitions", actors: options.actors }, (parts, onProgress) => {
		const filter = {
			...(under ? { prefix: under } : undefined),
			...(type ? { type } : undefined),
			...(search ? { search } : undefined),
			onProgress,
		};
		return show(first(actors(parts, filter), limit));
	});
}

function actorRow({ address, state, offset, problem }: ListedActor): string[] {
	return [address, state ?? `(${problem})`, offset === undefined ? "-" : String(offset)];
}

export interface HistoryCommandOptions extends NodeFlags, ActorsFileFlag {
	readonly json?: boolean;
	readonly all?: boolean;
	readonly from?: number;
	readonly to?: number;
	readonly newestFirst?: boolean;
	readonly kind?: MessageKind;
	readonly type?: string;
	/** "-": from outside. */
	readonly fromActor?: string;
	/** Milliseconds since 1970. */
	readonly since?: number;
	readonly until?: number;
	readonly outcome?: HistoryOutcome;
	readonly follow?: boolean;
	readonly limit: number;
}

export async function historyCommand(
	config: Config,
	address: string,
	options: HistoryCommandOptions,
): Promise<number> {
	const { from, to, limit, all, json } = options;
	const show = async (entries: AsyncIterable<HistoryEntry>) => {
		if (json) await printJsonArray(ofHistory(entries));
		else if (options.follow) await printLines(entries, historyRow);
		else await printTables(["OFFSET", "TIME", "KIND", "TYPE", "FROM", "STATE", "DID"], entries, historyRow);
		return EXIT.ok;
	};
	const { newestFirst, kind, type, fromActor, since, until, outcome, follow } = options;
	const node = NodeClient.of(options, process.env);
	if (node) {
		const filter = { all, kind, type, sender: fromActor, since, until, outcome };
		if (follow) return show(followed(node, { address, from, ...filter }));
		const asked = { address, from, to, ...filter };
		if (newestFirst) return show(newestOfNode(node, asked, limit));
		const page = { items: "entries", on: "from", limit, page: NODE_PAGE_ENTRIES };
		return show(node.list<HistoryEntry>("history", asked, page));
	}
	const sender = fromActor === "-" ? "" : fromActor;
	const everything = all === true || kind === "query" || kind === "frame" || outcome === "passed";
	const filter = { everything, kind, type, sender, since, until, outcome, newestFirst };
	const following = follow ? { follow: new AbortController().signal } : undefined;
	const opening = { unit: "records", actors: options.actors, index: true };
	return asking(config, opening, (parts, onProgress) =>
		show(
			history(parts, address, {
				...filter,
				...following,
				limit: follow ? undefined : limit,
				from,
				to,
				onProgress: follow ? undefined : onProgress,
			}),
		),
	);
}

async function* followed(node: NodeClient, asked: Parameters): AsyncGenerator<HistoryEntry> {
	for await (const line of node.lines("history/follow", asked, { follow: true })) {
		yield JSON.parse(line) as HistoryEntry;
	}
}

/** Page by page from the end on; each page comes in mailbox order. */
async function* newestOfNode(
	node: NodeClient,
	asked: Parameters,
	limit: number,
): AsyncGenerator<HistoryEntry> {
	let before: number | undefined = Number.MAX_SAFE_INTEGER;
	for (let left = limit; left > 0 && before !== undefined; ) {
		const page: { entries: HistoryEntry[]; next?: number } = await node.get("history", {
			...asked,
			before,
			limit: Math.min(left, NODE_PAGE_ENTRIES),
		});
		yield* page.entries.reverse();
		left -= page.entries.length;
		before = page.next;
	}
}

/** As the data gives them: a node says more, for the picture of the actor. */
async function* ofHistory(entries: AsyncIterable<HistoryEntry & { readonly active?: unknown }>) {
	for await (const entry of entries) {
		if (entry.active === undefined) yield entry;
		else {
			const { active: _, ...same } = entry;
			yield same;
		}
	}
}

/** Throws `config.invalid-value` for what only the data can be asked. */
export function mustBeOfData(options: Readonly<Record<string, unknown>>): void {
	const [given] = Object.entries(options).find(([, value]) => value !== undefined) ?? [];
	if (given === undefined) return;
	const flag = given.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
	throw new MycelogError("config.invalid-value", `--${flag} is for data: a node (--node) is not asked so`);
}

function historyRow(entry: HistoryEntry): string[] {
	const { offset, timestamp, kind, type, from, state, outcome, error, effects } = entry;
	const did = outcome === "folded" ? effects.map((effect) => effect.type).join(", ") : (error ?? outcome);
	return [String(offset), timeText(timestamp), kind, type, from ?? "-", state, did || "-"];
}

export interface ReplayCommandOptions extends NodeFlags, ActorsFileFlag {
	readonly json?: boolean;
	readonly to?: number;
	/** Milliseconds since 1970. */
	readonly at?: number;
}

export async function replayCommand(
	config: Config,
	address: string,
	options: ReplayCommandOptions,
): Promise<number> {
	const { to, at, json } = options;
	const show = async (answer: Replay) => {
		await (json ? printJson(answer) : print(replayText(answer)));
		return EXIT.ok;
	};
	const node = NodeClient.of(options, process.env);
	if (node) return show(await node.get<Replay>("state", { address, offset: to, at }));
	const opening = { unit: "records", actors: options.actors, index: true };
	return asking(config, opening, async (parts, onProgress) =>
		show(await replay(parts, address, { to, at, onProgress })),
	);
}

function replayText({ address, partition, ...answer }: Replay): string {
	const { state, offset, begun, records, repeats, failed, start, timers, value } = answer;
	const from = begun === undefined ? "" : `, on from the state kept at offset ${begun}`;
	const rows = [
		["state", state],
		["changed", `by offset ${offset} of ${partition}`],
		["folded", `${records} records (${repeats} repeats dropped, ${failed} failed)${from}`],
		...(start > 0 ? [["history", `begins at offset ${start}: older records are no longer kept`]] : []),
		...timers.map(({ id, at }) => ["timer", `${id} at ${timeText(at)}`]),
	];
	const lines = rows.map(([name, text]) => `  ${name?.padEnd(8)} ${text}\n`).join("");
	return `${address}\n${lines}${readableJson(value, 2)}\n`;
}

export interface VerifyCommandOptions extends NodeFlags, ActorsFileFlag {
	readonly json?: boolean;
	readonly rebuild?: boolean;
	/** With `rebuild`. Default: what was found. */
	readonly why?: string;
	readonly by?: string;
}

/** Exit code 1: the snapshot is not what the log says, and was not rebuilt. */
export async function verifyCommand(
	config: Config,
	address: string,
	options: VerifyCommandOptions,
): Promise<number> {
	const node = NodeClient.of(options, process.env);
	if (node) {
		mustBeOfData({ rebuild: options.rebuild, why: options.why, by: options.by });
		const verification = await node.get<Verification>("verify", { address });
		await (options.json ? printJson(verification) : print(verdict(verification, false)));
		return verification.ok ? EXIT.ok : EXIT.failure;
	}
	const write = options.rebuild === true;
	return recovering(config, { unit: "records", write, actors: options.actors }, async (found, onProgress) => {
		const parts = { ...found, ...mustHaveSnapshots(found, config) };
		const verification = await verify(parts, address, { onProgress });
		const isMendable = !verification.ok && verification.reason !== "no-history";
		const rebuilt = write && isMendable ? await rebuild(parts, address, { onProgress }) : undefined;
		const written = rebuilt?.written === true;
		if (isMendable && written) {
			const why = options.why ?? `verify: ${verification.reason}`;
			await parts.append(rebuildDraft(address, { ...reasonOf({ ...options, why }), stored: true }));
		}
		if (options.json) await printJson(rebuilt ? { ...verification, rebuilt: written } : verification);
		else await print(verdict(verification, written));
		return verification.ok || written ? EXIT.ok : EXIT.failure;
	});
}

const REASONS: Readonly<Record<Mismatch, string>> = {
	corrupt: "the stored snapshot does not match its checksum",
	differs: "the stored snapshot is not what the log says",
	missing: "the log has history before the checkpoint, but no snapshot is stored",
	"no-history": "a snapshot is stored, but the log has no history of it",
	version: "the stored snapshot was written by another version of the behaviour",
	trimmed: "the stored snapshot differs, but the log no longer keeps the whole history: nothing is proven",
};

export function verdict(verification: Verification, rebuilt: boolean): string {
	const { address, state, records, checkpoint, partition } = verification;
	const folded = `folded ${records} records of ${partition} up to checkpoint ${checkpoint ?? "-"}${state && `, state ${state}`}`;
	if (verification.ok) {
		const what =
			verification.snapshot === "equal" ? "snapshot equals the log" : "nothing had to be stored yet";
		return `ok: ${address}: ${what}\n  ${folded}\n`;
	}
	const { reason, path, stored } = verification;
	const place =
		path === undefined
			? ""
			: `  at ${path || "the whole"}: stored ${readableJson(stored) ?? "nothing"}, folded ${readableJson(verification.folded) ?? "nothing"}\n`;
	const next = rebuilt
		? "  rebuilt from the log\n"
		: reason === "no-history"
			? "  fix: log and snapshots are not of the same data; with the node stopped, delete snapshots.db\n"
			: "  fix: a running node rebuilds damaged snapshots alone; on stopped data run this with --rebuild\n";
	return `${reason}: ${address}: ${REASONS[reason]}\n  ${folded}\n${place}${next}`;
}

export interface Asking extends ActorsFileFlag {
	/** What the progress counts. */
	readonly unit: string;
	/** One actor's records are read, not its partition's. Default: false. */
	readonly index?: boolean;
}

/** Open the data, show progress, and close it. */
export async function asking(
	config: Config,
	{ unit, index: indexed = false, actors: file }: Asking,
	ask: (parts: OperatorParts, onProgress: ReturnType<typeof progressBar>["onProgress"]) => Promise<number>,
): Promise<number> {
	const behaviours = file === undefined ? undefined : await behavioursWith(file);
	const index = indexed ? historyIndexOf(config.dataDir, behaviours !== undefined) : undefined;
	const more = { ...(behaviours ? { behaviours } : undefined), ...(index ? { index } : undefined) };
	const bar = progressBar(unit);
	try {
		return await withData(config, false, (parts) => ask({ ...parts, ...more }, bar.onProgress));
	} finally {
		bar.stop();
		index?.close();
	}
}

async function* first<Item>(items: AsyncIterable<Item>, limit: number): AsyncGenerator<Item> {
	let left = limit;
	for await (const item of items) {
		if (left-- <= 0) return;
		yield item;
	}
}
