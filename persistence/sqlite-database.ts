/**
 * Opening SQLite files: pragmas, read-only access and the lock that keeps a data directory to one writer.
 * Owns nothing of what the files hold.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { MycelogError } from "./errors.ts";

export type Sqlite = Database.Database;

/** Milliseconds to wait for another connection's short locks (a reader recovering the WAL, a checkpoint). */
const BUSY_MS_MAX = 2_000;

export interface OpenOptions {
	readonly readOnly: boolean;
	/** FULL: a committed record survives a power cut. NORMAL: it survives the death of the process. */
	readonly synchronous: "FULL" | "NORMAL";
	/** Of a new file; an existing one keeps its own. */
	readonly pageBytes: 4096 | 8192;
	/** Run on the open database before anything else; its failure counts as a failed opening. */
	readonly schema: string;
}

/** Throws `log.file-unusable` naming the path. */
export function openDatabase(directory: string, file: string, options: OpenOptions): Sqlite {
	const { readOnly, synchronous, pageBytes, schema } = options;
	return opening(directory, file, () => {
		const path = join(directory, file);
		if (!readOnly) mkdirSync(directory, { recursive: true });
		const database = new Database(path, {
			readonly: readOnly,
			fileMustExist: readOnly,
			timeout: BUSY_MS_MAX,
		});
		return closedOnError(database, () => {
			if (readOnly) return;
			database.pragma(`page_size = ${pageBytes}`);
			database.pragma("journal_mode = WAL");
			database.pragma(`synchronous = ${synchronous}`);
			database.exec(schema);
		});
	});
}

/** For what need not outlive the process. */
export function memoryDatabase(schema: string): Sqlite {
	const database = new Database(":memory:");
	database.exec(schema);
	return database;
}

/**
 * One writer a directory; throws `log.in-use`. SQLite's own file lock is held in an open transaction, so the
 * death of the process frees it, however it dies; a file with a process id would lie after a kill -9.
 */
export function lockDirectory(directory: string): Sqlite {
	return opening(directory, "owner.lock", () => {
		mkdirSync(directory, { recursive: true });
		const lock = new Database(join(directory, "owner.lock"), { timeout: 0 });
		return closedOnError(lock, () => lock.exec("BEGIN EXCLUSIVE"));
	});
}

/** What SQLite finds wrong with the file, in its own words; undefined: nothing. Reads all of it. */
export function integrityProblem(database: Sqlite): string | undefined {
	let found: unknown;
	try {
		found = database.pragma("integrity_check(1)", { simple: true });
	} catch (error) {
		return (error as Error).message;
	}
	return found === "ok" ? undefined : String(found);
}

function opening(directory: string, file: string, open: () => Sqlite): Sqlite {
	try {
		return open();
	} catch (cause) {
		if (file === "owner.lock" && (cause as { code?: string }).code === "SQLITE_BUSY") {
			const text = `another process writes to the data directory ${directory}`;
			throw new MycelogError("log.in-use", text, { directory }, { cause });
		}
		const path = join(directory, file);
		const text = `cannot open ${path}: ${(cause as Error).message}`;
		throw new MycelogError("log.file-unusable", text, { path }, { cause });
	}
}

function closedOnError(database: Sqlite, prepare: () => void): Sqlite {
	try {
		prepare();
		return database;
	} catch (error) {
		database.close();
		throw error;
	}
}
