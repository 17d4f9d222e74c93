/**
 * Calls between raw-protocol clients over the gateway, on each log, beside a bare echo of the same socket library.
 * Owns the shapes of load; the load generator is load.ts.
 */
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import type { Benchmark, Surroundings, Variant } from "./benchmark.ts";
import type { Figure } from "./figures.ts";
import type { LoadParameters, LoadResult } from "./load.ts";
import { ROOT_TOKEN, runJob, type Server, startMycelog, startServer } from "./processes.ts";

const SHAPES = [
	{ name: "1 pair × 64 in flight", pairs: 1, inFlight: 64, latencies: false },
	{ name: "20 pairs × 64 in flight", pairs: 20, inFlight: 64, latencies: false },
	{ name: "one at a time", pairs: 1, inFlight: 1, latencies: true },
] as const;
type Shape = (typeof SHAPES)[number];

export const calls: Benchmark = {
	name: "calls",
	title: "Calls over the gateway",
	about:
		"A caller sends `services.echo.echo`, the callee answers `<session>.resolve`: two durable messages a call. " +
		"The raw echo is one message there and one back, without a log. Load generator in its own process (both " +
		"ends of every pair in it); its and the node's processor time stand beside. Every server serves the first shape " +
		"once unmeasured: node and broker compile what runs often.",
	async open(surroundings) {
		const broker = await surroundings.kafka();
		const { brokers } = broker;
		const brokerPid = "pid" in broker ? [broker.pid as number] : [];
		const directory = () => mkdtempSync(join(surroundings.directory, "calls-"));
		const embedded = (durability: string) => () =>
			startMycelog(["--data-dir", directory(), "--durability", durability]);
		const kafka = () => {
			const path = directory();
			const prefix = path.slice(path.lastIndexOf("calls-"));
			return startMycelog(["--data-dir", path, "--kafka-uri", brokers, "--prefix", prefix]);
		};
		return {
			variants: [
				variant("raw uWebSockets echo", () => startServer("echo-server.ts"), "echo", [], surroundings),
				variant("embedded (power)", embedded("power"), "call", [], surroundings),
				variant("embedded (process)", embedded("process"), "call", [], surroundings),
				variant("Kafka", kafka, "call", brokerPid, surroundings),
			],
			close: async () => {},
		};
	},
};

function variant(
	name: string,
	start: () => Promise<Server>,
	mode: LoadParameters["mode"],
	beside: readonly number[],
	{ seconds }: Surroundings,
): Variant {
	return {
		name,
		async measure() {
			const server = await start();
			const load = ({ pairs, inFlight }: Shape) =>
				runJob<LoadResult>("load.ts", {
					urls: [server.url],
					token: ROOT_TOKEN,
					mode,
					pairs,
					inFlight,
					warmSeconds: seconds / 2,
					seconds,
					watch: [server.pid, ...beside],
				} satisfies LoadParameters);
			try {
				await load(SHAPES[0]);
				const figures: Figure[] = [];
				for (const shape of SHAPES) {
					figures.push(...figuresOf(shape.name, shape.latencies, await load(shape)));
				}
				return figures;
			} finally {
				await server.stop();
			}
		},
	};
}

function figuresOf(shape: string, latencies: boolean, result: LoadResult): Figure[] {
	const { callsPerSecond, p50, p99, ownCores, watchedCores } = result;
	const [node, broker] = watchedCores;
	const cores = (who: string, value: number): Figure => ({
		metric: `${shape}: ${who}`,
		unit: "cores",
		value,
	});
	return [
		...(latencies ? [] : [{ metric: `${shape}: calls`, unit: "/s", value: callsPerSecond } as const]),
		{ metric: `${shape}: p50`, unit: "ms", value: p50 },
		{ metric: `${shape}: p99`, unit: "ms", value: p99 },
		cores("node", node as number),
		cores("load generator", ownCores),
		...(broker === undefined ? [] : [cores("broker", broker)]),
	];
}
