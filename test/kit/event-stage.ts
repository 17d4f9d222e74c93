/**
 * Event buses on nodes of this process, over any log: several nodes where the log can have them, else one that speaks to
 * itself. Owns their start and end.
 */
import { randomBytes } from "node:crypto";
import type { Log } from "../../persistence/log.ts";
import { KafkaLog } from "../../persistence/log-kafka.ts";
import { SqliteLog } from "../../persistence/log-sqlite.ts";
import { SqliteSnapshots } from "../../persistence/snapshots-sqlite.ts";
import { EVENT_BEHAVIOURS, EventBus, EventOutlets } from "../../runtime/index.ts";
import { Node } from "../../runtime/node.ts";
import { MemoryLog, MemoryStorage } from "../../testing/memory-log.ts";
import { MemorySnapshots } from "../../testing/memory-snapshots.ts";
import { collectingLogger, temporaryDirectory } from "./runtime-node.ts";

export const EVENT_LOGS = ["memory", "sqlite", "kafka"] as const;
export type EventLog = (typeof EVENT_LOGS)[number];

/** Few: a broker is shared by all tests. */
const PARTITIONS = 4;
/** Milliseconds for a node to let go of its log. */
const STOP_MS_MAX = 10_000;

export interface RunningBus {
	readonly bus: EventBus;
	readonly node: Node;
	readonly log: Log;
	readonly logger: ReturnType<typeof collectingLogger>;
}

export interface Buses {
	/** On another node than `second`, but for the embedded log. */
	readonly first: RunningBus;
	readonly second: RunningBus;
	stop(): Promise<void>;
}

export async function startBuses(driver: EventLog, brokers: string): Promise<Buses> {
	const directories: { remove(): void }[] = [];
	const storage = new MemoryStorage();
	const prefix = `events-${randomBytes(6).toString("hex")}`;
	const logOf = (id: string, directory: string): Log => {
		if (driver === "memory") return new MemoryLog({ storage });
		if (driver === "sqlite") return new SqliteLog({ directory, durability: "process" });
		return new KafkaLog({ brokers: brokers.split(","), prefix, clientId: id });
	};
	const start = async (id: string): Promise<RunningBus> => {
		const directory = temporaryDirectory();
		directories.push(directory);
		const log = logOf(id, directory.path);
		const snapshots =
			driver === "memory"
				? new MemorySnapshots().open(() => true)
				: new SqliteSnapshots({ directory: directory.path });
		return startBus({ id, log, snapshots, cluster: driver !== "sqlite" });
	};
	const first = await start("n1");
	const second = driver === "sqlite" ? first : await start("n2");
	return {
		first,
		second,
		async stop() {
			for (const { bus, node } of new Set([second, first])) {
				bus.stop();
				await node.stop(STOP_MS_MAX);
			}
			for (const directory of directories) directory.remove();
		},
	};
}

export async function startBus(
	parts: Pick<ConstructorParameters<typeof Node>[0], "id" | "log" | "snapshots" | "cluster">,
): Promise<RunningBus> {
	const logger = collectingLogger();
	const outlets = new EventOutlets();
	const node = new Node({
		...parts,
		boot: randomBytes(4).toString("hex"),
		behaviours: EVENT_BEHAVIOURS,
		partitions: PARTITIONS,
		outlets,
		logger,
	});
	const bus = new EventBus({ node, outlets, logger });
	await node.start();
	return { bus, node, log: parts.log, logger };
}

/** Where every mailbox partition ends: what anything written would move. */
export async function logEnds({ log }: RunningBus): Promise<readonly number[]> {
	const ids = ["actors", "clients"].flatMap((topic) =>
		Array.from({ length: PARTITIONS }, (_, partition) => ({ topic, partition })),
	);
	return Promise.all(ids.map(async (id) => (await log.bounds(id)).end));
}
