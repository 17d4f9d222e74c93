/**
 * Carries a schedule of faults out on the nodes of a round and its broker. Owns who is struck, the return of what was
 * struck, and that at the end everything runs again.
 */

import { answers, type LocalBroker } from "../kit/kafka-brokers.ts";
import type { LedgerCluster, LedgerProcess } from "../kit/ledger-cluster.ts";
import type { Fault, Timed } from "./schedule.ts";
import { pause } from "./workload.ts";

/** Nodes at once; a fault that would make more is left out, and so is one that finds nothing to strike. */
const NODES_MAX = 4;
/** Nodes that run before a fault that takes one away for good. */
const NODES_LEAST = 2;
/** Tries to start a node, which ends by itself where its broker does not answer, and the pause between, milliseconds. */
const START_TRIES_MAX = 20;
const START_AGAIN_MS = 500;
/** From the restart of a broker that was killed until it answers, milliseconds. */
const BROKER_BACK_MS_MAX = 120_000;

export class Faults {
	/** How often each kind struck. */
	readonly struck: Record<string, number> = {};
	readonly #cluster: LedgerCluster;
	readonly #broker: LocalBroker | undefined;
	#joined = 0;

	/** `broker`: undefined where the schedule leaves it alone. */
	constructor(cluster: LedgerCluster, broker: LocalBroker | undefined) {
		this.#cluster = cluster;
		this.#broker = broker;
	}

	/** Resolves when the last fault is over and what shall come back has come back. */
	async play(schedule: readonly Timed[]): Promise<void> {
		const since = Date.now();
		const under: Promise<void>[] = [];
		/** The broker suffers one thing at a time. */
		let broker = Promise.resolve();
		for (const { atMs, fault } of schedule) {
			await pause(Math.max(0, since + atMs - Date.now()));
			if (fault.kind === "broker-kill" || fault.kind === "broker-freeze") {
				broker = broker.then(() => this.#strike(fault));
				under.push(broker);
			} else under.push(this.#strike(fault));
		}
		// One that fails must not leave another half carried out: a broker that stays frozen, for example.
		const failed = (await Promise.allSettled(under)).find(({ status }) => status === "rejected");
		if (failed) throw (failed as PromiseRejectedResult).reason;
		if (this.#cluster.alive.length === 0) await this.#revive(`n${++this.#joined}`);
	}

	async #strike(fault: Fault): Promise<void> {
		const happened = await this.#carryOut(fault);
		if (happened) this.struck[fault.kind] = (this.struck[fault.kind] ?? 0) + 1;
	}

	/** False: there was nothing to strike. */
	async #carryOut(fault: Fault): Promise<boolean> {
		const cluster = this.#cluster;
		switch (fault.kind) {
			case "kill": {
				const victim = this.#victim(fault.target);
				if (!victim || (fault.backMs === undefined && cluster.running.length < NODES_LEAST)) return false;
				await victim.kill9();
				if (fault.backMs === undefined) return true;
				await pause(fault.backMs);
				await this.#revive(victim.id, fault.disk === "new" ? cluster.newDisk() : victim.disk);
				return true;
			}
			case "freeze": {
				const victim = this.#victim(fault.target);
				if (!victim) return false;
				await victim.freeze();
				await pause(fault.forMs);
				victim.thaw();
				return true;
			}
			case "stop": {
				const victim = this.#victim(fault.target);
				if (!victim) return false;
				await victim.stop();
				await pause(fault.backMs);
				await this.#revive(victim.id, victim.disk);
				return true;
			}
			case "join":
				if (cluster.alive.length >= NODES_MAX) return false;
				await this.#revive(`j${++this.#joined}`);
				return true;
			case "twin": {
				const twin = this.#victim(fault.target);
				if (!twin || cluster.alive.length >= NODES_MAX) return false;
				// Whichever of the two goes on: that one of them ends is no fault of the round.
				await cluster
					.spawn(twin.id, cluster.newDisk())
					.started()
					.catch(() => {});
				return true;
			}
			case "blackout": {
				const all = cluster.alive;
				await Promise.all(all.map((process) => process.kill9()));
				await pause(fault.backMs);
				await Promise.all(all.map(({ id, disk }) => this.#revive(id, disk)));
				return all.length > 0;
			}
			case "broker-kill":
				if (!this.#broker) return false;
				this.#broker.signal("SIGKILL");
				// On a busy machine one with many partitions reads its log for longer than a start may take.
				await this.#broker.restart().catch(() => answers(this.#broker?.brokers ?? "", BROKER_BACK_MS_MAX));
				return true;
			case "broker-freeze":
				await this.#broker?.freeze();
				await pause(fault.forMs);
				this.#broker?.signal("SIGCONT");
				return true;
		}
	}

	/** A node that has started and is not in the middle of another fault. */
	#victim(target: number): LedgerProcess | undefined {
		const able = this.#cluster.running.filter(({ name, stopping }) => name !== "" && !stopping);
		return able[Math.floor(target * able.length)];
	}

	/** As whoever keeps processes running does: again until it runs. */
	async #revive(id: string, disk = id): Promise<void> {
		for (let tries = 1; ; tries++) {
			const started = this.#cluster.spawn(id, disk).started();
			const failure = await started.then(
				() => undefined,
				(error: Error) => error,
			);
			if (!failure) return;
			if (tries === START_TRIES_MAX) throw failure;
			await pause(START_AGAIN_MS);
		}
	}
}
