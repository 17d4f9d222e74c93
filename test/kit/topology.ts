/**
 * Three brokers and three nodes behind a balancer: the shipped compose.yaml where Docker is there, else the same of local
 * processes. Owns all of it, its parts' deaths included.
 */
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { works } from "./kafka-broker.ts";
import { freePorts, startLocalBrokers } from "./kafka-brokers.ts";
import { JWT_SECRET, NodeProcess, ROOT_TOKEN } from "./node-process.ts";
import { RoundRobin } from "./round-robin.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const COUNT = 3;
/** Images are built and fetched in this time, milliseconds. */
const DOCKER_MS_MAX = 600_000;

/** What compose.yaml says to its nodes, as options; a test of that file keeps them equal. */
export const TOPOLOGY_OPTIONS = [
	["--kafka-replication-factor", "3"],
	["--kafka-min-insync-replicas", "2"],
	["--standby-replicas", "1"],
] as const;

export interface Topology {
	readonly source: "docker" | "local";
	/** Of the balancer. */
	readonly url: string;
	/** Counted from 1, as in the compose file. */
	killNode(number: number): Promise<void>;
	killBroker(number: number): Promise<void>;
	/** What the nodes wrote, as far as it is at hand. */
	outputs(): readonly string[];
	remove(): Promise<void>;
}

export async function startTopology(): Promise<Topology> {
	return (await works("docker", ["compose", "version"])) && (await works("docker", ["info"]))
		? compose()
		: local();
}

async function compose(): Promise<Topology> {
	const [port] = await freePorts(1);
	const project = `mycelog-test-${randomBytes(4).toString("hex")}`;
	const env = {
		...process.env,
		MYCELOG_PUBLISHED_PORT: String(port),
		MYCELOG_JWT_SECRET: JWT_SECRET,
		MYCELOG_ROOT_TOKEN: ROOT_TOKEN,
	};
	const run = (...args: string[]) =>
		promisify(execFile)("docker", ["compose", "-p", project, ...args], {
			cwd: ROOT,
			env,
			timeout: DOCKER_MS_MAX,
		});
	const remove = async () => void (await run("down", "--volumes", "--remove-orphans"));
	try {
		await run("up", "--build", "--detach", "--wait");
	} catch (error) {
		await remove();
		throw error;
	}
	return {
		source: "docker",
		url: `http://127.0.0.1:${port}`,
		killNode: async (number) => void (await run("kill", `node-${number}`)),
		killBroker: async (number) => void (await run("kill", `kafka-${number}`)),
		outputs: () => [`docker compose -p ${project} logs`],
		remove,
	};
}

async function local(): Promise<Topology> {
	const brokers = await startLocalBrokers({ count: COUNT });
	const extra = TOPOLOGY_OPTIONS.flat();
	const nodes = await NodeProcess.startCluster(COUNT, { extra, brokers: brokers.brokers }).catch(
		async (error) => {
			await brokers.stop();
			throw error;
		},
	);
	const balancer = await RoundRobin.before(nodes.map(({ url }) => url));
	return {
		source: "local",
		url: balancer.url,
		killNode: async (number) => nodes[number - 1]?.kill9(),
		killBroker: async (number) => brokers.each[number - 1]?.kill(),
		outputs: () => nodes.map((node) => node.output()),
		async remove() {
			await balancer.close();
			await Promise.all(nodes.map((node) => node.remove()));
			await brokers.stop();
		},
	};
}
