/**
 * A Latency as a Prometheus histogram in seconds. Owns only the form: prom-client's own histograms count themselves,
 * which the runtime's must not.
 */
import type { Metric, Registry } from "prom-client";
import { LATENCY_CLASSES_MS, type Latency } from "../runtime/latency.ts";

interface Value {
	readonly metricName: string;
	readonly labels: Readonly<Record<string, string | number>>;
	readonly value: number;
}

export class Histogram {
	readonly name: string;
	readonly help: string;
	readonly aggregator = "sum";
	readonly type = "histogram";
	readonly #latency: () => Latency;

	constructor(name: string, help: string, latency: () => Latency, registry: Registry) {
		this.name = name;
		this.help = help;
		this.#latency = latency;
		registry.registerMetric(this as unknown as Metric);
	}

	/** Called by the registry for a scrape. */
	get() {
		const { name, help, type, aggregator } = this;
		return { name, help, type, aggregator, values: this.#values() };
	}

	/** Its numbers belong to whoever counts. */
	reset(): void {}

	#values(): Value[] {
		const { counts, count, sumMs } = this.#latency();
		const values: Value[] = [];
		let below = 0;
		LATENCY_CLASSES_MS.forEach((ms, index) => {
			below += counts[index] as number;
			values.push({ metricName: `${this.name}_bucket`, labels: { le: ms / 1_000 }, value: below });
		});
		values.push({ metricName: `${this.name}_bucket`, labels: { le: "+Inf" }, value: count });
		values.push({ metricName: `${this.name}_sum`, labels: {}, value: sumMs / 1_000 });
		values.push({ metricName: `${this.name}_count`, labels: {}, value: count });
		return values;
	}
}
