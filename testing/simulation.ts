/**
 * The simulation: nodes, their disks and one log in virtual time, with faults and work drawn from a seed.
 * Owns the course of a run; the work itself and what must hold afterwards are given to it.
 */
import type { PartitionId } from "../persistence/log.ts";
import { SNAPSHOTS_TOPIC } from "../persistence/shared-snapshots.ts";
import type { Behaviour } from "../runtime/behaviour.ts";
import { MAILBOX_TOPICS } from "../runtime/topics.ts";
import { MemoryStorage } from "./memory-log.ts";
import { MemorySnapshots } from "./memory-snapshots.ts";
import { Random } from "./random.ts";
import { CALM, SimulatedProcess, type Weather } from "./simulated-process.ts";
import { settled, VirtualTime } from "./virtual-time.ts";

/** Virtual milliseconds. */
const WORK_MS = [5_000, 40_000] as const;
/** Long enough for idle actors to leave memory and come back. */
const LONG_WORK_MS = 120_000;
const DOWN_MS = [0, 6_000] as const;
const QUIET_AFTER_MS_MAX = 600_000;
/** Longer than any retry, checkpoint or timer. */
const QUIET_FOR_MS = 45_000;
const STOP_MS = 20_000;
/** A node that others have given up on hears of it after so long at most. */
const DEAF_MS_MAX = 8_000;

/** What became of one seed. */
export interface SimulationReport {
	/** All chance comes from it. */
	readonly seed: number;
	/** How often each fault happened. */
	readonly faults: Readonly<Record<string, number>>;
	/** Operations of the outside. */
	readonly operations: number;
	/** Records in the log at the end. */
	readonly records: number;
	/** What did not hold. */
	readonly problems: readonly string[];
}

/** What the outside asks of the nodes. */
export interface SimulationWork {
	/** Plan operations until `end`. */
	begin(end: number): void;
	/** Begun so far. */
	readonly operations: number;
	/** Operations without an outcome yet. */
	readonly underWay: number;
}

/** Of a Simulation. */
export interface SimulationOptions<Work extends SimulationWork> {
	/** All chance comes from it. */
	readonly seed: number;
	readonly behaviours: readonly Behaviour[];
	/** Whether anything goes wrong. Default: as the seed says. */
	readonly faults?: boolean;
	readonly work: (simulation: Simulation<Work>) => Work;
	/** Of a simulation that is quiet: what does not hold, in words. */
	readonly checks: (simulation: Simulation<Work>) => Promise<readonly string[]>;
}

/** One machine of the cluster: its disk, and the process that runs on it. */
export interface SimulatedHost {
	readonly id: string;
	readonly disk: MemorySnapshots;
	readonly skewMs: number;
	process: SimulatedProcess | undefined;
	/** Processes started so far. */
	boots: number;
}

/** A cluster in one process, its time and its troubles. */
export class Simulation<Work extends SimulationWork = SimulationWork> {
	/** All chance comes from it. */
	readonly seed: number;
	readonly behaviours: readonly Behaviour[];
	readonly random: Random;
	readonly time = new VirtualTime();
	readonly storage = new MemoryStorage();
	/** Of the mailbox topics. */
	readonly partitions: number;
	readonly hosts: readonly SimulatedHost[];
	readonly problems: string[] = [];
	readonly faults: Record<string, number> = {};
	readonly work: Work;
	readonly #checks: SimulationOptions<Work>["checks"];
	/** Of all processes that ever ran. */
	readonly processes: SimulatedProcess[] = [];
	readonly #faults: boolean;
	#weather: Weather = CALM;
	#stormy = true;

	constructor({ seed, behaviours, faults = true, work, checks }: SimulationOptions<Work>) {
		this.#faults = faults;
		this.seed = seed;
		this.behaviours = behaviours;
		this.#checks = checks;
		const random = new Random(seed);
		this.random = random;
		this.partitions = random.between(1, 4);
		const hosts = random.chance(0.4) ? 2 : 1;
		this.hosts = Array.from({ length: hosts }, (_, i) => ({
			id: `n${i + 1}`,
			disk: new MemorySnapshots(),
			skewMs: random.between(-300, 300),
			process: undefined,
			boots: 0,
		}));
		this.work = work(this);
	}

