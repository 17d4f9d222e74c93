/**
 * Several ledger processes over one Kafka prefix, from the test's side: started, killed, frozen, asked and listened to.
 * Owns the processes, their data directories and their ends.
 */

import { type ChildProcess, fork } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { KafkaClient } from "../../persistence/kafka-client-names.ts";
import { endWithTests } from "./children.ts";
import { Inbox } from "./inbox.ts";
import type { LedgerState } from "./ledger.ts";
import type {
	DeathPoint,
	LedgerCall,
	LedgerNews,
	LedgerProcessOptions,
	LedgerRequest,
	LedgerStatus,
} from "./ledger-protocol.ts";

const PROCESS_FILE = fileURLToPath(new URL("ledger-process.ts", import.meta.url));
/** Milliseconds from spawn until a process has what it was first given, restored. */
const START_MS_MAX = 60_000;
/** Milliseconds a process has to hand over and end, and how much longer until it is killed. */
const STOP_MS_MAX = 20_000;
const STOP_GRACE_MS = 5_000;
/** Milliseconds between two looks at what cannot be awaited as an event, and how long it is looked at. */
const LOOK_MS = 50;
const LOOK_MS_MAX = 60_000;
/** Lines kept of one process, for the explanation of a failure. */
const LINES_MAX = 2_000;

export type Answer =
	| { readonly ok: true; readonly value: unknown }
	/** The process said no, or that it does not know. */
	| { readonly ok: false; readonly error: string }
	/** The process died before it had answered. */
	| { readonly ok: false; readonly error: "dead" };

export class LedgerProcess {
	readonly id: string;
	/** Name of its data directory. */
	readonly disk: string;
	/** Everything but answers and lines, in the order in which it was said. */
	readonly news = new Inbox<LedgerNews>();
	readonly lines: string[] = [];
	readonly ended: Promise<void>;
	frozen = false;
	/** It was told to hand over and end. */
	stopping = false;
	/** `id~boot`, once it has started. */
	name = "";
	readonly #child: ChildProcess;
	readonly #calls = new Map<number, (answer: Answer) => void>();
	#next = 0;
	#alive = true;

