/** What a node's registry holds, without a node: names, types and labels, as a scrape would show them. */
import type { Registry } from "prom-client";
import { createMetrics, exportRuntime } from "../../gateway/metrics.ts";
import type { Node } from "../../runtime/node.ts";

export interface RegisteredMetric {
	readonly name: string;
	readonly type: string;
	readonly labels: readonly string[];
}

/** `collectDefaultMetrics` included. */
export function registeredMetrics(): RegisteredMetric[] {
	const { registry } = createMetrics();
	// Its numbers are read when scraped, which this is not.
	exportRuntime(registry, { metrics: {}, partitions: [], appender: { stats: {} } } as unknown as Node);
	return metricsOf(registry);
}

export function metricsOf(registry: Registry): RegisteredMetric[] {
	return registry.getMetricsAsArray().map(({ name }) => {
		const metric = registry.getSingleMetric(name) as object as { labelNames?: readonly string[] };
		return {
			name,
			type: metric.constructor.name.toLowerCase(),
			labels: [...(metric.labelNames ?? [])].sort(),
		};
	});
}
