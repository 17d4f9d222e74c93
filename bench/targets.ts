/**
 * The targets of the figures, as the issue that asked for them states them. Owns nothing but the list.
 */
import type { Summary, Unit } from "./figures.ts";

interface Target {
	readonly benchmark: string;
	readonly variant: string;
	readonly metric: string;
	readonly bound: "≤" | "≥";
	readonly value: number;
	readonly unit: Unit;
}

/** Of the manager benchmark. */
export const GET_SERVICE_RATIO = "get_service beside a plain call: p50";
export const LOOP_DELAY = "event loop delay meanwhile: p99";

const TARGETS: readonly Target[] = [
	call("Kafka", "one at a time: p50", "≤", 4, "ms"),
	call("Kafka", "1 pair × 64 in flight: calls", "≥", 10_000, "/s"),
	call("embedded (power)", "one at a time: p50", "≤", 1, "ms"),
	call("embedded (power)", "1 pair × 64 in flight: calls", "≥", 15_000, "/s"),
	{
		benchmark: "fold",
		variant: "re-fold of one actor",
		metric: "records",
		bound: "≥",
		value: 100_000,
		unit: "/s",
	},
	...(["newest page: p50", "page at an offset: p50"] as const).map(
		(metric): Target => ({
			benchmark: "history",
			variant: "an actor's own partition",
			metric,
			bound: "≤",
			value: 50,
			unit: "ms",
		}),
	),
	{
		benchmark: "history",
		variant: "100 actors in the partition",
		metric: "rebuilt",
		bound: "≥",
		value: 100_000,
		unit: "/s",
	},
	...(["drawn at first", "drawn again: p50"] as const).map(
		(metric): Target => ({
			benchmark: "console",
			variant: "embedded (power)",
			metric,
			bound: "≤",
			value: 1_000,
			unit: "ms",
		}),
	),
	{
		benchmark: "connections",
		variant: "embedded (power)",
		metric: "per connection",
		bound: "≤",
		value: 8,
		unit: "KB",
	},
	{
		benchmark: "start",
		variant: "idle actors",
		metric: "ready after",
		bound: "≤",
		value: 1_000,
		unit: "ms",
	},
	{
		benchmark: "cluster",
		variant: "2 nodes",
		metric: "one at a time: p50",
		bound: "≤",
		value: 8,
		unit: "ms",
	},
	...(["embedded (power)", "Kafka"] as const).flatMap((variant): Target[] => [
		{ benchmark: "manager", variant, metric: GET_SERVICE_RATIO, bound: "≤", value: 2, unit: "times" },
		{ benchmark: "manager", variant, metric: LOOP_DELAY, bound: "≤", value: 50, unit: "ms" },
	]),
	failover("default", "kill -9: first record", 7_000),
	failover("default", "kill -9: slowest of a round", 10_000),
	failover("default", "graceful stop: gap of a partition", 1_000),
	failover("takeover after 1.5 s", "kill -9: first record", 2_500),
	failover("takeover after 1.5 s", "kill -9: slowest of a round", 5_000),
	failover("warm standby", "kill -9: after detection, 10,000 actors", 500),
	sleepers("resident memory, all asleep, garbage collected", 300 * 1024, "KB"),
	sleepers("first message: p99", 20, "ms"),
	{
		benchmark: "restore",
		variant: "embedded (power)",
		metric: "all answered",
		bound: "≤",
		value: 5_000,
		unit: "ms",
	},
	{ benchmark: "tells", variant: "in-memory log", metric: "messages", bound: "≥", value: 50_000, unit: "/s" },
	{
		benchmark: "tells",
		variant: "embedded (power)",
		metric: "messages",
		bound: "≥",
		value: 20_000,
		unit: "/s",
	},
];

export function targetOf(benchmark: string, variant: string, metric: string): Target | undefined {
	return TARGETS.find((t) => t.benchmark === benchmark && t.variant === variant && t.metric === metric);
}

/** Judged by the median. */
export function isMet({ bound, value }: Target, { median }: Summary): boolean {
	return bound === "≤" ? median <= value : median >= value;
}

function call(variant: string, metric: string, bound: "≤" | "≥", value: number, unit: Unit): Target {
	return { benchmark: "calls", variant, metric, bound, value, unit };
}

function failover(variant: string, metric: string, value: number): Target {
	return { benchmark: "failover", variant, metric, bound: "≤", value, unit: "ms" };
}

function sleepers(metric: string, value: number, unit: Unit): Target {
	return { benchmark: "sleepers", variant: "embedded (power)", metric, bound: "≤", value, unit };
}
