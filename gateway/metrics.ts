/**
 * What the gateway counts, as Prometheus metrics. Owns names and labels; no label names a client or workspace.
 */
import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import { Latency } from "../runtime/latency.ts";
import type { Node } from "../runtime/node.ts";
import { MAILBOX_TOPICS } from "../runtime/topics.ts";
import { Histogram } from "./latency-histogram.ts";

const LOG_STATUSES = ["healthy", "degraded", "unavailable"] as const;
const BREAKER_STATES = ["closed", "half-open", "open"] as const;
const KINDS = ["command", "query", "frame", "timer"] as const;

export type GatewayMetrics = ReturnType<typeof createMetrics>;

export function createMetrics() {
	const registry = new Registry();
	collectDefaultMetrics({ register: registry, prefix: "mycelog_" });
	const counter = (name: string, help: string) =>
		new Counter({ name: `mycelog_${name}`, help, registers: [registry] });
	const labelled = <Label extends string>(name: string, help: string, label: Label) =>
		new Counter({ name: `mycelog_${name}`, help, labelNames: [label], registers: [registry] });
	const delivery = new Latency();
	new Histogram(
		"mycelog_delivery_latency_seconds",
		"From a record's append to its frame being written to a socket",
		() => delivery,
		registry,
	);
	return {
		registry,
		/** Of sessions that are up to date: what a client finds when it comes back has waited for it. */
		delivery,
		connections: new Gauge({
			name: "mycelog_gateway_connections",
			help: "Open WebSocket connections of this node",
			registers: [registry],
		}),
		handshakes: labelled("gateway_handshakes_total", "Handshakes by outcome", "outcome"),
		refusedUpgrades: labelled(
			"gateway_refused_upgrades_total",
			"WebSocket upgrades answered 503, by reason",
			"reason",
		),
		refusedRequests: labelled(
			"gateway_refused_requests_total",
			"HTTP requests answered 429, by reason",
			"reason",
		),
		shed: labelled("gateway_shed_total", "Connections ended because of a bound, by reason", "reason"),
		framesIn: counter("gateway_frames_in_total", "Binary frames received from clients"),
		chunkBytes: new Gauge({
			name: "mycelog_gateway_chunk_bytes",
			help: "Bytes of chunks held: early ones for clients, incomplete messages for the manager",
			labelNames: ["of"],
			registers: [registry],
		}),
		framesOut: counter("gateway_frames_out_total", "Frames written to sockets"),
		refusedFrames: labelled("gateway_refused_frames_total", "Frames not accepted, by reason", "reason"),
		expiredFrames: counter(
			"gateway_expired_frames_total",
			"Calls not delivered because their caller gave up",
		),
		slowReaders: counter("gateway_slow_readers_total", "Times a socket's buffer bound made its session wait"),
		holes: counter(
			"gateway_holes_total",
			"Resumed sessions that retention took messages from before they were delivered",
		),
		managerCalls: labelled("gateway_manager_calls_total", "Calls of manager methods by outcome", "outcome"),
	};
}

