/**
 * The nodes of an incident, one embedded or several on Kafka, with a machine that can be exchanged under their clients.
 * Owns the processes, their ports and directories.
 */
import { type ChildProcess, fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Config } from "../../../cli/node.ts";
import { endWithTests } from "../children.ts";
import { freePorts } from "../kafka-brokers.ts";
import { JWT_SECRET, ROOT_TOKEN } from "../node-process.ts";

export type TillMachine = "mistaken" | "mended";

export interface TillSetup {
	readonly options: Partial<Config>;
	/** URL of the module. */
	readonly actors: string;
}

export type TillEvent = { readonly type: "sale" | "refund"; readonly amount: number };

export type TillRequest =
	| { readonly do: "tell"; readonly events: readonly (readonly [id: string, event: TillEvent])[] }
	| { readonly do: "totals"; readonly ids: readonly string[] }
	| { readonly do: "stop" };

export interface TillAnswer {
	readonly id: number;
	readonly value?: unknown;
	readonly error?: string;
}

interface Waiting {
	readonly resolve: (value: unknown) => void;
	readonly reject: (error: Error) => void;
}

/** The file that `--actors` and `--machine` name. */
export function machineFile(machine: TillMachine): string {
	return fileURLToPath(new URL(`./${machine}.ts`, import.meta.url));
}

export class TillNode {
	readonly dataDir = mkdtempSync(join(tmpdir(), "mycelog-tills-"));
	readonly #options: Partial<Config>;
	readonly #waiting = new Map<number, Waiting>();
	#child: ChildProcess | undefined;
	#ended: Promise<void> = Promise.resolve();
	#asked = 0;

	private constructor(options: Partial<Config>) {
		this.#options = options;
	}

	/** On the embedded log, or on Kafka: `kafka` is what its cluster shares. */
	static async start(machine: TillMachine, kafka: Partial<Config> = {}): Promise<TillNode> {
		const [port] = await freePorts(1);
		const node = new TillNode({ host: "127.0.0.1", port: port as number, partitions: 8, ...kafka });
		await node.start(machine);
		return node;
	}

	get url(): string {
		return `http://127.0.0.1:${this.#options.port}`;
	}

	/** Start, or start again, on the same port and directory. */
	async start(machine: TillMachine): Promise<void> {
		const options = { ...this.#options, dataDir: this.dataDir };
		const setup: TillSetup = { options, actors: new URL(`./${machine}.ts`, import.meta.url).href };
		const child = fork(
			fileURLToPath(new URL("./till-process.ts", import.meta.url)),
			[JSON.stringify(setup)],
			{
				stdio: ["ignore", "inherit", "inherit", "ipc"],
				env: { ...process.env, MYCELOG_ROOT_TOKEN: ROOT_TOKEN, MYCELOG_JWT_SECRET: JWT_SECRET },
			},
		);
		this.#child = child;
		endWithTests(child);
		this.#ended = new Promise((resolve) => {
			child.once("close", (code) => {
				const error = new Error(`the node ended with ${code}`);
				for (const { reject } of this.#waiting.values()) reject(error);
				this.#waiting.clear();
				resolve();
			});
		});
		child.on("message", ({ id, value, error }: TillAnswer) => {
			const waiting = this.#waiting.get(id);
			this.#waiting.delete(id);
			if (error === undefined) waiting?.resolve(value);
			else waiting?.reject(new Error(error));
		});
		await new Promise((resolve, reject) => this.#waiting.set(0, { resolve, reject }));
	}

	/** Offsets of the events' records. */
	tell(events: readonly (readonly [id: string, event: TillEvent])[]): Promise<number[]> {
		return this.#ask({ do: "tell", events }) as Promise<number[]>;
	}

	totals(ids: readonly string[]): Promise<number[]> {
		return this.#ask({ do: "totals", ids }) as Promise<number[]>;
	}

	async stop(): Promise<void> {
		if (!this.#child?.connected) return;
		void this.#ask({ do: "stop" }).catch(() => {
			// It ends before it can answer.
		});
		await this.#ended;
	}

	async remove(): Promise<void> {
		this.#child?.kill("SIGKILL");
		await this.#ended;
		rmSync(this.dataDir, { recursive: true, force: true });
	}

	#ask(request: TillRequest): Promise<unknown> {
		const id = ++this.#asked;
		const answer = new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
		this.#child?.send({ id, request });
		return answer;
	}
}
