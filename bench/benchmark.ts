/**
 * The shape of a benchmark: variants that are measured in turn, round after round. Owns the rotation, so that no
 * variant always runs first or after the same neighbour.
 */
import type { KafkaBroker } from "../test/kit/kafka-broker.ts";
import { type Figure, type Summary, summarize } from "./figures.ts";

export interface Variant {
	readonly name: string;
	measure(): Promise<readonly Figure[]>;
}

export interface Opened {
	readonly variants: readonly Variant[];
	close(): Promise<void>;
}

export interface Surroundings {
	/** Temporary, empty, removed after the run. */
	readonly directory: string;
	/** Shorter and smaller: to see that everything works, not to be quoted. */
	readonly quick: boolean;
	/** Measured time of one load, seconds. */
	readonly seconds: number;
	/** One real broker for the whole run, started when first asked for. */
	kafka(): Promise<KafkaBroker>;
	progress(text: string): void;
}

export interface Benchmark {
	/** For `--only`. */
	readonly name: string;
	readonly title: string;
	/** What is done, in words that let a reader judge the figures. */
	readonly about: string;
	open(surroundings: Surroundings): Promise<Opened>;
}

export interface Measured {
	readonly benchmark: Benchmark;
	readonly variants: readonly { readonly name: string; readonly summaries: readonly Summary[] }[];
}

export async function measure(
	benchmark: Benchmark,
	rounds: number,
	surroundings: Surroundings,
): Promise<Measured> {
	const { variants, close } = await benchmark.open(surroundings);
	const figures = new Map(variants.map(({ name }) => [name, [] as (readonly Figure[])[]]));
	try {
		for (let round = 0; round < rounds; round++) {
			for (let i = 0; i < variants.length; i++) {
				const variant = variants[(i + round) % variants.length] as Variant;
				surroundings.progress(`${benchmark.name} · round ${round + 1}/${rounds} · ${variant.name}`);
				figures.get(variant.name)?.push(await variant.measure());
			}
		}
	} finally {
		await close();
	}
	const summaries = [...figures].map(([name, measured]) => ({ name, summaries: summarize(measured) }));
	return { benchmark, variants: summaries };
}
