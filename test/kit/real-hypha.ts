/**
 * A real Hypha server in a process of its own, from PyPI, for tests that compare. Owns its Python environment, made once
 * and kept under node_modules/.cache, and the process.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { endWithTests, killed } from "./children.ts";
import { freePorts } from "./kafka-brokers.ts";
import { ROOT_TOKEN } from "./node-process.ts";
import { makeEnvironment } from "./python.ts";

export const HYPHA_VERSION = "0.21.135";
/** Newer ones of the second refuse to start this Hypha. */
const PACKAGES = [`hypha[s3]==${HYPHA_VERSION}`, "sqlmodel==0.0.22"];
const CACHE = fileURLToPath(new URL("../../node_modules/.cache/mycelog", import.meta.url));
const ENVIRONMENT = `${CACHE}/hypha-${HYPHA_VERSION}`;
/** Milliseconds for pip, which may have to fetch 300 MB. */
export const INSTALL_MS_MAX = 600_000;
/** Milliseconds from spawn to readiness. */
const READY_MS_MAX = 60_000;

export class RealHypha {
	readonly url: string;
	readonly #process: ChildProcess;
	readonly #directory: string;

	private constructor(url: string, child: ChildProcess, directory: string) {
		this.url = url;
		this.#process = child;
		this.#directory = directory;
	}

	/** Throws with its whole output when it does not become ready. */
	static async start(): Promise<RealHypha> {
		if (!existsSync(`${ENVIRONMENT}/bin/python3`))
			await makeEnvironment(ENVIRONMENT, PACKAGES, INSTALL_MS_MAX);
		const [port] = await freePorts(1);
		const directory = await mkdtemp(join(tmpdir(), "hypha-"));
		const args = [
			"-m",
			"hypha.server",
			"--host",
			"127.0.0.1",
			"--port",
			String(port),
			"--root-token",
			ROOT_TOKEN,
		];
		const child = spawn(`${ENVIRONMENT}/bin/python3`, args, {
			cwd: directory,
		});
		endWithTests(child);
		let output = "";
		for (const stream of [child.stdout, child.stderr]) {
			stream?.on("data", (text) => {
				output += text;
			});
		}
		const hypha = new RealHypha(`http://127.0.0.1:${port}`, child, directory);
		const until = Date.now() + READY_MS_MAX;
		while (!(await hypha.#isReady())) {
			if (child.exitCode !== null || Date.now() > until) {
				await hypha.stop();
				throw new Error(`Hypha did not become ready; its output:\n${output}`);
			}
			await new Promise((resolve) => setTimeout(resolve, 200));
		}
		return hypha;
	}

	async stop(): Promise<void> {
		await killed(this.#process);
		await rm(this.#directory, { recursive: true, force: true });
	}

	#isReady(): Promise<boolean> {
		return fetch(`${this.url}/health/readiness`).then(
			({ status }) => status === 200,
			() => false,
		);
	}
}