/** Export the runtime's plain counters; read when scraped. */
export function exportRuntime(registry: Registry, node: Node): void {
	const { metrics } = node;
	const read = (name: string, help: string, value: () => number) => {
		const kept = { name: `mycelog_${name}`, help, registers: [registry] };
		if (!name.endsWith("_total")) {
			new Gauge({
				...kept,
				collect() {
					this.set(value());
				},
			});
			return;
		}
		// The runtime counts; what is scraped is its number, not a second one.
		new Counter({
			...kept,
			collect() {
				this.reset();
				this.inc(value());
			},
		});
	};
	const readLabelled = (name: string, help: string, label: string, values: () => [string, number][]) => {
		new Counter({
			name: `mycelog_${name}`,
			help,
			labelNames: [label],
			registers: [registry],
			collect() {
				this.reset();
				for (const [of, value] of values()) this.inc({ [label]: of }, value);
			},
		});
	};
	new Histogram(
		"mycelog_processing_latency_seconds",
		"From a record's append to its actor having handled it",
		() => metrics.processing,
		registry,
	);
	readLabelled("records_total", "Records folded or passed on, by kind", "kind", () =>
		KINDS.map((kind) => [kind, metrics[kind]]),
	);
	readLabelled("drops_total", "Frames without a receiver, by reason", "reason", () =>
		Object.entries(metrics.drops),
	);
	read("duplicates_total", "Records dropped as seen before", () => metrics.duplicates);
	read("expired_total", "Queries and frames dropped late", () => metrics.expired);
	read("dead_letters_total", "Records parked", () => metrics.deadLetters);
	read("late_replies_total", "Replies nobody waited for", () => metrics.lateReplies);
	read(
		"stranded_deliveries_total",
		"Messages for a socket of a node that is gone",
		() => metrics.strandedDeliveries,
	);
	read("outputs_total", "Messages actors sent to other mailboxes", () => metrics.outputs);
	read("output_stalls_total", "Times a partition waited for its outputs", () => metrics.outputStalls);
	read("asks_refused_total", "Asks refused at their bound", () => metrics.asksRefused);
	read("submits_refused_total", "Messages refused at once while the log was unavailable", () => {
		return metrics.submitsRefused;
	});
	read("checkpoints_total", "Checkpoints written", () => metrics.checkpoints);
	read("snapshots_written_total", "Snapshots written", () => metrics.snapshotsWritten);
	read("snapshots_rebuilt_total", "Damaged or outdated snapshots rebuilt from the log", () => {
		return metrics.snapshotsRebuilt;
	});
	read("actors_in_memory", "Actors in memory", () => sum(node.partitions.map((p) => p.actorsInMemory)));
	read("partitions_owned", "Partitions owned by this node", () => node.partitions.length);
	read("rebalances_total", "Times the nodes that share the log changed", () => metrics.rebalances);
	readLabelled("partition_moves_total", "Partitions got and let go of, by how", "how", () => [
		["assigned", metrics.partitionsAssigned],
		["handed-over", metrics.partitionsHandedOver],
		["lost", metrics.partitionsLost],
	]);
	read("actor_activations_total", "Actors loaded into memory", () => metrics.activations);
	read("actor_passivations_total", "Actors that left memory", () => metrics.passivations);
	read("recovery_records_left", "Records to fold until recovering partitions have caught up", () => {
		return sum(node.partitions.map(({ live, next, recoveredTo }) => (live ? 0 : recoveredTo - next)));
	});
	new Gauge({
		name: "mycelog_mailbox_depth_records",
		help: "Records that wait in the fullest owned partition, by topic",
		labelNames: ["topic"],
		registers: [registry],
		collect() {
			for (const topic of MAILBOX_TOPICS) {
				const owned = node.partitions.filter(({ id }) => id.topic === topic);
				this.set({ topic }, Math.max(0, ...owned.map((one) => node.endOf(one) - one.next)));
			}
		},
	});
	read("partitions_recovering", "Owned partitions that have not caught up", () => {
		return node.partitions.filter((partition) => !partition.live).length;
	});
	read("lag_records", "Records of owned partitions that are in the log and not folded", () => node.lag);
	read("partitions_stalled", "Owned partitions that have records to fold and stand still", () => {
		return node.stalled.length;
	});
	read("log_status", "Health of the log: 0 healthy, 1 degraded, 2 unavailable", () => {
		return LOG_STATUSES.indexOf(node.log.health().status);
	});
	const noProbes = { breaker: "closed", succeeded: 0, failed: 0, opened: 0, lastMs: 0 } as const;
	const probes = () => node.log.probes ?? noProbes;
	read("log_breaker_state", "Whether the log is left alone: 0 closed, 1 half-open, 2 open", () => {
		return BREAKER_STATES.indexOf(probes().breaker);
	});
	readLabelled(
		"log_probes_total",
		"Probes that wrote to the log and read back, by outcome",
		"outcome",
		() => [
			["succeeded", probes().succeeded],
			["failed", probes().failed],
		],
	);
	read("log_breaker_opened_total", "Times the log was left alone after failed probes", () => probes().opened);
	read("log_probe_ms", "What the newest successful probe took, milliseconds", () => probes().lastMs);
	const { stats } = node.appender;
	read("append_queue_records", "Records waiting for the log", () => stats.queuedRecords);
	read("append_queue_bytes", "Bytes waiting for the log", () => stats.queuedBytes);
	read("append_batches_total", "Batches appended", () => stats.batches);
	read("append_records_total", "Records appended", () => stats.records);
	read("append_retries_total", "Batches tried again", () => stats.retries);
	read("append_refused_total", "Records refused because too many waited", () => stats.refused);
}

function sum(numbers: readonly number[]): number {
	return numbers.reduce((total, n) => total + n, 0);
}
