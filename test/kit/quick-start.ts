/**
 * Every process of a test run starts quickly: sources have lost their types before, and what one process compiled the next
 * finds. Owns the environment that says so and the compiled code, which ends with the run.
 */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const STRIPPED = new URL("stripped-sources.mjs", import.meta.url);

export default async function setup(): Promise<() => Promise<void>> {
	const args = ["--disable-warning=ExperimentalWarning", fileURLToPath(STRIPPED)];
	await promisify(execFile)(process.execPath, args);
	const compiled = await mkdtemp(join(tmpdir(), "mycelog-compiled-"));
	process.env["NODE_COMPILE_CACHE"] = compiled;
	process.env["NODE_OPTIONS"] = `${process.env["NODE_OPTIONS"] ?? ""} --import=${STRIPPED.href}`;
	return () => rm(compiled, { recursive: true, force: true, maxRetries: 5 });
}
