/**
 * `mycelog status` and `partitions`: how a node is, of which partitions it has, and on which record one stands still.
 * Owns how that reads; a running node says it, of stopped data there are the log's ends and the checkpoints.
 */
import type { PartitionView } from "../gateway/operator-overview.ts";
import { LetterOutcomes } from "../runtime/letter-outcomes.ts";
import type { OperatorParts } from "../runtime/operator.ts";
import type { Wait } from "../runtime/progress.ts";
import type { StalledOn } from "../runtime/stall-watch.ts";
import { MAILBOX_TOPICS, partitionsOf } from "../runtime/topics.ts";
import { EXIT } from "./exit-codes.ts";
import { NodeClient, type NodeFlags } from "./node-client.ts";
import { withData } from "./operator-data.ts";
import type { Config } from "./options.ts";
import { print, printJson, table, timeText } from "./print.ts";

export interface NodeCommandOptions extends NodeFlags {
	readonly json?: boolean;
}

interface Overview {
	readonly node: string;
	readonly version: string;
	readonly nodes: readonly string[];
	readonly partitions: readonly PartitionView[];
	readonly health: { readonly ready: boolean; readonly reasons: readonly string[]; readonly log: string };
	readonly counts: Readonly<Partial<Record<string, number>>>;
}

/** Exit code 1: the node is not ready. */
export async function statusCommand(config: Config, options: NodeCommandOptions): Promise<number> {
	const node = NodeClient.of(options, process.env);
	if (!node) return statusOfData(config, options);
	const overview = await node.get<Overview>("overview");
	if (options.json) await printJson(overview);
	else await print(statusText(overview));
	return overview.health.ready ? EXIT.ok : EXIT.failure;
}

function statusText({ node, version, nodes, partitions, health, counts }: Overview): string {
	const own = partitions.filter(({ owner }) => owner === node);
	const lag = own.reduce((sum, one) => sum + (one.lag ?? 0), 0);
	const rows = [
		["node", `${node}, version ${version}, one of ${nodes.length}: ${nodes.join(", ")}`],
		["health", health.ready ? "ready" : "NOT READY"],
		...health.reasons.map((reason) => ["", `- ${reason}`]),
		["log", health.log],
		["partitions", `${own.length} of ${partitions.length} here, ${lag} records not folded`],
		...own.flatMap(({ topic, partition, stalledOn }) =>
			stalledOn ? [["stalled", `${topic}/${partition} on ${stallText(stalledOn)}`]] : [],
		),
		["connections", String(counts["connections"] ?? 0)],
		["actors", counts["actors"] === undefined ? "not counted yet" : String(counts["actors"])],
		["workspaces", counts["workspaces"] === undefined ? "not known now" : String(counts["workspaces"])],
		["letters", `${counts["deadLetters"] ?? 0} dead letters are open`],
	];
	return rows.map(([name = "", text = ""]) => `${name.padEnd(12)}${text}\n`).join("");
}

function statusOfData(config: Config, { json }: NodeCommandOptions): Promise<number> {
	return withData(config, false, async (parts) => {
		const outcomes = new LetterOutcomes(parts);
		await outcomes.catchUp();
		const { driver, addresses } = parts.log;
		const found = { log: driver, addresses, partitions: parts.partitions, deadLetters: outcomes.open };
		if (json) await printJson(found);
		else {
			const place = `${driver} at ${addresses.join(", ")}`;
			await print(
				`log         ${place}\npartitions  ${parts.partitions} of each mailbox topic\nletters     ${outcomes.open} dead letters are open\n` +
					"No node was asked: name one with --node to see its health.\n",
			);
		}
		return EXIT.ok;
	});
}

/** Exit code 1: one of them stands still. */
export async function partitionsCommand(config: Config, options: NodeCommandOptions): Promise<number> {
	const node = NodeClient.of(options, process.env);
	const found = node
		? (await node.get<Pick<Overview, "partitions">>("partitions")).partitions
		: await withData(config, false, partitionsOfData);
	if (options.json) await printJson(found);
	else await print(table(["PARTITION", "OWNER", "NEXT", "END", "LAG", "STANDS ON"], found.map(partitionRow)));
	return found.some(({ stalledOn }) => stalledOn) ? EXIT.failure : EXIT.ok;
}

/** Up to where snapshots were stored; what a node has folded since then it alone knows. */
async function partitionsOfData({ log, snapshots, partitions }: OperatorParts): Promise<PartitionView[]> {
	const views: PartitionView[] = [];
	for (const id of partitionsOf(MAILBOX_TOPICS, partitions)) {
		const { start, end } = await log.bounds(id);
		const next = Math.max(snapshots?.checkpoint(id)?.next ?? start, start);
		views.push({ ...id, owner: undefined, next, end, lag: Math.max(end - next, 0) });
	}
	return views;
}

function partitionRow({ topic, partition, owner, next, end, lag, stalledOn }: PartitionView): string[] {
	const known = (value: number | undefined) => (value === undefined ? "-" : String(value));
	const stall = stalledOn ? stallText(stalledOn) : "-";
	return [`${topic}/${partition}`, owner ?? "-", known(next), String(end), known(lag), stall];
}

function stallText({ offset, since, address, kind, type, waitsFor }: StalledOn): string {
	const record = address === undefined ? "" : ` (${kind ?? "unreadable"} ${type ?? ""} to ${address})`;
	return `offset ${offset}${record} since ${timeText(since)}${waitsFor ? `, ${waitText(waitsFor)}` : ""}`;
}

function waitText(wait: Wait): string {
	if ("outputs" in wait) return `${wait.outputs} outputs wait for the log`;
	return `the actor's history was tried to be read ${wait.rebuild.attempts} times`;
}