	constructor(options: LedgerProcessOptions, disk: string) {
		this.id = options.id;
		this.disk = disk;
		const child = fork(PROCESS_FILE, [JSON.stringify(options)], {
			stdio: ["ignore", "pipe", "pipe", "ipc"],
			serialization: "advanced",
			execArgv: [],
			env: { ...process.env, NODE_NO_WARNINGS: "1" },
		});
		this.#child = child;
		endWithTests(child);
		child.stderr?.on("data", (chunk: Buffer) => this.#line(`stderr ${chunk}`));
		child.stdout?.on("data", (chunk: Buffer) => this.#line(`stdout ${chunk}`));
		child.on("message", (news: LedgerNews) => this.#hear(news));
		// A send to a process that has just died; its end is told by `close`.
		child.on("error", (error) => this.#line(`channel ${error.message}`));
		this.ended = new Promise((resolve) => {
			child.once("close", (code, signal) => {
				this.#alive = false;
				this.#line(`ended with ${code ?? signal}`);
				for (const settle of this.#calls.values()) settle({ ok: false, error: "dead" });
				this.#calls.clear();
				this.news.end(new Error(`${this.id} ended with ${code ?? signal}:\n${this.lines.join("\n")}`));
				resolve();
			});
		});
	}

	get alive(): boolean {
		return this.#alive;
	}

	/** Neither dead nor frozen. */
	get running(): boolean {
		return this.#alive && !this.frozen;
	}

	get pid(): number {
		return this.#child.pid as number;
	}

	/** Resolves once the first partitions, if any, are restored. Rejects with the process's own words. */
	async started(): Promise<this> {
		const first = await this.news.first(
			({ news }) => news === "started" || news === "failed",
			`${this.id} to start`,
			START_MS_MAX,
		);
		if (first.news === "failed") throw new Error(`${this.id} did not start: ${first.error}`);
		if (first.news === "started") this.name = first.name;
		return this;
	}

	/** What becomes of it, whenever: also a frozen process answers when it is let go on. */
	call(request: LedgerRequest): Promise<Answer> {
		if (!this.#alive || !this.#child.connected) return Promise.resolve({ ok: false, error: "dead" });
		const call = this.#next++;
		const answer = new Promise<Answer>((resolve) => this.#calls.set(call, resolve));
		this.#child.send({ call, request } satisfies LedgerCall, (error) => {
			// Its end is told by `close`, with everything that is still under way.
			if (error) this.#line(`channel ${error.message}`);
		});
		return answer;
	}

	/** The value, or the process's words as an error. */
	async must<Value>(request: LedgerRequest): Promise<Value> {
		const answer = await this.call(request);
		if (!answer.ok) throw new Error(`${this.id}, ${request.op}: ${answer.error}\n${this.lines.join("\n")}`);
		return answer.value as Value;
	}

	status(): Promise<LedgerStatus> {
		return this.must<LedgerStatus>({ op: "status" });
	}

	/** The state of a ledger, wherever it lives, in mailbox order. */
	ledger(address: string, timeoutMs = LOOK_MS_MAX): Promise<LedgerState> {
		return this.must({ op: "query", to: address, event: { type: "state" }, timeoutMs });
	}

	dieAt(point: DeathPoint, entry: string): Promise<void> {
		return this.must({ op: "die-at", point, entry });
	}

	/** Resolves to the first status that fits. */
	async until(fits: (status: LedgerStatus) => boolean, what: string): Promise<LedgerStatus> {
		const since = Date.now();
		for (;;) {
			const status = await this.status();
			if (fits(status)) return status;
			if (Date.now() - since > LOOK_MS_MAX) {
				throw new Error(
					`waited ${LOOK_MS_MAX} ms in vain for ${this.id} to be ${what}: ${JSON.stringify(status)}\n${this.lines.join("\n")}`,
				);
			}
			await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
		}
	}

	async kill9(): Promise<void> {
		this.#child.kill("SIGKILL");
		await this.ended;
	}

	/** Resolves when no thread of it runs any more. */
	async freeze(): Promise<void> {
		this.frozen = true;
		this.#child.kill("SIGSTOP");
		while (this.#alive && !isStopped(this.pid)) await new Promise((resolve) => setImmediate(resolve));
	}

	thaw(): void {
		this.frozen = false;
		this.#child.kill("SIGCONT");
	}

	/** Hand over and end. A process that does not within its deadline is killed, and that is an error. */
	async stop(): Promise<void> {
		this.stopping = true;
		void this.call({ op: "stop", deadlineMs: STOP_MS_MAX });
		let late = false;
		const timer = setTimeout(() => {
			late = true;
			this.#child.kill("SIGKILL");
		}, STOP_MS_MAX + STOP_GRACE_MS);
		await this.ended;
		clearTimeout(timer);
		if (late) throw new Error(`${this.id} did not end within its deadline:\n${this.lines.join("\n")}`);
	}

	#hear(news: LedgerNews): void {
		if (news.news === "answer") {
			const settle = this.#calls.get(news.call);
			this.#calls.delete(news.call);
			settle?.(news.ok ? { ok: true, value: news.value } : { ok: false, error: news.error });
			return;
		}
		if (news.news === "line") this.#line(`${news.level} ${news.text}`);
		else {
			this.#line(JSON.stringify(news));
			this.news.push(news);
		}
	}

	#line(text: string): void {
		if (this.lines.length < LINES_MAX) this.lines.push(`${new Date().toISOString()} ${text.trim()}`);
	}
}

export interface LedgerClusterOptions {
	readonly brokers: string;
	readonly partitions?: number;
	/** See KafkaLogOptions. */
	readonly takeoverAfterMs?: number;
	/** See NodeOptions. Default: 0. */
	readonly standbyReplicas?: number;
	/** The library that speaks to Kafka. Default: kafkajs. */
	readonly client?: KafkaClient;
}

export class LedgerCluster {
	readonly brokers: string;
	readonly prefix = `ledgers-${randomBytes(6).toString("hex")}`;
	readonly partitions: number;
	readonly processes: LedgerProcess[] = [];
	/** Data directories of all processes, by the names of their disks. */
	readonly directory = mkdtempSync(join(tmpdir(), "mycelog-ledgers-"));
	#disks = 0;
	readonly #settings: Pick<LedgerProcessOptions, "takeoverAfterMs" | "standbyReplicas" | "client">;

	constructor(options: LedgerClusterOptions) {
		const { brokers, partitions = 4, takeoverAfterMs, standbyReplicas = 0, client = "kafkajs" } = options;
		this.#settings = { takeoverAfterMs, standbyReplicas, client };
		this.brokers = brokers;
		this.partitions = partitions;
	}

	get alive(): LedgerProcess[] {
		return this.processes.filter(({ alive }) => alive);
	}

	get running(): LedgerProcess[] {
		return this.processes.filter(({ running }) => running);
	}

	/** Running, and not superseded by another process with the same id: such a one ends by itself, in a while. */
	get current(): LedgerProcess[] {
		const newest = new Map(this.alive.filter(({ name }) => name !== "").map((it) => [it.id, it]));
		return this.running.filter((process) => newest.get(process.id) === process);
	}

	/** Begin a process; `disk`: its data directory, by default the one of its id. Its `started` is the caller's. */
	spawn(id: string, disk = id, acceptLostRecords = false): LedgerProcess {
		const { brokers, prefix, partitions } = this;
		const dataDir = join(this.directory, disk);
		const options = { id, brokers, prefix, partitions, dataDir, acceptLostRecords, ...this.#settings };
		const process = new LedgerProcess(options, disk);
		this.processes.push(process);
		return process;
	}

	async start(...ids: string[]): Promise<LedgerProcess[]> {
		return Promise.all(ids.map((id) => this.spawn(id).started()));
	}

	/** The name of a data directory that nobody has used. */
	newDisk(): string {
		return `disk-${++this.#disks}`;
	}

	/** The process that owns a partition; undefined: none of those that answer says so. */
	async ownerOf(partition: string): Promise<LedgerProcess | undefined> {
		for (const process of this.running) {
			if ((await process.status()).partitions.includes(partition)) return process;
		}
		return undefined;
	}

	/** Every partition is owned by one process, every process has its share, and all are ready. */
	async settled(withinMs = LOOK_MS_MAX): Promise<void> {
		const since = Date.now();
		for (;;) {
			const all = await Promise.all(this.current.map((process) => process.status()));
			const owned = all.flatMap(({ partitions }) => partitions);
			const whole = owned.length === 2 * this.partitions && new Set(owned).size === owned.length;
			// One that has just joined owns nothing for a moment, while others still have its share.
			const share = 2 * Math.floor(this.partitions / all.length);
			if (whole && all.every(({ ready, partitions }) => ready && partitions.length >= share)) return;
			if (Date.now() - since > withinMs) {
				throw new Error(`the nodes did not settle within ${withinMs} ms: ${JSON.stringify(all)}`);
			}
			await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
		}
	}

	async remove(): Promise<void> {
		await Promise.all(this.alive.map((process) => process.kill9()));
		rmSync(this.directory, { recursive: true, force: true });
	}
}

/** Linux tells; a signal alone takes a moment to reach every thread. */
function isStopped(pid: number): boolean {
	try {
		return /^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
	} catch {
		// Not Linux, or gone: the signal has to do.
		return true;
	}
}
