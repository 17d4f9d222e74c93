/**
 * A runtime node over a real embedded log in a temporary directory, for tests without a gateway.
 * Owns start, crash (everything dropped but the files) and clean-up.
 */
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Log } from "../../persistence/log.ts";
import { SqliteLog } from "../../persistence/log-sqlite.ts";
import { SqliteSnapshots } from "../../persistence/snapshots-sqlite.ts";
import type { Behaviour } from "../../runtime/behaviour.ts";
import type { Clock } from "../../runtime/clock.ts";
import type { Logger } from "../../runtime/logger.ts";
import { Node } from "../../runtime/node.ts";

export interface LoggedLine {
	readonly level: string;
	readonly fields: Readonly<Record<string, unknown>>;
	readonly message: string;
}

export function collectingLogger(): Logger & { readonly lines: LoggedLine[] } {
	const lines: LoggedLine[] = [];
	const at = (level: string) => (fields: Readonly<Record<string, unknown>>, message: string) => {
		lines.push({ level, fields, message });
	};
	return { lines, debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

export function temporaryDirectory(): { path: string; remove(): void } {
	const path = mkdtempSync(join(tmpdir(), "mycelog-test-"));
	return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

export interface StartedNode {
	readonly node: Node;
	readonly log: Log;
	readonly snapshots: SqliteSnapshots;
	readonly logger: ReturnType<typeof collectingLogger>;
}

export async function startNode(
	directory: string,
	behaviours: readonly Behaviour[],
	options: {
		clock?: Clock;
		partitions?: number;
		/** Sees the log before the node does. */
		prepare?: (log: SqliteLog) => void;
	} = {},
): Promise<StartedNode> {
	const log = new SqliteLog({ directory, durability: "process" });
	options.prepare?.(log);
	const snapshots = new SqliteSnapshots({ directory });
	const logger = collectingLogger();
	const node = new Node({
		id: "n1",
		boot: randomUUID(),
		log,
		snapshots,
		behaviours,
		partitions: options.partitions ?? 4,
		outlets: { deliver: () => {}, signal: () => {} },
		logger,
		cluster: false,
		...(options.clock ? { clock: options.clock } : undefined),
	});
	await node.start();
	return { node, log, snapshots, logger };
}
