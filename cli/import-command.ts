/**
 * `mycelog import hypha`: from options to a report and an exit code. Owns opening the log to write, and how the report
 * reads; what is taken over is hypha-plan.ts.
 */
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { MycelogError } from "../persistence/errors.ts";
import type { Log } from "../persistence/log.ts";
import { mailboxTopics } from "../runtime/topics.ts";
import { BEHAVIOURS_BY_TYPE } from "./behaviours.ts";
import { secretOf } from "./data-directory.ts";
import { importPlan, type Report } from "./hypha-import.ts";
import { type Plan, planImport } from "./hypha-plan.ts";
import { readHyphaStore } from "./hypha-store.ts";
import { logOf } from "./log-driver.ts";
import { requireNativeModule } from "./native-modules.ts";
import type { Config } from "./options.ts";
import { partitionsFound } from "./partitions-found.ts";
import { print, printJson, table } from "./print.ts";
import { progressBar } from "./progress.ts";

const IMPORTER = "mycelog-import";
/** Milliseconds to let go of a broker. */
const CLOSE_MS_MAX = 5_000;

export interface ImportCommandOptions {
	readonly json?: boolean;
	readonly redisUri: string;
	readonly dryRun?: boolean;
	readonly overwrite?: boolean;
	readonly waitForClientsMs: number;
}

export async function importHyphaCommand(config: Config, options: ImportCommandOptions): Promise<number> {
	const { dryRun = false, overwrite = false, waitForClientsMs, redisUri } = options;
	const reading = progressBar("keys");
	const store = await readHyphaStore(redisUri, reading.onProgress).finally(reading.stop);
	const plan = planImport(store, { overwrite, waitForClientsMs });
	const report = await written(config, plan, { dryRun, overwrite, hypha: store.version });
	if (options.json) await printJson(report);
	else await print(textOf(report));
	return 0;
}

async function written(
	config: Config,
	plan: Plan,
	options: { readonly dryRun: boolean; readonly overwrite: boolean; readonly hypha: string | undefined },
): Promise<Report> {
	await requireNativeModule("better-sqlite3");
	const { dataDir, kafkaUri, clientsRetentionMs } = config;
	const { dryRun } = options;
	const bar = progressBar("entries");
	const given = { ...options, onProgress: bar.onProgress };
	const found = await withLog(config, true, (log) => existing(config, log));
	try {
		if (dryRun && found === undefined) return await importPlan(undefined, plan, given);
		if (!dryRun && !kafkaUri) mkdirSync(dataDir, { recursive: true });
		return await withLog(config, dryRun, async (log) => {
			const partitions = found ?? config.partitions;
			// As a node's start makes them, so that the log may be new.
			await log.open(dryRun ? [] : mailboxTopics(partitions, clientsRetentionMs));
			return importPlan({ log, behaviours: BEHAVIOURS_BY_TYPE, partitions }, plan, given);
		});
	} finally {
		bar.stop();
	}
}

/** Partitions of the mailboxes; undefined: there is no log yet. */
async function existing(config: Config, log: Log): Promise<number | undefined> {
	if (!config.kafkaUri && !existsSync(join(config.dataDir, "log.db"))) return undefined;
	await log.open([]);
	try {
		return await partitionsFound(config, log);
	} catch (error) {
		if (MycelogError.is(error, "log.topic-mismatch")) return undefined;
		throw error;
	}
}

async function withLog<Answer>(
	config: Config,
	readOnly: boolean,
	use: (log: Log) => Promise<Answer>,
): Promise<Answer> {
	const kafkaSaslPassword = secretOf("kafkaSaslPassword", config, process.env);
	const log = await logOf(config, { clientId: IMPORTER, readOnly, kafkaSaslPassword });
	try {
		return await use(log);
	} finally {
		await log.close(CLOSE_MS_MAX);
	}
}

function textOf({ dryRun, hypha, taken, present, left }: Report): string {
	const counts = (["workspace", "client", "revocation"] as const).map((kind) => [
		kind,
		String(taken[kind].length),
		String(present[kind].length),
		String(left.filter((item) => item.kind === kind).length),
	]);
	const head = [`KIND`, dryRun ? "WOULD WRITE" : "WRITTEN", "HERE ALREADY", "LEFT"];
	const reasons = left.map(({ kind, name, why }) => [kind, name, why]);
	return [
		`Hypha ${hypha ?? "of an unknown version"}${dryRun ? " (dry run: nothing is written)" : ""}\n`,
		table(head, counts),
		...(reasons.length > 0 ? ["\n", table(["LEFT", "NAME", "WHY"], reasons)] : []),
	].join("");
}
