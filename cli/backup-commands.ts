/**
 * `mycelog backup` and `restore`: from options to files and an exit code. Owns how answers read; copying and checking
 * are the persistence layer's.
 */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Manifest } from "../persistence/backup-manifest.ts";
import { MycelogError } from "../persistence/errors.ts";
import { SMALL_FILES } from "./data-directory.ts";
import { EXIT } from "./exit-codes.ts";
import { requireNativeModule } from "./native-modules.ts";
import type { Config } from "./options.ts";
import { print, printJson } from "./print.ts";
import { progressBar } from "./progress.ts";

interface BackupCommandOptions {
	readonly json?: boolean;
}

export async function backupCommand(
	config: Config,
	to: string,
	options: BackupCommandOptions,
): Promise<number> {
	await requireNativeModule("better-sqlite3");
	const { backUp, LOG_FILE } = await import("../persistence/backup.ts");
	const { dataDir: from } = config;
	if (!existsSync(join(from, LOG_FILE))) {
		const text =
			`there is no embedded log in the data directory ${from}: name it with --data-dir ` +
			"(on Kafka the brokers hold the log, back those up)";
		throw new MycelogError("config.invalid-value", text, { dataDir: from });
	}
	const bar = progressBar("pages");
	const { onProgress } = bar;
	const manifest = await backUp({ from, to, also: SMALL_FILES, now: Date.now(), onProgress }).finally(
		bar.stop,
	);
	if (options.json) await printJson(manifest);
	else await print(`${describe(manifest)} backed up to ${resolve(to)}\n`);
	return EXIT.ok;
}

export async function restoreCommand(
	config: Config,
	from: string,
	options: BackupCommandOptions,
): Promise<number> {
	await requireNativeModule("better-sqlite3");
	const { restore } = await import("../persistence/restore.ts");
	const bar = progressBar("bytes");
	const { onProgress } = bar;
	const manifest = await restore({ from, to: config.dataDir, onProgress }).finally(bar.stop);
	if (options.json) await printJson(manifest);
	else {
		const place = resolve(config.dataDir);
		await print(`${describe(manifest)} of ${manifest.madeAt} restored to ${place}\n`);
	}
	return EXIT.ok;
}

function describe({ files, partitions }: Manifest): string {
	const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
	const records = partitions.reduce((sum, { start, end }) => sum + end - start, 0);
	return `${records} records in ${partitions.length} partitions (${files.length} files, ${bytes} bytes)`;
}
