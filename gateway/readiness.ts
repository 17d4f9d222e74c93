/**
 * Whether a node serves, and what keeps it from it. Owns the judgement's form for health checks and operators; progress
 * itself is the runtime's.
 */
import type { LogHealth } from "../persistence/log.ts";
import { takesNewWork } from "../persistence/log-health.ts";
import type { Node } from "../runtime/node.ts";
import { stalledOn } from "../runtime/stall-watch.ts";

export interface Readiness {
	readonly ready: boolean;
	/** For people, one line each; empty: nothing is wrong. */
	readonly reasons: readonly string[];
	readonly detail: Readonly<Record<string, unknown>>;
}

/** Ready means: the log answers, the first partitions have caught up, and none stands still with records to fold. */
export function readinessOf(node: Node, draining: boolean): Readiness {
	const { partitions, log, stalls } = node;
	const health = log.health();
	const recovering = partitions.filter((partition) => !partition.live).length;
	const detail = {
		log: log.driver,
		node: node.name.id,
		log_status: health.status,
		...troubleOf(health),
		partitions_owned: partitions.length,
		partitions_recovering: recovering,
		partitions_stalled: stalls.map(({ name }) => name),
		draining,
	};
	const reasons = [
		...(health.status === "healthy" ? [] : [`the log is ${health.status}: ${health.cause}`]),
		...(takesNewWork(health) ? [] : ["new clients are asked to come again until the log answers"]),
		...(recovering > 0
			? [`${recovering} of ${partitions.length} partitions have not caught up with the log`]
			: []),
		...stalls.map(({ name, offset }) => `partition ${name} stands still on offset ${offset}`),
		...(draining ? ["the node is being shut down"] : []),
	];
	return { ready: node.ready && !draining, reasons, detail };
}

/** With the records that partitions stand on: read from the log, within a bound. */
export async function healthOf(node: Node, draining: boolean): Promise<Readiness> {
	const { stalls } = node;
	const judged = readinessOf(node, draining);
	if (stalls.length === 0) return judged;
	const stalled = await Promise.all(
		stalls.map(async (stall) => ({ partition: stall.name, ...(await stalledOn(node.log, stall)) })),
	);
	return { ...judged, detail: { ...judged.detail, stalled_on: stalled } };
}

function troubleOf(health: LogHealth): Record<string, unknown> {
	if (health.status === "healthy") return {};
	const retry = health.status === "unavailable" ? health.retry : undefined;
	return {
		cause: health.cause,
		since_ms: Math.round(health.sinceMs),
		...(retry ? { attempts: retry.attempts, next_try_ms: Math.round(retry.nextTryMs) } : undefined),
	};
}
