/**
 * A process that runs a published client, steered by JSON lines. Owns the process and the matching of answers;
 * the commands are in clients/driver.py and clients/driver.mjs.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { endWithTests, killed } from "./children.ts";
import { pythonWithClient } from "./python.ts";

/** Bytes of a driver's log kept for an error's text. */
const LOG_BYTES_MAX = 20_000;

/** A binary argument or result as drivers write it. */
export const bytes = (data: Uint8Array) => ({ $bytes: Buffer.from(data).toString("base64") });
/** `count` bytes that every driver makes alike: i % 251. */
export const pattern = (count: number) => ({ $pattern: count });

export interface Heard {
	readonly data: unknown;
	readonly from: string | null;
}

export interface Connected {
	readonly workspace: string;
	readonly client: string;
	readonly user: Readonly<Record<string, unknown>>;
}

interface Pending {
	readonly resolve: (value: unknown) => void;
	readonly reject: (error: Error) => void;
}

export class ClientProcess {
	readonly language: "python" | "javascript";
	readonly #process: ChildProcess;
	readonly #pending = new Map<number, Pending>();
	#lastId = 0;
	#log = "";

	private constructor(language: "python" | "javascript", child: ChildProcess) {
		this.language = language;
		this.#process = child;
		child.stderr?.on("data", (text) => {
			this.#log = (this.#log + text).slice(-LOG_BYTES_MAX);
		});
		createInterface({ input: child.stdout as NodeJS.ReadableStream }).on("line", (line) =>
			this.#answer(line),
		);
		endWithTests(child);
		child.once("exit", (code, signal) => {
			const error = new Error(`the ${language} client ended (${code ?? signal}); its log:\n${this.#log}`);
			for (const { reject } of this.#pending.values()) reject(error);
		});
	}

	static python(): ClientProcess {
		return ClientProcess.#python("driver.py");
	}

	/** The same client by its synchronous API; it knows the everyday commands. */
	static pythonSync(): ClientProcess {
		return ClientProcess.#python("driver_sync.py");
	}

	static #python(file: string): ClientProcess {
		const child = spawn(pythonWithClient(), [driver(file)], {
			stdio: "pipe",
			env: { ...process.env, HYPHA_LOGLEVEL: "ERROR", PYTHONUNBUFFERED: "1", PYTHONDONTWRITEBYTECODE: "1" },
		});
		return new ClientProcess("python", child);
	}

	static javascript(): ClientProcess {
		return ClientProcess.#javascript("driver.mjs");
	}

	/** The same client in a page of a headless Chromium, from the server it connects to. */
	static browser(): ClientProcess {
		return ClientProcess.#javascript("driver_browser.mjs");
	}

	static #javascript(file: string): ClientProcess {
		return new ClientProcess("javascript", spawn(process.execPath, [driver(file)], { stdio: "pipe" }));
	}

	/** Run one command of the driver. Throws with the client's own error text. */
	run<T = unknown>(command: string, parameters: Readonly<Record<string, unknown>>): Promise<T> {
		const id = ++this.#lastId;
		const answer = new Promise<T>((resolve, reject) => {
			this.#pending.set(id, { resolve: resolve as (value: unknown) => void, reject });
		});
		this.#process.stdin?.write(`${JSON.stringify({ id, do: command, with: parameters })}\n`);
		return answer;
	}

	connect(name: string, url: string, options: Readonly<Record<string, unknown>> = {}): Promise<Connected> {
		return this.run("connect", { name, options: { server_url: url, client_id: name, ...options } });
	}

	call(
		name: string,
		id: string,
		method: string,
		args: readonly unknown[],
		kwargs?: object,
	): Promise<unknown> {
		return this.run("call", { name, id, method, args, ...(kwargs ? { kwargs } : undefined) });
	}

	manage(name: string, method: string, ...args: readonly unknown[]): Promise<unknown> {
		return this.run("manage", { name, method, args });
	}

	/** Messages of an event, as soon as there are `count`. */
	heard(name: string, event: string, count: number): Promise<Heard[]> {
		return this.run("heard", { name, event, count });
	}

	stop(): Promise<void> {
		return killed(this.#process);
	}

	#answer(line: string): void {
		const { id, ok, value, error } = JSON.parse(line);
		const pending = this.#pending.get(id);
		this.#pending.delete(id);
		if (ok) pending?.resolve(value);
		else pending?.reject(new Error(error));
	}
}

function driver(name: string): string {
	return fileURLToPath(new URL(`clients/${name}`, import.meta.url));
}
