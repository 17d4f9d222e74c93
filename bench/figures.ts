/**
 * What a benchmark measures and how many rounds become one line: median, lowest and highest.
 * Owns units and the reading of figures; knows no benchmark.
 */

export type Unit = "/s" | "ms" | "µs" | "KB" | "cores" | "records" | "%" | "times";

/** One number of one round. */
export interface Figure {
	readonly metric: string;
	readonly unit: Unit;
	readonly value: number;
}

/** The same number over all rounds. */
export interface Summary {
	readonly metric: string;
	readonly unit: Unit;
	readonly median: number;
	readonly lowest: number;
	readonly highest: number;
	readonly rounds: number;
}

export function summarize(rounds: readonly (readonly Figure[])[]): Summary[] {
	const byMetric = Map.groupBy(rounds.flat(), ({ metric }) => metric);
	return [...byMetric.values()].map((figures) => {
		const values = figures.map(({ value }) => value).sort((a, b) => a - b);
		const { metric, unit } = figures[0] as Figure;
		const [lowest, highest] = [values[0] as number, values.at(-1) as number];
		return { metric, unit, median: quantile(values, 0.5), lowest, highest, rounds: values.length };
	});
}

/** Nearest rank in ascending `sorted`; throws where there is nothing. */
export function quantile(sorted: ArrayLike<number>, share: number): number {
	const value = sorted[Math.min(Math.floor(sorted.length * share), sorted.length - 1)];
	if (value === undefined) throw new Error("no values were measured");
	return value;
}

/** With as many digits as mean something. */
export function written(value: number, unit: Unit): string {
	const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
	const number = value.toLocaleString("en-US", { maximumFractionDigits: digits });
	return unit === "/s" ? `${number}/s` : `${number} ${unit}`;
}
