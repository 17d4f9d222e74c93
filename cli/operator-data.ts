/**
 * The data an operator command looks at: a data directory (live or stopped) or topics in Kafka.
 * Owns opening and closing it, to read only unless told otherwise; the questions are the runtime's.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { MycelogError } from "../persistence/errors.ts";
import type { Log } from "../persistence/log.ts";
import { SqliteSnapshots } from "../persistence/snapshots-sqlite.ts";
import { lockDirectory } from "../persistence/sqlite-database.ts";
import type { OperatorParts } from "../runtime/operator.ts";
import type { WithSnapshots } from "../runtime/verify.ts";
import { BEHAVIOURS_BY_TYPE } from "./behaviours.ts";
import { secretOf } from "./data-directory.ts";
import { logOf } from "./log-driver.ts";
import { requireNativeModule } from "./native-modules.ts";
import type { Config } from "./options.ts";
import { partitionsFound } from "./partitions-found.ts";

const OPERATOR = "mycelog-operator";
/** Milliseconds to let go of a broker. */
const CLOSE_MS_MAX = 5_000;

/** With a log that can be appended to as well, where it was opened so. */
export interface OpenedData extends OperatorParts {
	readonly log: Log;
}

/**
 * Run `ask` on opened data and close it, whatever happens. `write`: snapshots may be written, no node may live; with
 * `records` only the log, which a cluster's nodes may have open.
 */
export async function withData<Answer>(
	config: Config,
	write: boolean | "records",
	ask: (parts: OpenedData) => Promise<Answer>,
): Promise<Answer> {
	await requireNativeModule("better-sqlite3");
	const { dataDir, kafkaUri } = config;
	if (!kafkaUri && !existsSync(join(dataDir, "log.db"))) {
		const text = `there is no embedded log in the data directory ${dataDir}: name it with --data-dir`;
		throw new MycelogError("config.invalid-value", text, { dataDir });
	}
	const lock = write === true && kafkaUri ? lockDirectory(dataDir) : undefined;
	const log = await logOf(config, {
		clientId: OPERATOR,
		readOnly: !write,
		kafkaSaslPassword: secretOf("kafkaSaslPassword", config, process.env),
	});
	try {
		await log.open([]);
		const partitions = await partitionsFound(config, log);
		const stored = existsSync(join(dataDir, "snapshots.db"));
		const snapshots = stored
			? new SqliteSnapshots({ directory: dataDir, readOnly: write !== true })
			: undefined;
		const found = snapshots ? { snapshots } : undefined;
		try {
			return await ask({ log, behaviours: BEHAVIOURS_BY_TYPE, partitions, ...found });
		} finally {
			snapshots?.close();
		}
	} finally {
		await log.close(CLOSE_MS_MAX);
		lock?.close();
	}
}

/** Throws `config.invalid-value` where the data directory holds no snapshots to look at. */
export function mustHaveSnapshots(parts: OperatorParts, { dataDir }: Config): WithSnapshots {
	const { snapshots } = parts;
	if (snapshots) return { ...parts, snapshots };
	const text = `there are no snapshots in the data directory ${dataDir}: name it with --data-dir`;
	throw new MycelogError("config.invalid-value", text, { dataDir });
}
