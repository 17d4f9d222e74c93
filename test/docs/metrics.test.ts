import { readFileSync } from "node:fs";
import { collectDefaultMetrics, Registry } from "prom-client";
import { expect, test } from "vitest";
import { createMetrics, exportRuntime } from "../../gateway/metrics.ts";
import type { Node } from "../../runtime/node.ts";

const PAGE = new URL("../../docs/reference/metrics.md", import.meta.url);
const ROW = /^\| `(mycelog_\w+)` \| (\w+) \|(.*?)\| .+ \|$/gm;

interface Listed {
	readonly name: string;
	readonly type: string;
	readonly labels: readonly string[];
}

/** What a scrape would find, without prom-client's own, which depend on the platform. */
function registered(): Listed[] {
	const { registry } = createMetrics();
	// Its numbers are read when scraped, which this is not.
	exportRuntime(registry, { metrics: {}, partitions: [], appender: { stats: {} } } as unknown as Node);
	const defaults = new Registry();
	collectDefaultMetrics({ register: defaults, prefix: "mycelog_" });
	const own = registry.getMetricsAsArray().filter(({ name }) => !defaults.getSingleMetric(name));
	return own.map(({ name }) => {
		const metric = registry.getSingleMetric(name) as object as { labelNames?: readonly string[] };
		return {
			name,
			type: metric.constructor.name.toLowerCase(),
			labels: [...(metric.labelNames ?? [])].sort(),
		};
	});
}

test("docs/reference/metrics.md lists every metric of the registry with its type and labels, and no other", () => {
	const page = readFileSync(PAGE, "utf8");
	const listed = [...page.matchAll(ROW)].map(([, name = "", type = "", labels = ""]) => ({
		name,
		type,
		labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label = ""]) => label).sort(),
	}));
	const byName = (one: Listed, other: Listed) => (one.name < other.name ? -1 : 1);
	expect(listed.sort(byName)).toEqual(registered().sort(byName));
});
