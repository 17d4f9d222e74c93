/**
 * Opening SQLite files: pragmas, read-only access and the lock that keeps a data directory to one writer.
 * Owns nothing of what the files hold.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { MycelogError } from "./errors.ts";

export type Sqlite = Database.Database;

export interface OpenOptions {
	readonly readOnly: boolean;
	/** FULL: an acknowledged record survives a power cut. NORMAL: it survives the death of the process. */
	readonly synchronous: "FULL" | "NORMAL";
}

export function openDatabase(directory: string, file: string, options: OpenOptions): Sqlite {
	if (!options.readOnly) mkdirSync(directory, { recursive: true });
	const path = join(directory, file);
	try {
		const database = new Database(path, { readonly: options.readOnly, fileMustExist: options.readOnly });
		database.pragma("busy_timeout = 2000");
		if (!options.readOnly) {
			database.pragma("journal_mode = WAL");
			database.pragma(`synchronous = ${options.synchronous}`);
		}
		return database;
	} catch (cause) {
		throw new MycelogError(
			"log.unreachable",
			`cannot open ${path}: ${(cause as Error).message}`,
			{ path },
			{ cause },
		);
	}
}

/**
 * One writer a directory. SQLite's own file lock is held in an open transaction, so the death of the process frees
 * it, however it dies; a file with a process id would lie after a kill -9.
 */
export function lockDirectory(directory: string): Sqlite {
	const lock = openDatabase(directory, "owner.lock", { readOnly: false, synchronous: "NORMAL" });
	lock.pragma("busy_timeout = 0");
	try {
		lock.pragma("journal_mode = DELETE");
		lock.exec("BEGIN EXCLUSIVE");
		return lock;
	} catch (cause) {
		lock.close();
		throw new MycelogError(
			"log.in-use",
			`the data directory ${directory} is in use`,
			{ directory },
			{ cause },
		);
	}
}
