/**
 * The operator's first look: nodes, partitions, health with its reasons, counts and counters. Owns what is asked of the log
 * for it, and how often: partitions of other nodes are known by their ends alone.
 */
import { type PartitionId, partitionName } from "../persistence/log.ts";
import { type StalledOn, stalledOn } from "../runtime/stall-watch.ts";
import { MAILBOX_TOPICS } from "../runtime/topics.ts";
import type { OperatorContext, OperatorRoutes } from "./operator-api.ts";
import { readinessOf } from "./readiness.ts";

/** How old the ends of other nodes' partitions and the number of dead letters may be, milliseconds. */
export const OVERVIEW_KEPT_MS = 5_000;

export interface PartitionView {
	readonly topic: string;
	readonly partition: number;
	/** Id of the node that owns it; undefined: another one, which is not known. */
	readonly owner: string | undefined;
	/** Undefined where the owner alone knows. */
	readonly live?: boolean;
	/** The next offset to fold. */
	readonly next?: number;
	/** The log is known to reach up to here. */
	readonly end: number;
	/** Records in the log that are not folded. */
	readonly lag?: number;
	readonly stalledOn?: StalledOn;
}

interface Kept {
	readonly at: number;
	readonly ends: ReadonlyMap<string, number>;
	readonly letters: number;
}

export function addOverview(routes: OperatorRoutes, context: OperatorContext): void {
	const { node, metrics, version, draining, reading } = context;
	let kept: Kept | undefined;

	async function asked(): Promise<Kept> {
		if (kept && node.now() - kept.at < OVERVIEW_KEPT_MS) return kept;
		const owned = new Set(node.partitions.map(({ id }) => partitionName(id)));
		const foreign = mailboxes(reading.partitions).filter((id) => !owned.has(partitionName(id)));
		const ends = await Promise.all(
			foreign.map(async (id) => [partitionName(id), (await reading.log.bounds(id)).end] as const),
		);
		await context.outcomes.catchUp();
		kept = { at: node.now(), ends: new Map(ends), letters: context.outcomes.open };
		return kept;
	}

	async function partitions(): Promise<PartitionView[]> {
		const { ends } = await asked();
		const owned = new Map(node.partitions.map((partition) => [partitionName(partition.id), partition]));
		const stalls = new Map(node.stalls.map((stall) => [stall.name, stall]));
		return Promise.all(
			mailboxes(reading.partitions).map(async (id) => {
				const name = partitionName(id);
				const own = owned.get(name);
				if (!own) return { ...id, owner: undefined, end: ends.get(name) ?? 0 };
				const { next, live } = own;
				const end = node.endOf(own);
				const stall = stalls.get(name);
				const view = { ...id, owner: node.name.id, live, next, end, lag: Math.max(end - next, 0) };
				return stall ? { ...view, stalledOn: await stalledOn(reading.log, stall) } : view;
			}),
		);
	}

	routes.question("overview", "Nodes, partitions, health, counts and counters", {}, async () => {
		const { ready, reasons, detail } = readinessOf(node, draining());
		return {
			node: node.name.id,
			version,
			nodes: node.nodes.ids,
			partitions: await partitions(),
			health: { ready, reasons, log: detail["log"], status: detail["log_status"] },
			counts: {
				connections: await totalOf(metrics.connections),
				clients: await totalOf(metrics.connections),
				deadLetters: (await asked()).letters,
			},
			counters: {
				now: node.now(),
				records: node.metrics.command + node.metrics.query + node.metrics.frame + node.metrics.timer,
				calls: await totalOf(metrics.managerCalls),
				frames: (await totalOf(metrics.framesIn)) + (await totalOf(metrics.framesOut)),
				deadLetters: node.metrics.deadLetters,
			},
		};
	});
	routes.question(
		"partitions",
		"All partitions: owner, lag, and the record that one stands still on",
		{},
		async () => {
			return { partitions: await partitions() };
		},
	);
}

function mailboxes(partitions: number): PartitionId[] {
	return MAILBOX_TOPICS.flatMap((topic) =>
		Array.from({ length: partitions }, (_, partition) => ({ topic, partition })),
	);
}

/** Of a counter or gauge, all labels together. */
async function totalOf(metric: {
	get(): Promise<{ readonly values: readonly { readonly value: number }[] }>;
}): Promise<number> {
	return (await metric.get()).values.reduce((sum, { value }) => sum + value, 0);
}
