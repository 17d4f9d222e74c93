/**
 * The operator's first look: nodes, partitions, health with its reasons, counts and counters. Owns what is asked of the log
 * for it, and how often: partitions of other nodes are known by their ends alone.
 */
import { endsWithin } from "../persistence/deadline.ts";
import { partitionName } from "../persistence/log.ts";
import { type PartitionStatus, statusOf } from "../runtime/node-status.ts";
import type { StalledOn } from "../runtime/stall-watch.ts";
import { MAILBOX_TOPICS, partitionsOf } from "../runtime/topics.ts";
import type { OperatorContext, OperatorRoutes } from "./operator-api.ts";
import { type ActorCounts, Counts } from "./operator-counts.ts";
import { readinessOf } from "./readiness.ts";

/** How old what other nodes say, the ends of their partitions and the number of dead letters may be, milliseconds. */
export const OVERVIEW_KEPT_MS = 5_000;

/** For all that is asked of others, milliseconds; past it the answer goes without it. */
const ASK_MS_MAX = 3_000;

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
	/** By partition, what its owner says. */
	readonly others: ReadonlyMap<string, PartitionStatus & { readonly owner: string }>;
	readonly ends: ReadonlyMap<string, number>;
	readonly letters: number;
	readonly counts: Partial<ActorCounts>;
}

export function addOverview(routes: OperatorRoutes, context: OperatorContext): void {
	const { node, metrics, version, draining, reading } = context;
	let kept: Kept = {
		at: Number.NEGATIVE_INFINITY,
		others: new Map(),
		ends: new Map(),
		letters: 0,
		counts: {},
	};
	const counts = new Counts(node);
	let asking: { readonly done: Promise<void>; readonly since: number } | undefined;

	/** A log that does not answer is no reason to say nothing: what was known before is told. */
	async function asked(): Promise<Kept> {
		const now = node.now();
		if (now - kept.at < OVERVIEW_KEPT_MS) return kept;
		if (!asking) {
			const done = ask()
				.catch(() => {})
				.finally(() => {
					asking = undefined;
				});
			asking = { done, since: now };
		}
		// Whoever comes later does not wait as long again for what may never come.
		const leftMs = asking.since + ASK_MS_MAX - now;
		if (leftMs > 0) await endsWithin(leftMs, asking.done);
		return kept;
	}

	async function ask(): Promise<void> {
		const [statuses, found] = await Promise.all([node.others(), counts.all()]);
		const told = statuses.flatMap(({ node: owner, partitions: of }) =>
			of.map((one) => [partitionName(one), { ...one, owner }] as const),
		);
		const others = new Map(told);
		const owned = new Set(node.partitions.map(({ id }) => partitionName(id)));
		const foreign = partitionsOf(MAILBOX_TOPICS, reading.partitions).filter((id) => {
			const name = partitionName(id);
			return !owned.has(name) && !others.has(name);
		});
		const ends = await Promise.all(
			foreign.map(async (id) => [partitionName(id), (await reading.log.bounds(id)).end] as const),
		);
		await context.outcomes.catchUp();
		kept = { at: node.now(), others, ends: new Map(ends), letters: context.outcomes.open, counts: found };
	}

	async function partitions(): Promise<PartitionView[]> {
		const { ends, others } = await asked();
		const own = await statusOf(node);
		const owner = own.node;
		const known = new Map([
			...others,
			...own.partitions.map((one) => [partitionName(one), { ...one, owner }] as const),
		]);
		return partitionsOf(MAILBOX_TOPICS, reading.partitions).map((id) => {
			const status = known.get(partitionName(id));
			if (!status) return { ...id, owner: undefined, end: ends.get(partitionName(id)) ?? 0 };
			return { ...status, lag: Math.max(status.end - status.next, 0) };
		});
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
				...(await asked()).counts,
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

/** Of a counter or gauge, all labels together. */
async function totalOf(metric: {
	get(): Promise<{ readonly values: readonly { readonly value: number }[] }>;
}): Promise<number> {
	return (await metric.get()).values.reduce((sum, { value }) => sum + value, 0);
}
