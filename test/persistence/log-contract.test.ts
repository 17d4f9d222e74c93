/** The log contract over the drivers that need no broker: the embedded one, and the one the simulation stands on. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe } from "vitest";
import type { Log } from "../../persistence/log.ts";
import { SqliteLog } from "../../persistence/log-sqlite.ts";
import { MemoryLog, MemoryStorage } from "../../testing/memory-log.ts";
import { CONTRACT_TOPICS, describeLogContract, type LogStorage } from "./log-contract.ts";

const CLOSE_MS = 5_000;

function storageOf(make: () => Log, remove: () => void = () => {}): LogStorage {
	const made: Log[] = [];
	return {
		async open(topics = CONTRACT_TOPICS) {
			const log = make();
			made.push(log);
			await log.open(topics);
			return log;
		},
		async dispose() {
			for (const log of made) await log.close(CLOSE_MS);
			remove();
		},
	};
}

describeLogContract("memory", () => {
	const storage = new MemoryStorage();
	return storageOf(() => new MemoryLog({ storage }));
});

describe.each(["power", "process"] as const)("durability %s:", (durability) => {
	describeLogContract("sqlite", () => {
		const directory = mkdtempSync(join(tmpdir(), "mycelog-contract-"));
		return storageOf(
			() => new SqliteLog({ directory, durability }),
			() => rmSync(directory, { recursive: true, force: true }),
		);
	});
});
