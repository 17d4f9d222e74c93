/**
 * A real Mycelog node in a process of its own, on the embedded log or on Kafka. Owns the process, its data
 * directory and its Kafka prefix; it dies and comes back as the test says.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { inject } from "vitest";
import { endWithTests } from "./children.ts";

export const LOGS = ["sqlite", "kafka"] as const;
export type LogDriver = (typeof LOGS)[number];

export const ROOT_TOKEN = "mQ7vK2xT9pL4wZ8rB3nY6cF1dG5hJ0sAuEiOaXyWqRtUvPkL";
export const JWT_SECRET = "f0e9d8c7b6a5948372615041302f1e0d-acceptance";
export const MAIN = fileURLToPath(new URL("../../cli/main.ts", import.meta.url));

/** Fewer than by default: all nodes of a test run share one small broker. */
const KAFKA_PARTITIONS = 16;
/** Milliseconds from spawn to the ready line. */
const READY_MS_MAX = 30_000;
/** Milliseconds from SIGTERM to the end of the process. */
const STOP_MS_MAX = 20_000;
/** Characters of the node's output kept for errors. */
const OUTPUT_CHARACTERS_MAX = 200_000;

/** What the nodes of one cluster share. */
interface KafkaTopics {
	readonly brokers: string;
	readonly prefix: string;
}

export class NodeProcess {
	readonly driver: LogDriver;
	readonly dataDir: string;
	/** Arguments that tell any `mycelog` command where this node's log is. */
	readonly place: readonly string[];
	readonly #topics: KafkaTopics | undefined;
	readonly #extra: readonly string[];
	#process: ChildProcess | undefined;
	#ended: Promise<void> = Promise.resolve();
	#output = "";
	#port = 0;
	/** Of the process that ended last; undefined: a signal ended it. */
	exitCode: number | undefined;

	private constructor(topics: KafkaTopics | undefined, dataDir: string, extra: readonly string[]) {
		this.driver = topics ? "kafka" : "sqlite";
		this.dataDir = dataDir;
		this.#topics = topics;
		this.#extra = extra;
		const kafka = topics ? ["--kafka-uri", topics.brokers, "--prefix", topics.prefix] : [];
		this.place = ["--data-dir", dataDir, ...kafka];
	}

