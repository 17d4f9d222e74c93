/**
 * Processes of a benchmark: jobs that print one JSON line and end, servers that print where they are and stay.
 * Owns their start, their end and what the system says of their memory.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const ROOT_TOKEN = randomBytes(48).toString("base64url");

const MAIN = fileURLToPath(new URL("../cli/main.ts", import.meta.url));
const SOCKET_BYTES = fileURLToPath(new URL("socket-bytes.ts", import.meta.url));
const LOOP_DELAY = fileURLToPath(new URL("loop-delay.ts", import.meta.url));
const GC_ON_SIGNAL = fileURLToPath(new URL("gc-on-signal.ts", import.meta.url));
/** Milliseconds until a server must have said that it is ready. */
const READY_MS_MAX = 60_000;
/** Milliseconds from SIGTERM to SIGKILL. */
const STOP_MS_MAX = 15_000;
/** Characters of a process' output kept for errors. */
const OUTPUT_CHARACTERS_MAX = 20_000;

export interface Server {
	readonly pid: number;
	readonly url: string;
	/** From spawn to the ready line, milliseconds. */
	readonly readyMs: number;
	stop(): Promise<void>;
	/** Collect garbage; only if started with `collectable`. Resolves to the heap in use afterwards, KB. */
	collectGarbage(): Promise<number>;
	/** Bytes that came from its brokers so far; only if started with `counting`. */
	brokerBytes(): Promise<number>;
	/** 99th percentile of its event loop's delay since it got a SIGHUP; only if started with `watchingLoop`. */
	loopDelayMs(): Promise<number>;
}

interface ServerOptions {
	readonly collectable?: boolean;
	readonly counting?: boolean;
	readonly watchingLoop?: boolean;
}

/** Run a job of this directory to its end; its one line of JSON. Throws with its output where it fails. */
export async function runJob<Result>(file: string, parameters: object): Promise<Result> {
	const child = start([job(file), JSON.stringify(parameters)]);
	const [output, code] = await Promise.all([textOf(child), ended(child)]);
	if (code !== 0) throw new Error(`${file} ended with ${code}:\n${output.all}`);
	return JSON.parse(output.last) as Result;
}

/** A server of this directory; it prints `ready URL`. */
export function startServer(file: string, options: ServerOptions = {}): Promise<Server> {
	return serverOf([...flags(options), job(file)]);
}

/** `mycelog start` as a user runs it, on a free port. */
export function startMycelog(args: readonly string[], options: ServerOptions = {}): Promise<Server> {
	return serverOf([...flags(options), MAIN, "start", "--port", "0", "--log-level", "warn", ...args]);
}

/** Resident memory, KB. Linux only. */
export function residentKb(pid: number): number {
	const found = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
	if (found === undefined) throw new Error(`no resident memory known of process ${pid}`);
	return Number(found);
}

function flags({ collectable = false, counting = false, watchingLoop = false }: ServerOptions): string[] {
	return [
		...(collectable ? ["--import", GC_ON_SIGNAL] : []),
		...(counting ? ["--import", SOCKET_BYTES] : []),
		...(watchingLoop ? ["--import", LOOP_DELAY] : []),
	];
}

function job(file: string): string {
	return fileURLToPath(new URL(file, import.meta.url));
}

function start(args: readonly string[]): ChildProcess {
	const child = spawn(process.execPath, args, {
		stdio: ["ignore", "pipe", "pipe"],
		env: {
			...process.env,
			MYCELOG_ROOT_TOKEN: ROOT_TOKEN,
			MYCELOG_JWT_SECRET: ROOT_TOKEN,
			NODE_NO_WARNINGS: "1",
		},
	});
	const kill = () => child.kill("SIGKILL");
	process.once("exit", kill);
	child.once("exit", () => process.off("exit", kill));
	return child;
}

async function serverOf(args: readonly string[]): Promise<Server> {
	const since = performance.now();
	const child = start(args);
	const output = new Output(child);
	const url = await output.match(/ready(?: at)? (http:\/\/\S+)/, READY_MS_MAX);
	const readyMs = performance.now() - since;
	return {
		pid: child.pid as number,
		url,
		readyMs,
		async stop() {
			child.kill("SIGTERM");
			const late = setTimeout(() => child.kill("SIGKILL"), STOP_MS_MAX);
			await ended(child);
			clearTimeout(late);
		},
		async collectGarbage() {
			const collected = output.match(/garbage collected: (\d+) KB/, READY_MS_MAX);
			child.kill("SIGUSR2");
			return Number(await collected);
		},
		async brokerBytes() {
			const told = output.match(/bytes from brokers: (\d+)/, READY_MS_MAX);
			child.kill("SIGUSR2");
			return Number(await told);
		},
		async loopDelayMs() {
			const told = output.match(/event loop delay: ([\d.]+) ms/, READY_MS_MAX);
			child.kill("SIGUSR2");
			return Number(await told);
		},
	};
}

/** Waits for words in what a process prints. */
class Output {
	#text = "";
	readonly #child: ChildProcess;
	#heard: (() => void) | undefined;

	constructor(child: ChildProcess) {
		this.#child = child;
		const hear = (chunk: Buffer) => {
			this.#text = (this.#text + chunk.toString()).slice(-OUTPUT_CHARACTERS_MAX);
			this.#heard?.();
		};
		child.stdout?.on("data", hear);
		child.stderr?.on("data", hear);
		child.once("exit", () => this.#heard?.());
	}

	/** The first group; what is matched is forgotten, so that the same words can be awaited again. */
	match(pattern: RegExp, withinMs: number): Promise<string> {
		return new Promise((resolve, reject) => {
			const settle = (then: () => void) => {
				clearTimeout(late);
				this.#heard = undefined;
				then();
			};
			const fail = (what: string) => settle(() => reject(new Error(`${what}; its output:\n${this.#text}`)));
			const late = setTimeout(() => fail(`no ${pattern} within ${withinMs} ms`), withinMs);
			this.#heard = () => {
				const found = pattern.exec(this.#text);
				if (found) {
					this.#text = this.#text.slice(found.index + found[0].length);
					settle(() => resolve(found[1] as string));
				} else if (this.#child.exitCode !== null) fail(`the process ended with ${this.#child.exitCode}`);
			};
			this.#heard();
		});
	}
}

async function textOf(child: ChildProcess): Promise<{ all: string; last: string }> {
	let all = "";
	let out = "";
	child.stdout?.on("data", (chunk: Buffer) => {
		out = (out + chunk.toString()).slice(-OUTPUT_CHARACTERS_MAX);
	});
	child.stderr?.on("data", (chunk: Buffer) => {
		all = (all + chunk.toString()).slice(-OUTPUT_CHARACTERS_MAX);
	});
	await new Promise((resolve) => child.once("close", resolve));
	return { all: out + all, last: out.trim().split("\n").at(-1) ?? "" };
}

function ended(child: ChildProcess): Promise<number | string | null> {
	if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode);
	return new Promise((resolve) => child.once("exit", (code, signal) => resolve(code ?? signal)));
}
