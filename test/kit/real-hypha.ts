/**
 * A real Hypha server in a process of its own, from PyPI, for tests that compare. Owns its Python environment, made once
 * and kept under node_modules/.cache, and the process.
 */

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm, symlink } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { endWithTests } from "./children.ts";
import { ROOT_TOKEN } from "./node-process.ts";

export const HYPHA_VERSION = "0.21.135";
/** Newer ones of the second refuse to start this Hypha. */
const PACKAGES = [`hypha[s3]==${HYPHA_VERSION}`, "sqlmodel==0.0.22"];
const CACHE = fileURLToPath(new URL("../../node_modules/.cache/mycelog", import.meta.url));
const ENVIRONMENT = `${CACHE}/hypha-${HYPHA_VERSION}`;
/** Milliseconds for pip, which may have to fetch 300 MB. */
export const INSTALL_MS_MAX = 600_000;
/** Milliseconds from spawn to readiness. */
const READY_MS_MAX = 60_000;

const run = promisify(execFile);

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
		await install();
		const port = await freePort();
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
		if (this.#process.exitCode === null && this.#process.signalCode === null) {
			const ended = new Promise((resolve) => this.#process.once("exit", resolve));
			this.#process.kill("SIGKILL");
			await ended;
		}
		await rm(this.#directory, { recursive: true, force: true });
	}

	#isReady(): Promise<boolean> {
		return fetch(`${this.url}/health/readiness`).then(
			({ status }) => status === 200,
			() => false,
		);
	}
}

async function install(): Promise<void> {
	if (existsSync(`${ENVIRONMENT}/bin/python3`)) return;
	await mkdir(CACHE, { recursive: true });
	// As for the client: a link to it appears when it is complete.
	const place = await mkdtemp(`${ENVIRONMENT}-`);
	try {
		await run("python3", ["-m", "venv", place]);
		const args = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", ...PACKAGES];
		await run(`${place}/bin/python3`, args, { timeout: INSTALL_MS_MAX });
	} catch (cause) {
		await rm(place, { recursive: true, force: true });
		throw new Error(`no Python environment with ${PACKAGES.join(" and ")}: ${(cause as Error).message}`, {
			cause,
		});
	}
	await symlink(place, `${place}.link`);
	await rename(`${place}.link`, ENVIRONMENT);
}

function freePort(): Promise<number> {
	return new Promise((resolve, reject) => {
		const probe = createServer();
		probe.once("error", reject);
		probe.listen(0, "127.0.0.1", () => {
			const { port } = probe.address() as AddressInfo;
			probe.close(() => resolve(port));
		});
	});
}
