/**
 * The Grafana dashboard and the alert rules against the metrics that a node really has.
 */
import { readFileSync } from "node:fs";
import type { SyntaxNode } from "@lezer/common";
import { parser } from "@prometheus-io/lezer-promql";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { registeredMetrics } from "../kit/metric-names.ts";

const DASHBOARD = new URL("../../docs/operating/grafana/mycelog-dashboard.json", import.meta.url);
const ALERTS = new URL("../../docs/operating/prometheus/mycelog-alerts.yaml", import.meta.url);
const METRICS_PAGE = readFileSync(new URL("../../docs/reference/metrics.md", import.meta.url), "utf8");

interface Panel {
	readonly id: number;
	readonly type: string;
	readonly title: string;
	readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
	readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

interface Rule {
	readonly alert: string;
	readonly expr: string;
	readonly labels: { readonly severity: string };
	readonly annotations: { readonly summary: string; readonly runbook: string };
}

const panels = (JSON.parse(readFileSync(DASHBOARD, "utf8")) as { panels: Panel[] }).panels;
const rules = (parse(readFileSync(ALERTS, "utf8")) as { groups: { rules: Rule[] }[] }).groups.flatMap(
	(group) => group.rules,
);

/** Labels that Prometheus adds to whatever it scrapes. */
const ADDED = ["instance", "job"];
/** By name in an expression; of a histogram there are three. */
const labelsOf = new Map<string, readonly string[]>([["up", ADDED]]);
for (const { name, type, labels } of registeredMetrics()) {
	if (type !== "histogram") labelsOf.set(name, [...labels, ...ADDED]);
	else {
		labelsOf.set(`${name}_bucket`, [...labels, ...ADDED, "le"]);
		for (const part of ["sum", "count"]) labelsOf.set(`${name}_${part}`, [...labels, ...ADDED]);
	}
}

interface Selector {
	readonly metric: string;
	/** Label and what it must be. */
	readonly matchers: readonly (readonly [label: string, value: string])[];
}

/** Every series an expression selects, and every label it groups by. Throws where it is no PromQL. */
function read(expression: string): { selectors: Selector[]; grouped: string[] } {
	const text = expression.replaceAll("$__rate_interval", "5m").replaceAll(/\$\w+/g, "x");
	const textOf = (node: SyntaxNode) => text.slice(node.from, node.to);
	const selectors: Selector[] = [];
	const grouped: string[] = [];
	parser.parse(text).iterate({
		enter: ({ type, node, from }) => {
			if (type.isError) throw new SyntaxError(`not PromQL at ${from}: ${text}`);
			if (type.name === "VectorSelector") selectors.push({ metric: "", matchers: [], ...selectorOf(node) });
			if (type.name === "GroupingLabels") {
				for (const label of node.getChildren("LabelName")) grouped.push(textOf(label));
			}
		},
	});
	return { selectors, grouped };

	function selectorOf(node: SyntaxNode): Partial<Selector> {
		const metric = node.getChild("Identifier");
		const matchers: (readonly [string, string])[] = [];
		node
			.getChild("LabelMatchers")
			?.cursor()
			.iterate(({ type, node: inner }) => {
				if (!/Matcher$/.test(type.name)) return;
				const label = inner.getChild("LabelName");
				const value = inner.getChild("StringLiteral");
				if (label && value) matchers.push([textOf(label), textOf(value).slice(1, -1)]);
			});
		return { metric: metric ? textOf(metric) : "", matchers };
	}
}

/** What of an expression a node does not have. */
function strangers(expression: string): string[] {
	const { selectors, grouped } = read(expression);
	expect(selectors.length).toBeGreaterThan(0);
	const known = new Set(selectors.flatMap(({ metric }) => labelsOf.get(metric) ?? []));
	return [
		...selectors.filter(({ metric }) => !labelsOf.has(metric)).map(({ metric }) => metric),
		...selectors.flatMap(({ metric, matchers }) =>
			matchers
				.filter(([label]) => !labelsOf.get(metric)?.includes(label))
				.map(([label]) => `${metric}{${label}}`),
		),
		...grouped.filter((label) => !known.has(label)),
	];
}

/** Words that the metrics page gives for a metric's label. */
function vocabulary(metric: string): string {
	return METRICS_PAGE.split("\n").find((line) => line.startsWith(`| \`${metric}\``)) ?? "";
}

describe("the dashboard", () => {
	const shown = panels.filter(({ type }) => type !== "row");
	const expressions = shown.flatMap(({ title, targets = [] }) =>
		targets.map(({ expr }) => [title, expr] as const),
	);

	test.each(expressions)("shows in %s what a node has: %s", (_, expression) => {
		expect(strangers(expression)).toEqual([]);
	});

	test("names in its legends only labels that its queries keep", () => {
		for (const { targets = [] } of shown) {
			for (const { expr, legendFormat } of targets) {
				const { grouped } = read(expr);
				const kept = /^(sum|max|histogram_quantile)\b/.test(expr) ? grouped : [...grouped, "instance"];
				const named = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = ""]) => label);
				expect(
					named.filter((label) => !kept.includes(label)),
					expr,
				).toEqual([]);
			}
		}
	});

	test("has panels with ids of their own that do not lie on each other", () => {
		expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
		const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
			Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
		);
		expect(new Set(cells).size).toBe(cells.length);
		expect(panels.every(({ gridPos: { x, w } }) => x + w <= 24)).toBe(true);
	});

	test("shows every latency, lag, depth, rebalance, breaker, dead letter and recovery metric there is", () => {
		const all = expressions.map(([, expression]) => expression).join("\n");
		const wanted =
			/latency|lag_records|depth|rebalances|partition_moves|breaker_state|dead_letters|recovery|stalled/;
		const missing = registeredMetrics().filter(({ name }) => wanted.test(name) && !all.includes(name));
		expect(missing).toEqual([]);
	});
});

describe("the alert rules", () => {
	test.each(rules.map(({ alert, expr }) => [alert, expr] as const))(
		"%s asks for what a node has: %s",
		(_, expr) => {
			expect(strangers(expr)).toEqual([]);
		},
	);

	test("look for values of labels that the metrics page lists", () => {
		const looked = rules.flatMap(({ expr }) => read(expr).selectors).filter(({ metric }) => metric !== "up");
		for (const { metric, matchers } of looked) {
			for (const [label, value] of matchers) {
				if (!ADDED.includes(label))
					expect(vocabulary(metric), `${metric}{${label}}`).toContain(`\`${value}\``);
			}
		}
	});

	test("have names of their own, a known severity, and a summary that names the node", () => {
		expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
		for (const { alert, labels, annotations, expr } of rules) {
			expect(["warning", "critical"], alert).toContain(labels.severity);
			const { grouped } = read(expr);
			const keepsInstance = grouped.length === 0 || grouped.includes("instance") || expr.includes("without");
			if (keepsInstance) expect(annotations.summary, alert).toContain("$labels.instance");
		}
	});
});

test("an expression that is no PromQL, or names what is not there, is found", () => {
	expect(() => read("sum(rate(mycelog_records_total[5m])")).toThrow(SyntaxError);
	expect(strangers('sum by (colour) (mycelog_records_totals{kind="x"})')).toEqual(
		expect.arrayContaining(["mycelog_records_totals", "colour"]),
	);
	expect(strangers('mycelog_records_total{reason="x"}')).toEqual(["mycelog_records_total{reason}"]);
});
