/** Event buses in processes of their own, as a test drives them. Owns their start, their end and the matching of answers. */
import { type ChildProcess, fork } from "node:child_process";
import { randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import { inject } from "vitest";
import type { EventData } from "../../runtime/index.ts";
import { endWithTests, killed } from "./children.ts";

const PROCESS_FILE = fileURLToPath(new URL("event-process.ts", import.meta.url));

export interface EventProcessOptions {
	readonly id: string;
	readonly brokers: string;
	readonly prefix: string;
}

export interface EventRequest {
	readonly id: number;
	readonly name: string;
	readonly args: readonly unknown[];
}

export interface EventAnswer {
	readonly id: number;
	readonly value?: unknown;
	readonly error?: { readonly code: string; readonly message: string };
}

interface Pending {
	readonly resolve: (value: unknown) => void;
	readonly reject: (error: Error) => void;
}

export class EventProcess {
	readonly id: string;
	/** Told which event it has just asked for, in rounds. */
	onSubscribed: (event: string) => void = () => {};
	readonly #child: ChildProcess;
	readonly #pending = new Map<number, Pending>();
	#lastId = 0;
	#log = "";

	private constructor(options: EventProcessOptions) {
		this.id = options.id;
		this.#child = fork(PROCESS_FILE, [JSON.stringify(options)], {
			stdio: ["ignore", "pipe", "pipe", "ipc"],
			// Bytes stay bytes on their way to and from the test.
			serialization: "advanced",
			execArgv: [],
			env: { ...process.env, NODE_NO_WARNINGS: "1" },
		});
		endWithTests(this.#child);
		for (const stream of [this.#child.stdout, this.#child.stderr]) {
			stream?.on("data", (chunk) => {
				this.#log += chunk;
			});
		}
		this.#child.on("message", (message: EventAnswer & { subscribed?: string }) => this.#take(message));
		this.#child.once("exit", (code) => {
			const error = new Error(`the process of ${this.id} ended with ${code}:\n${this.#log}`);
			for (const { reject } of this.#pending.values()) reject(error);
		});
	}

	/** Two nodes of a cluster that nobody used before. */
	static async startTwo(): Promise<readonly [EventProcess, EventProcess]> {
		const place = { brokers: inject("kafkaBrokers"), prefix: `events-${randomBytes(6).toString("hex")}` };
		const start = async (id: string) => {
			const started = new EventProcess({ id, ...place });
			await new Promise((resolve, reject) => started.#pending.set(0, { resolve, reject }));
			return started;
		};
		const first = await start("n1");
		return [first, await start("n2")];
	}

	get pid(): number | undefined {
		return this.#child.pid;
	}

	/** Rejects with the error's code and message. */
	run<T = unknown>(name: string, ...args: readonly unknown[]): Promise<T> {
		const id = ++this.#lastId;
		return new Promise<T>((resolve, reject) => {
			this.#pending.set(id, { resolve: resolve as (value: unknown) => void, reject });
			this.#child.send({ id, name, args } satisfies EventRequest);
		});
	}

	heard(kind: "on" | "once" | "local", event: string, count = 0): Promise<readonly EventData[]> {
		return this.run("heard", `${kind} ${event}`, count);
	}

	stop(): Promise<void> {
		return killed(this.#child);
	}

	#take({ id, value, error, subscribed }: EventAnswer & { subscribed?: string }): void {
		if (subscribed !== undefined) {
			this.onSubscribed(subscribed);
			return;
		}
		const pending = this.#pending.get(id);
		this.#pending.delete(id);
		if (error) pending?.reject(Object.assign(new Error(error.message), { code: error.code }));
		else pending?.resolve(value);
	}
}
