/**
 * Calls between clients on different nodes, at one, two and three nodes on one machine. Owns the sizes and what is
 * compared; the load generator is load.ts.
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import type { Benchmark, Surroundings, Variant } from "./benchmark.ts";
import type { Figure } from "./figures.ts";
import type { LoadParameters, LoadResult } from "./load.ts";
import { ROOT_TOKEN, runJob, type Server, startMycelog } from "./processes.ts";

const NODES = [1, 2, 3];
const SHAPES = [
	{ name: "one at a time", pairs: 1, inFlight: 1 },
	{ name: "24 pairs × 32 in flight", pairs: 24, inFlight: 32 },
] as const;
type Shape = (typeof SHAPES)[number];
/** Until every node has its share of the partitions, milliseconds, and between two looks. */
const SHARED_MS_MAX = 30_000;
const LOOK_MS = 100;

export const cluster: Benchmark = {
	name: "cluster",
	title: "Calls over several nodes (Kafka)",
	about:
		"As the calls benchmark, the two ends of every pair on two different nodes where there are several. All nodes, the " +
		"broker and the load generator share this machine, so more nodes cannot be faster than the machine: what each part " +
		"of the path costs stands beside. From brokers: bytes a call that a node got from its broker, and the largest share " +
		"of one node in what all got, which would be 1 / nodes if the load were spread evenly.",
	async open(surroundings) {
		const broker = await surroundings.kafka();
		const { brokers } = broker;
		const beside = "pid" in broker ? [broker.pid as number] : [];
		return {
			variants: NODES.map((nodes) => variant(nodes, brokers, beside, surroundings)),
			close: async () => {},
		};
	},
};

function variant(
	nodes: number,
	brokers: string,
	beside: readonly number[],
	{ directory, seconds }: Surroundings,
): Variant {
	return {
		name: nodes === 1 ? "1 node" : `${nodes} nodes`,
		async measure() {
			const prefix = `bench-cluster-${randomBytes(6).toString("hex")}`;
			const servers: Server[] = [];
			try {
				for (let i = 0; i < nodes; i++) {
					const args = ["--data-dir", mkdtempSync(join(directory, "cluster-")), "--prefix", prefix];
					servers.push(await startMycelog([...args, "--kafka-uri", brokers], { counting: true }));
				}
				await shared(servers);
				const load = ({ pairs, inFlight }: Shape) =>
					runJob<LoadResult>("load.ts", {
						urls: servers.map(({ url }) => url),
						token: ROOT_TOKEN,
						mode: "call",
						pairs,
						inFlight,
						warmSeconds: seconds / 2,
						seconds,
						watch: [...servers.map(({ pid }) => pid), ...beside],
					} satisfies LoadParameters);
				await load(SHAPES[1]);
				const alone = await load(SHAPES[0]);
				const before = await bytesOf(servers);
				const many = await load(SHAPES[1]);
				const after = await bytesOf(servers);
				const bytes = after.map((all, i) => all - (before[i] as number));
				return [
					{ metric: `${SHAPES[0].name}: p50`, unit: "ms", value: alone.p50 },
					{ metric: `${SHAPES[0].name}: p99`, unit: "ms", value: alone.p99 },
					...figuresOf(many, nodes, bytes),
				];
			} finally {
				await Promise.all(servers.map((server) => server.stop()));
			}
		},
	};
}

function figuresOf(result: LoadResult, nodes: number, bytes: readonly number[]): Figure[] {
	const { callsPerSecond, p50, p99, ownCores, watchedCores } = result;
	const ofNodes = watchedCores.slice(0, nodes).reduce((sum, cores) => sum + cores, 0);
	const broker = watchedCores[nodes];
	const all = bytes.reduce((sum, one) => sum + one, 0);
	const figure = (what: string, unit: Figure["unit"], value: number): Figure => {
		return { metric: `${SHAPES[1].name}: ${what}`, unit, value };
	};
	return [
		figure("calls", "/s", callsPerSecond),
		figure("p50", "ms", p50),
		figure("p99", "ms", p99),
		figure("all nodes", "cores", ofNodes),
		...(broker === undefined ? [] : [figure("broker", "cores", broker)]),
		figure("load generator", "cores", ownCores),
		figure("from brokers, a call", "KB", all / 1024 / result.callsInAll),
		figure("from brokers, largest share of a node", "%", (100 * Math.max(...bytes)) / all),
	];
}

function bytesOf(servers: readonly Server[]): Promise<number[]> {
	return Promise.all(servers.map((server) => server.brokerBytes()));
}

/** Every node owns its share, give or take one number of both mailbox topics. */
async function shared(servers: readonly Server[]): Promise<void> {
	for (const since = performance.now(); ; ) {
		const owned = await Promise.all(servers.map(ownedBy));
		if (Math.max(...owned) - Math.min(...owned) <= 2) return;
		if (performance.now() - since > SHARED_MS_MAX) throw new Error(`partitions are not shared out: ${owned}`);
		await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
	}
}

async function ownedBy({ url }: Server): Promise<number> {
	const response = await fetch(`${url}/health/readiness`);
	const { detail } = (await response.json()) as { detail: { partitions_owned: number } };
	return detail.partitions_owned;
}