	/** Of its topics and its group; only of a node on Kafka. */
	get prefix(): string {
		if (!this.#topics) throw new Error(`a ${this.driver} node has no prefix`);
		return this.#topics.prefix;
	}

	/** A new node with nothing in it. Throws with the node's whole output when it does not become ready. */
	static start(driver: LogDriver, extra: readonly string[] = []): Promise<NodeProcess> {
		return NodeProcess.#start(driver === "kafka" ? newTopics(inject("kafkaBrokers")) : undefined, extra);
	}

	/** Several new nodes of one cluster, started one after another. `brokers`: others than those of the test run. */
	static async startCluster(
		count: number,
		{ extra = [], brokers = inject("kafkaBrokers") }: { extra?: readonly string[]; brokers?: string } = {},
	): Promise<NodeProcess[]> {
		const topics = newTopics(brokers);
		const nodes: NodeProcess[] = [];
		try {
			while (nodes.length < count) nodes.push(await NodeProcess.#start(topics, extra));
		} catch (error) {
			await Promise.all(nodes.map((node) => node.remove()));
			throw error;
		}
		return nodes;
	}

	static async #start(topics: KafkaTopics | undefined, extra: readonly string[]): Promise<NodeProcess> {
		const dataDir = await mkdtemp(join(tmpdir(), "mycelog-acceptance-"));
		const node = new NodeProcess(topics, dataDir, extra);
		await node.#launch();
		return node;
	}

	/** One more new node of the cluster this one is of. */
	startAnother(extra: readonly string[] = this.#extra): Promise<NodeProcess> {
		if (!this.#topics) throw new Error("only nodes on Kafka have others beside them");
		return NodeProcess.#start(this.#topics, extra);
	}

	get url(): string {
		return `http://127.0.0.1:${this.#port}`;
	}

	get pid(): number {
		const pid = this.#process?.pid;
		if (pid === undefined) throw new Error("the node is not running");
		return pid;
	}

	output(): string {
		return this.#output;
	}

	/** Die at once, as in a power cut of the process. */
	async kill9(): Promise<void> {
		this.#process?.kill("SIGKILL");
		await this.#ended;
	}

	/** Freeze it or let it go on, as a machine that swaps or a paused container. */
	signal(name: "SIGSTOP" | "SIGCONT" | "SIGTERM"): void {
		process.kill(this.pid, name);
	}

	/** Resolves when its process is no more. */
	get ended(): Promise<void> {
		return this.#ended;
	}

	/** Ask it to stop and wait until it has. */
	async terminate(): Promise<void> {
		const child = this.#process;
		child?.kill("SIGTERM");
		const late = setTimeout(() => child?.kill("SIGKILL"), STOP_MS_MAX);
		await this.#ended;
		clearTimeout(late);
		if (child?.signalCode === "SIGKILL") {
			throw new Error(`the node did not stop within ${STOP_MS_MAX} ms of SIGTERM:\n${this.#output}`);
		}
	}

	/** Start again on the same port, data directory and topics. */
	async restart(): Promise<void> {
		await this.#launch();
	}

	async health(): Promise<{ status: string; detail: Readonly<Record<string, unknown>> }> {
		const response = await fetch(`${this.url}/health/readiness`);
		return (await response.json()) as { status: string; detail: Readonly<Record<string, unknown>> };
	}

	/** Remove what is left of it, whatever state it is in. */
	async remove(): Promise<void> {
		await this.kill9();
		await rm(this.dataDir, { recursive: true, force: true });
	}

	async #launch(): Promise<void> {
		const args = [MAIN, "start", "--host", "127.0.0.1", "--port", String(this.#port)];
		if (this.#topics) args.push("--partitions", String(KAFKA_PARTITIONS));
		const child = spawn(process.execPath, [...args, ...this.place, ...this.#extra], {
			stdio: ["ignore", "pipe", "pipe"],
			env: { ...process.env, MYCELOG_ROOT_TOKEN: ROOT_TOKEN, MYCELOG_JWT_SECRET: JWT_SECRET },
		});
		this.#process = child;
		endWithTests(child);
		this.#ended = new Promise((resolve) => {
			child.once("close", (code) => {
				this.#process = undefined;
				this.exitCode = code ?? undefined;
				resolve();
			});
		});
		this.#output = "";
		this.#port = await this.#ready(child);
		const { status, detail } = await this.health();
		if (status !== "OK" || detail["log"] !== this.driver) {
			throw new Error(`a ${this.driver} node was wanted, its health is ${status} ${JSON.stringify(detail)}`);
		}
	}

	#ready(child: ChildProcess): Promise<number> {
		return new Promise((resolve, reject) => {
			const fail = (what: string) => {
				clearTimeout(late);
				child.kill("SIGKILL");
				reject(new Error(`${what}; its output:\n${this.#output}`));
			};
			const late = setTimeout(() => fail(`the node was not ready within ${READY_MS_MAX} ms`), READY_MS_MAX);
			const hear = (text: Buffer) => {
				this.#output = (this.#output + text).slice(-OUTPUT_CHARACTERS_MAX);
				const port = /Mycelog is ready at http:\/\/127\.0\.0\.1:(\d+)/.exec(this.#output)?.[1];
				if (!port) return;
				clearTimeout(late);
				resolve(Number(port));
			};
			child.stdout?.on("data", hear);
			child.stderr?.on("data", hear);
			child.once("error", (error) => fail(`the node could not be started: ${error.message}`));
			child.once("close", (code, signal) => fail(`the node ended with ${code ?? signal}`));
		});
	}
}

function newTopics(brokers: string): KafkaTopics {
	return { brokers, prefix: `accept-${randomBytes(6).toString("hex")}` };
}
