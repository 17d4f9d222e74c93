/**
 * A backup put back as a data directory: checked as a whole before anything of it is in place.
 * Owns the checks and the one step that puts it there; what a node makes of it is the node's.
 */
import { constants, existsSync, readdirSync } from "node:fs";
import { chmod, copyFile, mkdir, rename, rm } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import Database from "better-sqlite3";
import { LOG_FILE } from "./backup.ts";
import { describeFile, flush, type Manifest, readManifest } from "./backup-manifest.ts";
import { MycelogError } from "./errors.ts";
import { integrityProblem, lockDirectory } from "./sqlite-database.ts";

export interface RestoreOptions {
	readonly from: string;
	/** The data directory to be: empty or not there. */
	readonly to: string;
	readonly onProgress?: (progress: { readonly scanned: number; readonly total: number }) => void;
}

/**
 * Files are copied beside the target, checked there, and put in place by one rename: a restore that is cut off leaves
 * the target as it was. Rejects with `backup.incomplete`, `backup.damaged`, `backup.target-not-empty`, `log.in-use`,
 * `backup.not-written`.
 */
export async function restore({ from, to, onProgress }: RestoreOptions): Promise<Manifest> {
	const target = resolve(to);
	const manifest = readManifest(from);
	mustHold(manifest, LOG_FILE, from);
	mustBeFree(target);
	const staging = `${target}.restoring`;
	try {
		await rm(staging, { recursive: true, force: true });
		await mkdir(staging, { recursive: true, mode: 0o700 });
		const total = manifest.files.reduce((sum, { bytes }) => sum + bytes, 0);
		let scanned = 0;
		for (const file of manifest.files) {
			await copyChecked(from, staging, file);
			scanned += file.bytes;
			onProgress?.({ scanned, total });
		}
		await flush(staging);
		// Once more: the checks took their time.
		mustBeFree(target);
		await rename(staging, target);
		await flush(dirname(target));
	} catch (cause) {
		await rm(staging, { recursive: true, force: true }).catch(() => {
			// What failed first is what the operator must hear of.
		});
		if (MycelogError.is(cause)) throw cause;
		const text = `nothing was put into ${target}: ${(cause as Error).message}`;
		throw new MycelogError("backup.not-written", text, { from, to: target }, { cause });
	}
	return manifest;
}

async function copyChecked(
	from: string,
	to: string,
	{ name, bytes, sha256 }: Manifest["files"][number],
): Promise<void> {
	const path = join(from, name);
	try {
		await copyFile(path, join(to, name), constants.COPYFILE_EXCL);
	} catch (cause) {
		if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw cause;
		throw new MycelogError("backup.incomplete", `${path} is missing`, { path }, { cause });
	}
	await chmod(join(to, name), 0o600);
	const found = await describeFile(to, name);
	if (found.bytes !== bytes || found.sha256 !== sha256) {
		const text =
			`${path} is not what was backed up: ${found.bytes} bytes with SHA-256 ${found.sha256}, ` +
			`the manifest says ${bytes} bytes with ${sha256}`;
		throw new MycelogError("backup.damaged", text, { path, found, expected: { bytes, sha256 } });
	}
	if (name.endsWith(".db")) mustBeSound(to, name, path);
	await flush(join(to, name));
}

function mustBeSound(directory: string, name: string, path: string): void {
	const database = new Database(join(directory, name), { readonly: true });
	try {
		const problem = integrityProblem(database);
		if (problem !== undefined)
			throw new MycelogError("backup.damaged", `${path}: ${problem}`, { path, problem });
	} finally {
		database.close();
	}
}

function mustHold({ files }: Manifest, wanted: string, directory: string): void {
	if (files.some(({ name }) => name === wanted)) return;
	throw new MycelogError("backup.incomplete", `the backup in ${directory} lists no ${wanted}`, { directory });
}

/** A directory with a node in it is the more alarming case, and has its own words. */
function mustBeFree(target: string): void {
	if (!existsSync(target)) return;
	const held = readdirSync(target);
	if (held.length === 0) return;
	if (held.includes("owner.lock")) lockDirectory(target).close();
	const text = `${target} is not empty (${held.slice(0, 3).join(", ")})`;
	throw new MycelogError("backup.target-not-empty", text, { path: target });
}
