/**
 * An online backup of a data directory with an embedded log, beside the node that writes to it.
 * Owns the order in which files are copied and what must hold between the copies; back again is restore.ts.
 */

import { existsSync } from "node:fs";
import { copyFile, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import Database from "better-sqlite3";
import {
	type BackedUpFile,
	type BackedUpPartition,
	describeFile,
	flush,
	type Manifest,
	writeManifest,
} from "./backup-manifest.ts";
import { MycelogError } from "./errors.ts";
import { partitionName } from "./log.ts";
import { integrityProblem, type Sqlite } from "./sqlite-database.ts";
import { SqliteRecords } from "./sqlite-records.ts";

export const LOG_FILE = "log.db";
const SNAPSHOTS_FILE = "snapshots.db";
/** Pages copied between two turns of the event loop: some megabytes, so that progress shows and signals are heard. */
const PAGES_A_STEP = 1_000;

export interface BackupOptions {
	/** The data directory; its node may live. */
	readonly from: string;
	/** Must be empty or not there. */
	readonly to: string;
	/** Small files that belong to the directory beside its databases, copied where they are there. */
	readonly also: readonly string[];
	/** Milliseconds since 1970. */
	readonly now: number;
	/** Of both databases, in pages. */
	readonly onProgress?: (progress: { readonly scanned: number; readonly total: number }) => void;
}

/**
 * Snapshots are copied before the log. Whatever a checkpoint covers was in the log when the checkpoint was written, so
 * it is in the later copy of the log: what the copy has beyond is folded at the first start. The other way round,
 * checkpoints would count records that the copied log does not hold.
 *
 * Rejects with `backup.target-not-empty`, `backup.not-written`, and `log.file-unusable` for what is to be copied.
 */
export async function backUp(options: BackupOptions): Promise<Manifest> {
	const { from, to, also, now } = options;
	await makeEmptyDirectory(to);
	try {
		const copied = await copyDatabases(options);
		const small: BackedUpFile[] = [];
		for (const name of also) {
			if (!existsSync(join(from, name))) continue;
			await copyFile(join(from, name), join(to, name));
			await flush(join(to, name));
			small.push(await describeFile(to, name));
		}
		const partitions = partitionsIn(to, copied.length > 1);
		const files: BackedUpFile[] = [];
		for (const name of copied) {
			await flush(join(to, name));
			files.push(await describeFile(to, name));
		}
		const manifest = { madeAt: new Date(now).toISOString(), files: [...small, ...files], partitions };
		await writeManifest(to, manifest);
		return { version: 1, ...manifest };
	} catch (cause) {
		if (MycelogError.is(cause)) throw cause;
		const text = `the backup in ${to} was not finished: ${(cause as Error).message}`;
		throw new MycelogError("backup.not-written", text, { from, to }, { cause });
	}
}

/** Nobody but the owner: the log holds what clients sent, and the token secret lies beside it. */
async function makeEmptyDirectory(path: string): Promise<void> {
	let held: readonly string[];
	try {
		await mkdir(path, { recursive: true, mode: 0o700 });
		held = await readdir(path);
	} catch (cause) {
		const text = `cannot make the directory ${path}: ${(cause as Error).message}`;
		throw new MycelogError("backup.not-written", text, { path }, { cause });
	}
	if (held.length === 0) return;
	const text = `${path} is not empty (${held.slice(0, 3).join(", ")})`;
	throw new MycelogError("backup.target-not-empty", text, { path });
}

/** Names of those there are, in the order of copying. */
async function copyDatabases({ from, to, onProgress }: BackupOptions): Promise<readonly string[]> {
	const names = [SNAPSHOTS_FILE, LOG_FILE].filter(
		(name) => name === LOG_FILE || existsSync(join(from, name)),
	);
	const pages = new Map<string, { scanned: number; total: number }>();
	for (const name of names) {
		await copyDatabase(join(from, name), join(to, name), (scanned, total) => {
			pages.set(name, { scanned, total });
			const all = [...pages.values()];
			onProgress?.({
				scanned: all.reduce((sum, one) => sum + one.scanned, 0),
				total: all.reduce((sum, one) => sum + one.total, 0),
			});
		});
	}
	return names;
}

async function copyDatabase(
	from: string,
	to: string,
	onPages: (scanned: number, total: number) => void,
): Promise<void> {
	const source = opened(from);
	try {
		// One view for the whole copy: without it every commit of the node would make the copy begin anew.
		source.exec("BEGIN");
		source.prepare("SELECT count(*) FROM sqlite_schema").get();
		await source.backup(to, {
			progress: ({ totalPages, remainingPages }) => {
				onPages(totalPages - remainingPages, totalPages);
				return PAGES_A_STEP;
			},
		});
	} finally {
		source.close();
	}
	const copy = new Database(to);
	try {
		// One file that needs no other beside it.
		copy.pragma("journal_mode = DELETE");
		const problem = integrityProblem(copy);
		if (problem === undefined) return;
		const text = `${from} is damaged: ${problem}`;
		throw new MycelogError("log.file-unusable", text, { path: from, problem });
	} finally {
		copy.close();
	}
}

function opened(path: string): Sqlite {
	try {
		return new Database(path, { readonly: true, fileMustExist: true });
	} catch (cause) {
		const text = `cannot open ${path}: ${(cause as Error).message}`;
		throw new MycelogError("log.file-unusable", text, { path }, { cause });
	}
}

/** Of the copies. Throws `backup.not-written` where a checkpoint is ahead of the log: they are not of one history. */
function partitionsIn(directory: string, withSnapshots: boolean): BackedUpPartition[] {
	const checkpoints = withSnapshots ? checkpointsIn(join(directory, SNAPSHOTS_FILE)) : new Map();
	const log = new Database(join(directory, LOG_FILE), { readonly: true });
	const partitions: BackedUpPartition[] = [];
	try {
		const records = new SqliteRecords(log);
		for (const { topic, partitions: count } of records.topics()) {
			for (let partition = 0; partition < count; partition++) {
				const id = { topic, partition };
				const { start, end } = records.bounds(id);
				const checkpoint = checkpoints.get(partitionName(id));
				if (checkpoint !== undefined && checkpoint > end)
					throw aheadError(partitionName(id), checkpoint, end);
				if (end === 0) continue;
				partitions.push({ ...id, start, end, ...(checkpoint === undefined ? undefined : { checkpoint }) });
			}
		}
	} finally {
		log.close();
	}
	return partitions;
}

function checkpointsIn(path: string): Map<string, number> {
	const database = new Database(path, { readonly: true });
	try {
		const rows = database.prepare("SELECT topic, partition, next FROM checkpoints").all();
		return new Map(
			(rows as { topic: string; partition: number; next: number }[]).map((row) => [
				partitionName(row),
				row.next,
			]),
		);
	} finally {
		database.close();
	}
}

function aheadError(partition: string, checkpoint: number, end: number): MycelogError {
	const text =
		`the checkpoint of ${partition} is at ${checkpoint}, but its log ends at ${end}: ` +
		`${SNAPSHOTS_FILE} belongs to another ${LOG_FILE}`;
	return new MycelogError("backup.not-written", text, { partition, checkpoint, end });
}
