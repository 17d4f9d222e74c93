/**
 * What a backup says of itself: its files with sizes and checksums, and how far its log and its checkpoints reach.
 * Owns the form; a backup without a whole manifest is none, because it is written last.
 */
import { createHash } from "node:crypto";
import { createReadStream, readFileSync } from "node:fs";
import { open, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { MycelogError } from "./errors.ts";

export const MANIFEST_FILE = "backup.json";
/** Raised when a reader of the old form could misread the new one. */
const MANIFEST_VERSION = 1;

export interface BackedUpFile {
	readonly name: string;
	readonly bytes: number;
	/** Of its content, hexadecimal. */
	readonly sha256: string;
}

export interface BackedUpPartition {
	readonly topic: string;
	readonly partition: number;
	/** First offset in the log, and the one after the last. */
	readonly start: number;
	readonly end: number;
	/** The next offset to fold after the stored checkpoint; without one, all is folded. */
	readonly checkpoint?: number;
}

export interface Manifest {
	readonly version: number;
	/** ISO 8601. */
	readonly madeAt: string;
	readonly files: readonly BackedUpFile[];
	/** Those that hold records. */
	readonly partitions: readonly BackedUpPartition[];
}

/** In one step and flushed to disk: it is there whole or not at all. */
export async function writeManifest(directory: string, manifest: Omit<Manifest, "version">): Promise<void> {
	const path = join(directory, MANIFEST_FILE);
	await writeFile(`${path}.new`, `${JSON.stringify({ version: MANIFEST_VERSION, ...manifest }, null, 2)}\n`);
	await flush(`${path}.new`);
	await rename(`${path}.new`, path);
	await flush(directory);
}

/** Throws `backup.incomplete` where there is none, `backup.damaged` where it cannot be read. */
export function readManifest(directory: string): Manifest {
	const path = join(directory, MANIFEST_FILE);
	let text: string;
	try {
		text = readFileSync(path, "utf8");
	} catch (cause) {
		const why = `${directory} has no readable ${MANIFEST_FILE}: it is no backup, or one that was not finished`;
		throw new MycelogError("backup.incomplete", why, { directory }, { cause });
	}
	let manifest: unknown;
	try {
		manifest = JSON.parse(text);
	} catch (cause) {
		throw new MycelogError("backup.damaged", `${path} cannot be read`, { path }, { cause });
	}
	if (isManifest(manifest)) return manifest;
	const found = (manifest as { version?: unknown } | null)?.version;
	const why = `${path} is not of version ${MANIFEST_VERSION}, or not whole (version ${String(found)})`;
	throw new MycelogError("backup.damaged", why, { path });
}

export async function describeFile(directory: string, name: string): Promise<BackedUpFile> {
	const hash = createHash("sha256");
	let bytes = 0;
	for await (const chunk of createReadStream(join(directory, name))) {
		hash.update(chunk as Buffer);
		bytes += (chunk as Buffer).length;
	}
	return { name, bytes, sha256: hash.digest("hex") };
}

/** A file's content or a directory's names are on the disk. */
export async function flush(path: string): Promise<void> {
	const handle = await open(path, "r");
	try {
		await handle.sync();
	} finally {
		await handle.close();
	}
}

function isManifest(value: unknown): value is Manifest {
	if (typeof value !== "object" || value === null) return false;
	const { version, madeAt, files, partitions } = value as Partial<Manifest>;
	const whole = version === MANIFEST_VERSION && typeof madeAt === "string" && Array.isArray(partitions);
	return whole && Array.isArray(files) && files.length > 0 && files.every(isFile);
}

/** A name is a plain one: a manifest must not lead out of its directory. */
function isFile(value: unknown): value is BackedUpFile {
	const { name, bytes, sha256 } = (value ?? {}) as Partial<BackedUpFile>;
	return (
		typeof name === "string" &&
		/^[a-z][a-z-]*(\.[a-z]+)?$/.test(name) &&
		typeof bytes === "number" &&
		typeof sha256 === "string"
	);
}
