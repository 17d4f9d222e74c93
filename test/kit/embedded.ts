/**
 * Nodes made with `createNode` over a log that a test can crash and open again, for claims on every embedded log.
 * Owns what survives a process: storage and disk in memory, or a directory.
 */
import type { Log } from "../../persistence/log.ts";
import { SqliteLog } from "../../persistence/log-sqlite.ts";
import type { SnapshotStore } from "../../persistence/snapshots.ts";
import { SqliteSnapshots } from "../../persistence/snapshots-sqlite.ts";
import type { Clock } from "../../runtime/clock.ts";
import type { ActorDefinition } from "../../runtime/define-actor.ts";
import { createNode, type EmbeddedNode } from "../../runtime/embedded-node.ts";
import { MemoryLog, MemoryStorage } from "../../testing/memory-log.ts";
import { MemorySnapshots } from "../../testing/memory-snapshots.ts";
import { settled, VirtualTime } from "../../testing/virtual-time.ts";
import { collectingLogger, temporaryDirectory } from "./runtime-node.ts";

export const EMBEDDED_LOGS = ["memory", "sqlite"] as const;

export class EmbeddedStage {
	readonly driver: (typeof EMBEDDED_LOGS)[number];
	readonly logger = collectingLogger();
	readonly #storage = new MemoryStorage();
	readonly #disk = new MemorySnapshots();
	readonly #directory: ReturnType<typeof temporaryDirectory> | undefined;
	readonly #running: EmbeddedNode[] = [];

	constructor(driver: (typeof EMBEDDED_LOGS)[number]) {
		this.driver = driver;
		if (driver === "sqlite") this.#directory = temporaryDirectory();
	}

	async start<const Actors extends readonly ActorDefinition[]>(
		actors: Actors,
		options: { readonly clock?: Clock; readonly partitions?: number } = {},
	): Promise<EmbeddedNode<Actors>> {
		const { log, snapshots } = this.#open(options.clock);
		const { partitions = 4, ...clock } = options;
		const node = createNode({ log, snapshots, actors, partitions, logger: this.logger, ...clock });
		this.#running.push(node as unknown as EmbeddedNode);
		await node.start();
		return node;
	}

	async remove(): Promise<void> {
		for (const node of this.#running) await node.stop();
		this.#directory?.remove();
	}

	#open(clock?: Clock): { log: Log; snapshots: SnapshotStore } {
		const directory = this.#directory?.path;
		if (directory === undefined) {
			const log = new MemoryLog({ storage: this.#storage, ...(clock ? { clock } : undefined) });
			return { log, snapshots: this.#disk.open() };
		}
		const log = new SqliteLog({ directory, durability: "process" });
		return { log, snapshots: new SqliteSnapshots({ directory }) };
	}
}

/** A node in memory whose time a test moves; a crash takes everything but storage and disk. */
export class TimedStage {
	readonly time = new VirtualTime();
	readonly storage = new MemoryStorage();
	readonly disk = new MemorySnapshots();
	readonly logger = collectingLogger();

	async start<const Actors extends readonly ActorDefinition[]>(
		actors: Actors,
	): Promise<{ readonly node: EmbeddedNode<Actors>; readonly log: MemoryLog; crash(): void }> {
		const { time, storage } = this;
		let alive = true;
		const clock = {
			now: time.now,
			after: (delayMs: number, callback: () => void) => time.after(delayMs, () => alive && callback()),
		};
		const log = new MemoryLog({ storage, clock });
		const snapshots = this.disk.open(() => alive);
		const node = createNode({ log, snapshots, actors, partitions: 1, logger: this.logger, clock });
		await node.start();
		await settled();
		return {
			node,
			log,
			crash() {
				alive = false;
				log.crash();
			},
		};
	}
}
