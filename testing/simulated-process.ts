/**
 * One simulated node process: the production Node over the in-memory log, with a clock of its own and a network
 * that fails by the seed. Owns what dies with the process; log and snapshots are given to it.
 */
import { MycelogError } from "../persistence/errors.ts";
import type { Behaviour } from "../runtime/behaviour.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Logger } from "../runtime/logger.ts";
import type { Message } from "../runtime/message.ts";
import { Node } from "../runtime/node.ts";
import { MemoryLog, type MemoryStorage, type Network } from "./memory-log.ts";
import type { MemorySnapshots } from "./memory-snapshots.ts";
import type { Random } from "./random.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** Milliseconds that one way to the log takes, by chance up to the second figure. */
const WAY_MS = [0, 12] as const;
const SLOW_WAY_MS = [20, 900] as const;
/** A request the client gave up on may still be served this much later, milliseconds. */
const LATE_MS = [1, 6_000] as const;

/** Chances of one append. */
export interface Weather {
	/** Fails before it is written. */
	readonly refused: number;
	/** Is written, and its acknowledgement lost. */
	readonly unacknowledged: number;
	/** Is given up on, and written later, after what was tried in its place. */
	readonly late: number;
	readonly slow: number;
	/** The process dies between the write and the acknowledgement. */
	readonly crash: number;
}

export const CALM: Weather = { refused: 0, unacknowledged: 0, late: 0, slow: 0, crash: 0 };

export interface Surroundings {
	readonly time: VirtualTime;
	readonly random: Random;
	readonly storage: MemoryStorage;
	readonly behaviours: readonly Behaviour[];
	readonly partitions: number;
	readonly cluster: boolean;
	readonly weather: () => Weather;
	readonly count: (fault: string) => void;
	readonly crashed: (process: SimulatedProcess) => void;
}

/** What one connection was given, repeats by offset dropped as a session drops them. */
export interface Deliveries {
	last: number;
	readonly ids: string[];
}

export class SimulatedProcess {
	readonly hostId: string;
	readonly node: Node;
	readonly log: MemoryLog;
	readonly deliveries = new Map<string, Deliveries>();
	/** Lines logged as errors, to explain a failure. */
	readonly errors: string[] = [];
	alive = true;
	readonly #surroundings: Surroundings;

	constructor(hostId: string, boot: string, skewMs: number, disk: MemorySnapshots, around: Surroundings) {
		this.hostId = hostId;
		this.#surroundings = around;
		const { time, random, storage, behaviours, partitions, cluster } = around;
		const clock: Clock = {
			now: () => time.now() + skewMs,
			after: (delayMs, callback) => time.after(delayMs, () => this.alive && callback()),
		};
		this.log = new MemoryLog({ storage, clock });
		this.log.network = this.#network;
		this.log.readFault = this.#readFault;
		this.node = new Node({
			id: hostId,
			boot,
			log: this.log,
			snapshots: disk.open(() => this.alive),
			behaviours,
			partitions,
			outlets: { deliver: (connection, message) => this.#deliver(connection, message), signal: () => {} },
			logger: this.#logger(),
			cluster,
			clock,
			random: random.next,
		});
	}

	get name(): string {
		return this.node.name.text;
	}

	/** Everything in memory is gone; what is on its way to the log may still arrive. */
	crash(): void {
		if (!this.alive) return;
		this.alive = false;
		this.log.crash();
		this.#surroundings.count("crash");
		this.#surroundings.crashed(this);
	}

	#deliver(connection: string, message: Message): void {
		if (!this.alive) return;
		const seen = this.deliveries.get(connection) ?? { last: -1, ids: [] };
		this.deliveries.set(connection, seen);
		if (message.offset <= seen.last) return;
		seen.last = message.offset;
		seen.ids.push(message.facts?.["id"] ?? "");
	}

	readonly #network: Network = async (store) => {
		if (!this.alive) return this.#silence();
		const { time, random, weather, count } = this.#surroundings;
		const { refused, unacknowledged, late, slow, crash } = weather();
		const way = () => {
			const [least, most] = random.chance(slow) ? SLOW_WAY_MS : WAY_MS;
			return time.pause(random.between(least, most));
		};
		await way();
		if (!this.alive) {
			// Sent before the crash: arrives or not.
			if (random.chance(0.5)) store();
			return this.#silence();
		}
		if (random.chance(refused)) {
			count("refused append");
			throw new MycelogError("log.unreachable", "the simulated broker refused");
		}
		if (random.chance(late)) {
			count("late append");
			time.after(random.between(...LATE_MS), store);
			await way();
			return this.#unlessDead(() => {
				throw new MycelogError("log.append-failed", "the simulated broker did not answer in time");
			});
		}
		const base = store();
		if (random.chance(crash)) this.crash();
		const lost = random.chance(unacknowledged);
		await way();
		return this.#unlessDead(() => {
			if (!lost) return base;
			count("lost acknowledgement");
			throw new MycelogError("log.append-failed", "the simulated acknowledgement was lost");
		});
	};

	readonly #readFault = async (): Promise<void> => {
		const { time, random, weather, count } = this.#surroundings;
		const { refused, slow } = weather();
		if (random.chance(slow)) await time.pause(random.between(...SLOW_WAY_MS));
		if (!this.alive) await this.#silence();
		if (!random.chance(refused)) return;
		count("failed read");
		throw new MycelogError("log.unreachable", "the simulated broker did not answer a read");
	};

	#unlessDead(answer: () => number): number | Promise<number> {
		return this.alive ? answer() : this.#silence();
	}

	/** What a dead process hears. */
	#silence(): Promise<never> {
		return new Promise(() => {});
	}

	#logger(): Logger {
		const ignore = () => {};
		const error = (fields: Readonly<Record<string, unknown>>, message: string) => {
			const cause = fields["err"] instanceof Error ? `: ${fields["err"].message}` : "";
			this.errors.push(`${this.name}: ${message}${cause}`);
		};
		return { debug: ignore, info: ignore, warn: ignore, error };
	}
}