	/** To the end of its time and until it is quiet; then the checks. Once only. */
	async run(): Promise<SimulationReport> {
		const { random, time } = this;
		for (const host of this.hosts) this.#boot(host);
		await settled();
		const kind = this.#faults ? random.pick(["calm", "windy", "storm"]) : "calm";
		const strength = kind === "calm" ? 0 : kind === "windy" ? 0.03 : 0.15;
		this.#weather = {
			refused: strength * random.next(),
			unacknowledged: strength * random.next(),
			late: strength * random.next(),
			slow: 0.02 + strength * random.next(),
			crash: this.#faults && random.chance(0.3) ? 0.004 : 0,
		};
		for (const host of this.hosts) {
			host.disk.fault = () => {
				if (!this.#stormy || !random.chance(strength)) return;
				this.count("failed checkpoint");
				throw new Error("the simulated disk is full");
			};
		}
		const end = time.now() + (random.chance(0.1) ? LONG_WORK_MS : random.between(...WORK_MS));
		this.work.begin(end);
		if (this.#faults) this.#planDisasters(end);
		while (time.now() < end && (await time.step(end))) {
			// Work and disasters plan themselves.
		}
		this.#stormy = false;
		this.#weather = CALM;
		await this.#settle();
		this.problems.push(...(await this.#checks(this)));
		const records = MAILBOX_TOPICS.flatMap((topic) => this.partitionsOf(topic)).reduce(
			(sum, id) => sum + this.storage.all(id).length,
			0,
		);
		return {
			seed: this.seed,
			faults: this.faults,
			operations: this.work.operations,
			records,
			problems: this.problems,
		};
	}

	/** Processes that run. */
	get live(): readonly SimulatedProcess[] {
		return this.hosts.flatMap(({ process }) => (process?.alive ? [process] : []));
	}

	/** All of a topic. */
	partitionsOf(topic: string): PartitionId[] {
		return Array.from({ length: this.partitions }, (_, partition) => ({ topic, partition }));
	}

	/** Note that a fault has happened. */
	count(fault: string): void {
		this.faults[fault] = (this.faults[fault] ?? 0) + 1;
	}

	#boot(host: SimulatedHost): void {
		host.boots++;
		const { time, random, storage, behaviours, partitions } = this;
		const process = new SimulatedProcess(host.id, String(host.boots), host.skewMs, host.disk, {
			time,
			random,
			storage,
			behaviours,
			partitions,
			cluster: this.hosts.length > 1,
			weather: () => this.#weather,
			count: (fault) => this.count(fault),
			crashed: (gone) => this.#afterCrash(host, gone),
		});
		host.process = process;
		this.processes.push(process);
		process.node.start().catch((error: Error) => {
			if (process.alive) this.problems.push(`${process.name} did not start: ${error.stack}`);
		});
	}

	#planDisasters(end: number): void {
		const { random, time } = this;
		const at = (count: number, disaster: () => void) => {
			for (let i = 0; i < count; i++) time.after(random.between(0, end - time.now()), disaster);
		};
		at(random.between(0, 4), () => random.pick(this.hosts).process?.crash());
		at(random.chance(0.3) ? 1 : 0, () => this.#restartGently(random.pick(this.hosts)));
		if (this.hosts.length < 2) return;
		at(random.between(0, 8), () => this.#handOver());
		at(random.between(0, 4), () => this.#usurp());
		at(random.between(0, 3), () => {
			this.count("compaction");
			for (const id of this.partitionsOf(SNAPSHOTS_TOPIC)) this.storage.compact(id);
		});
	}

	#afterCrash(host: SimulatedHost, gone: SimulatedProcess): void {
		const { random, time } = this;
		if (this.#stormy) this.#damage(host);
		time.after(random.between(...DOWN_MS), () => {
			// Undefined: it was being stopped when it crashed.
			if (host.process === gone || host.process === undefined) this.#boot(host);
		});
		if (this.hosts.length < 2 || random.chance(0.3)) return;
		// The group notices that a member is gone and gives its partitions to another.
		time.after(random.between(100, 3_000), () => {
			const heir = this.live[0];
			if (!heir) return;
			this.storage.tellMembers();
			for (const topic of MAILBOX_TOPICS) {
				for (const id of this.partitionsOf(topic)) {
					if (!this.storage.owner(id)) this.#move(id, heir);
				}
			}
		});
	}

	#damage({ disk }: SimulatedHost): void {
		const { random } = this;
		const kind = random.pick(["none", "none", "none", "lost", "older", "checkpoint", "rows"]);
		if (kind !== "none") this.count(`disk: ${kind}`);
		if (kind === "lost") disk.lose();
		if (kind === "older") disk.goBack(random.between(1, 8));
		if (kind === "checkpoint") {
			disk.damageCheckpoint({
				topic: random.pick(MAILBOX_TOPICS),
				partition: random.between(0, this.partitions - 1),
			});
		}
		if (kind === "rows") for (const address of disk.stored) if (random.chance(0.3)) disk.damageRow(address);
	}

	#restartGently(host: SimulatedHost): void {
		const { process } = host;
		if (!process?.alive) return;
		this.count("clean stop");
		host.process = undefined;
		process.node.stop(STOP_MS).then(
			() => {
				if (!process.alive) return;
				process.alive = false;
				this.#boot(host);
			},
			(error: Error) => this.problems.push(`${process.name} did not stop: ${error.stack}`),
		);
	}

	#handOver(): void {
		const to = this.random.pick(this.live);
		if (!to) return;
		this.count("hand-over");
		this.#move(this.#anyPartition(), to);
	}

	#move(id: PartitionId, to: SimulatedProcess): void {
		this.storage.move(id, to.log).catch((error: Error) => {
			if (to.alive) this.problems.push(`hand-over to ${to.name} failed: ${error.stack}`);
		});
	}

