/** The workspace manager: what its calls cost beside plain ones, and whether lists of 10,000 services hold up others. */
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import type { Benchmark } from "./benchmark.ts";
import type { ManagerParameters, ManagerResult } from "./manager-job.ts";
import { ROOT_TOKEN, runJob, type Server, startMycelog } from "./processes.ts";
import { GET_SERVICE_RATIO, LOOP_DELAY } from "./targets.ts";

const SERVICES = 10_000;
const CALLS = 1_000;
const LISTS = 10;

export const manager: Benchmark = {
	name: "manager",
	title: "The workspace manager",
	about:
		"`get_service` and a plain call between two clients in turn, one at a time: `get_service` asks the registry and the " +
		`provider. Then ${SERVICES} services, listed one list after the other while a pair of clients calls on. The answer ` +
		"goes out in chunks; a list is done when its last chunk is there.",
	async open(surroundings) {
		const { quick } = surroundings;
		const broker = await surroundings.kafka();
		const directory = () => mkdtempSync(join(surroundings.directory, "manager-"));
		const start = (args: readonly string[]) => startMycelog(args, { watchingLoop: true });
		const embedded = () => start(["--data-dir", directory()]);
		const kafka = () => {
			const path = directory();
			const prefix = path.slice(path.lastIndexOf("manager-"));
			return start(["--data-dir", path, "--kafka-uri", broker.brokers, "--prefix", prefix]);
		};
		const measure = async (started: Promise<Server>) => {
			const server = await started;
			try {
				const result = await runJob<ManagerResult>("manager-job.ts", {
					url: server.url,
					pid: server.pid,
					token: ROOT_TOKEN,
					calls: quick ? CALLS / 10 : CALLS,
					services: quick ? SERVICES / 10 : SERVICES,
					lists: LISTS,
				} satisfies ManagerParameters);
				const { echoP50, getServiceP50, listP50, besideP99, listedKb } = result;
				return [
					{ metric: "plain call: p50", unit: "ms", value: echoP50 },
					{ metric: "get_service: p50", unit: "ms", value: getServiceP50 },
					{ metric: GET_SERVICE_RATIO, unit: "times", value: getServiceP50 / echoP50 },
					{ metric: "list_services: p50", unit: "ms", value: listP50 },
					{ metric: "list_services: its answer", unit: "KB", value: listedKb },
					{ metric: "plain calls meanwhile: p99", unit: "ms", value: besideP99 },
					{ metric: LOOP_DELAY, unit: "ms", value: await server.loopDelayMs() },
				] as const;
			} finally {
				await server.stop();
			}
		};
		return {
			variants: [
				{ name: "embedded (power)", measure: () => measure(embedded()) },
				{ name: "Kafka", measure: () => measure(kafka()) },
			],
			close: async () => {},
		};
	},
};
