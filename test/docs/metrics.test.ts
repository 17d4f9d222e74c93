import { readFileSync } from "node:fs";
import { collectDefaultMetrics, Registry } from "prom-client";
import { expect, test } from "vitest";
import { type RegisteredMetric, registeredMetrics } from "../kit/metric-names.ts";

const PAGE = new URL("../../docs/reference/metrics.md", import.meta.url);
const ROW = /^\| `(mycelog_\w+)` \| (\w+) \|(.*?)\| .+ \|$/gm;

/** What a scrape would find, without prom-client's own, which depend on the platform. */
function registered(): RegisteredMetric[] {
	const defaults = new Registry();
	collectDefaultMetrics({ register: defaults, prefix: "mycelog_" });
	return registeredMetrics().filter(({ name }) => !defaults.getSingleMetric(name));
}

test("docs/reference/metrics.md lists every metric of the registry with its type and labels, and no other", () => {
	const page = readFileSync(PAGE, "utf8");
	const listed = [...page.matchAll(ROW)].map(([, name = "", type = "", labels = ""]) => ({
		name,
		type,
		labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label = ""]) => label).sort(),
	}));
	const byName = (one: RegisteredMetric, other: RegisteredMetric) => (one.name < other.name ? -1 : 1);
	expect(listed.sort(byName)).toEqual(registered().sort(byName));
});