	/** A node that is thought dead goes on for a while beside its successor; mostly it hears nothing new meanwhile. */
	#usurp(): void {
		const id = this.#anyPartition();
		const from = this.storage.owner(id);
		const to = this.live.find(({ log }) => log !== from);
		if (!from || !to) return;
		this.count("two owners");
		this.storage.usurp(id, to.log).catch((error: Error) => {
			if (to.alive) this.problems.push(`${to.name} did not take over: ${error.stack}`);
		});
		from.deaf = this.random.chance(0.7);
		this.time.after(this.random.between(0, DEAF_MS_MAX), () => {
			if (from.crashed) return;
			// What it says last, it says before it hears of its successor.
			void this.storage.retire(id, from).finally(() => {
				from.deaf = false;
			});
		});
	}

	#anyPartition(): PartitionId {
		const { random } = this;
		return { topic: random.pick(MAILBOX_TOPICS), partition: random.between(0, this.partitions - 1) };
	}

	/** Until nothing moves any more: no fault happens, everything that was asked for comes to its end. */
	async #settle(): Promise<void> {
		const { time } = this;
		const latest = time.now() + QUIET_AFTER_MS_MAX;
		let quietSince: number | undefined;
		for (;;) {
			await time.advance(500);
			for (const host of this.hosts) if (!host.process && host.boots === 0) this.#boot(host);
			for (const topic of MAILBOX_TOPICS) {
				for (const id of this.partitionsOf(topic)) {
					const heir = this.live[0];
					if (!this.storage.owner(id) && heir && this.live.length === this.hosts.length) {
						this.#move(id, heir);
					}
				}
			}
			const unrest = this.#unrest();
			if (unrest) quietSince = undefined;
			else quietSince ??= time.now();
			if (quietSince !== undefined && time.now() - quietSince >= QUIET_FOR_MS) return;
			if (time.now() <= latest) continue;
			// What recurs for ever may never leave it quiet for so long at a time.
			if (!unrest) return;
			if (time.now() > latest + QUIET_FOR_MS) {
				this.problems.push(`stuck: ${unrest}`);
				return;
			}
		}
	}

	/** What still moves; undefined: nothing. */
	#unrest(): string | undefined {
		if (this.live.length < this.hosts.length) return "a node is down";
		if (this.work.underWay > 0) return `${this.work.underWay} operations without an outcome`;
		for (const process of this.live) {
			const { queuedRecords } = process.node.appender.stats;
			if (queuedRecords > 0) return `${process.name} has ${queuedRecords} records queued`;
		}
		for (const topic of MAILBOX_TOPICS) {
			for (const id of this.partitionsOf(topic)) {
				const owner = this.live.find(({ log }) => log === this.storage.owner(id));
				const partition = owner?.node.partitions.find(
					({ id: other }) => other.topic === id.topic && other.partition === id.partition,
				);
				const name = `${topic}/${id.partition}`;
				if (!partition) return `${name} has no owner`;
				if (!partition.live) return `${name} is not live`;
				const { end } = this.storage.bounds(id);
				if (partition.next !== end) return `${name} is at ${partition.next} of ${end}`;
			}
		}
		return undefined;
	}
}
