/**
 * A runtime node over a log, a disk and a clock in the test's hands, for claims that need one exact course of events.
 * Owns starting and crashing; what survives a crash is `storage` and `disk`.
 */
import type { MycelogError } from "../../persistence/errors.ts";
import type { Behaviour } from "../../runtime/behaviour.ts";
import { Node } from "../../runtime/node.ts";
import type { Partition } from "../../runtime/partition.ts";
import type { LocalOutlets } from "../../runtime/partition-effects.ts";
import { MemoryLog, MemoryStorage } from "../../testing/memory-log.ts";
import { MemorySnapshots } from "../../testing/memory-snapshots.ts";
import { settled, VirtualTime } from "../../testing/virtual-time.ts";
import { counterBehaviour } from "./counter.ts";
import { collectingLogger } from "./runtime-node.ts";

export interface RunningNode {
	readonly node: Node;
	readonly log: MemoryLog;
	readonly logger: ReturnType<typeof collectingLogger>;
	/** The only partition of the actors' topic. */
	readonly partition: Partition;
	crash(): void;
}

export class MemoryStage {
	readonly time = new VirtualTime();
	readonly storage = new MemoryStorage();
	readonly #disks = new Map<string, MemorySnapshots>();
	readonly actors = { topic: "actors", partition: 0 };
	#boots = 0;

	/** Of the first node. */
	get disk(): MemorySnapshots {
		return this.diskOf("n1");
	}

	diskOf(id: string): MemorySnapshots {
		const disk = this.#disks.get(id) ?? new MemorySnapshots();
		this.#disks.set(id, disk);
		return disk;
	}

	/** Runs virtual time until the work is done. */
	async during<Value>(work: Promise<Value>): Promise<Value> {
		let done = false;
		const ended = work.finally(() => {
			done = true;
		});
		// Whoever awaits it hears of its failure.
		ended.catch(() => {});
		for (let i = 0; i < 1_000 && !done; i++) await this.time.advance(20);
		return ended;
	}

	/** One partition of each topic; `prepare` sees the log before the node does. */
	async start(
		options: {
			readonly behaviours?: readonly Behaviour[];
			readonly outlets?: Partial<LocalOutlets>;
			readonly prepare?: (log: MemoryLog) => void;
			readonly cluster?: boolean;
			readonly id?: string;
			readonly standbyReplicas?: number;
			readonly acceptLostRecords?: boolean;
			readonly onPlaceLost?: (error: MycelogError) => void;
		} = {},
	): Promise<RunningNode> {
		const { time, storage } = this;
		const { id = "n1" } = options;
		let alive = true;
		const clock = {
			now: time.now,
			after: (delayMs: number, callback: () => void) => time.after(delayMs, () => alive && callback()),
		};
		const log = new MemoryLog({ storage, clock });
		options.prepare?.(log);
		const logger = collectingLogger();
		const node = new Node({
			id,
			boot: String(++this.#boots),
			log,
			snapshots: this.diskOf(id).open(() => alive),
			behaviours: options.behaviours ?? [counterBehaviour],
			partitions: 1,
			outlets: { deliver: () => {}, signal: () => {}, ...options.outlets },
			logger,
			cluster: options.cluster ?? false,
			standbyReplicas: options.standbyReplicas ?? 0,
			acceptLostRecords: options.acceptLostRecords ?? false,
			...(options.onPlaceLost ? { onPlaceLost: options.onPlaceLost } : undefined),
			clock,
			random: () => 0.5,
		});
		await node.start();
		await settled();
		return {
			node,
			log,
			logger,
			get partition() {
				return node.partitions.find(({ id }) => id.topic === "actors") as Partition;
			},
			crash() {
				alive = false;
				log.crash();
			},
		};
	}

	/** A checkpoint of everything folded so far. */
	async checkpoint({ partition }: RunningNode): Promise<void> {
		const written = partition.checkpoint();
		await this.time.advance(0);
		await written;
	}
}
