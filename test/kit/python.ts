/**
 * A Python environment with the published client in it, made once and kept under node_modules/.cache.
 * Owns its making, which happens before any test runs: vitest calls `setup` once a run.
 */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm, symlink } from "node:fs/promises";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const CLIENT = "hypha-rpc==0.21.47";
const CACHE = fileURLToPath(new URL("../../node_modules/.cache/mycelog", import.meta.url));
const ENVIRONMENT = `${CACHE}/${CLIENT.replace("==", "-")}`;
const INTERPRETER = `${ENVIRONMENT}/bin/python3`;
/** Milliseconds for pip, which may have to fetch 20 MB. */
const INSTALL_MS_MAX = 150_000;

const run = promisify(execFile);

/** Path of a Python interpreter that can `import hypha_rpc`. */
export function pythonWithClient(): string {
	if (!existsSync(INTERPRETER))
		throw new Error(`no Python environment at ${ENVIRONMENT}: run through vitest`);
	return INTERPRETER;
}

/** Throws what to install when it cannot be made. */
export async function setup(): Promise<void> {
	if (existsSync(INTERPRETER)) return;
	await requirePython();
	await makeEnvironment(ENVIRONMENT, [CLIENT], INSTALL_MS_MAX);
}

/** One with these packages of PyPI. Throws what to install when it cannot be made. */
export async function makeEnvironment(
	environment: string,
	packages: readonly string[],
	withinMs: number,
): Promise<void> {
	await mkdir(dirname(environment), { recursive: true });
	// An environment knows its own path: it is made in its place, and a link to it appears when it is complete,
	// so that a run that is stopped half-way leaves nothing that looks finished.
	const place = await mkdtemp(`${environment}-`);
	try {
		await run("python3", ["-m", "venv", place]);
		const install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", ...packages];
		await run(`${place}/bin/python3`, install, { timeout: withinMs });
	} catch (cause) {
		await rm(place, { recursive: true, force: true });
		const { stderr, message } = cause as Error & { stderr?: string };
		const advice = "Install Python's venv module (Debian: python3-venv) and let pip reach its index.";
		const text = `no Python environment with ${packages.join(" and ")}: ${stderr || message}\n${advice}`;
		throw new Error(text, { cause });
	}
	await symlink(place, `${place}.link`);
	await rename(`${place}.link`, environment);
}

async function requirePython(): Promise<void> {
	const advice = "The tests run the published Python client: install Python 3.9 or newer as python3.";
	const version = await run("python3", [
		"-c",
		"import sys; print(sys.version_info >= (3, 9), sys.version)",
	]).then(
		({ stdout }) => stdout.trim(),
		(cause) => {
			throw new Error(`python3 does not run (${(cause as Error).message}). ${advice}`, { cause });
		},
	);
	if (!version.startsWith("True")) throw new Error(`python3 is ${version}. ${advice}`);
}
