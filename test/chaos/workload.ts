/**
 * The clients of a round: each sends commands through one node, with many under way, and goes to another node when its
 * own does not answer. Owns the record of what was sent and what they were told.
 */
import type { Address } from "../../runtime/address.ts";
import type { Random } from "../../testing/random.ts";
import type { Entry, OnceEntry, Receipt } from "../kit/ledger.ts";
import type { LedgerCluster, LedgerProcess } from "../kit/ledger-cluster.ts";
import type { LedgerRequest } from "../kit/ledger-protocol.ts";
import type { ClientCall } from "./history.ts";

export const LEDGERS: readonly Address[] = [
	...Array.from({ length: 8 }, (_, i) => `ledger/${i}`),
	...Array.from({ length: 4 }, (_, i) => `slip/${i}`),
];

/** Commands of one client between two pauses, and the pause in milliseconds. */
const BURST = [1, 12] as const;
const PAUSE_MS = [5, 60] as const;
/** Commands of one client under way; past it the client waits. */
const UNDER_WAY_MAX = 200;
/** How long a node tries, and how long its client waits before it goes elsewhere, milliseconds. */
const NODE_TRIES_MS = 4_000;
const PATIENCE_MS = 2_000;
/** Between two tries of a careful caller, and how long it goes on after the faults, milliseconds. */
const RETRY_MS = [20, 400] as const;
const GIVES_UP_MS = 60_000;
const AMOUNT = [1, 1_000] as const;
const HOPS_MAX = 3;
const BELL_MS = [0, 4_000] as const;

export class Workload {
	readonly calls: ClientCall[] = [];
	/** Careful callers that never had an answer. */
	readonly unanswered: string[] = [];
	readonly #cluster: LedgerCluster;
	readonly #random: Random;
	readonly #underWay = new Set<Promise<unknown>>();
	readonly #clients: Promise<void>[] = [];
	#stopped = false;
	#stoppedAt = Number.POSITIVE_INFINITY;

	constructor(cluster: LedgerCluster, random: Random) {
		this.#cluster = cluster;
		this.#random = random;
	}

	begin(clients: number): void {
		for (let i = 0; i < clients; i++) this.#clients.push(this.#client(`c${i}`));
	}

	/** No more commands; resolves when every answer that can come has come. */
	async end(): Promise<void> {
		this.#stopped = true;
		this.#stoppedAt = Date.now();
		await Promise.all(this.#clients);
		await Promise.all(this.#underWay);
	}

	async #client(name: string): Promise<void> {
		const random = this.#random;
		for (let session = 0; !this.#stopped; session++) {
			const process = random.pick(this.#cluster.alive);
			if (!process?.name) await pause(random.between(...PAUSE_MS));
			else await this.#attached(`${name}.${session}@${process.name}`, process);
		}
	}

	/** Until the node dies, does not answer, or the client feels like moving. */
	async #attached(sender: string, process: LedgerProcess): Promise<void> {
		const random = this.#random;
		const numbers = new Map<Address, number>();
		let silent = false;
		while (!this.#stopped && process.alive && !silent && !random.chance(0.003)) {
			const count = this.#underWay.size < UNDER_WAY_MAX ? random.between(...BURST) : 0;
			for (let i = 0; i < count; i++) {
				if (random.chance(0.15)) this.#track(this.#careful(`${sender}#o${this.calls.length}`));
				else {
					const sent = this.#entry(sender, process, numbers);
					this.#track(sent);
					const heard = sent.then(() => true);
					void within(PATIENCE_MS, heard).then((inTime) => {
						if (!inTime) silent = true;
					});
				}
			}
			await pause(random.between(...PAUSE_MS));
		}
	}

	async #entry(sender: string, process: LedgerProcess, numbers: Map<Address, number>): Promise<void> {
		const random = this.#random;
		const to = random.pick(LEDGERS);
		const n = (numbers.get(to) ?? 0) + 1;
		numbers.set(to, n);
		const id = `${sender}#${this.calls.length}`;
		const event: Entry = {
			type: "entry",
			id,
			sender,
			n,
			amount: random.between(...AMOUNT),
			onward: this.#way(to),
			...(random.chance(0.05) ? { bellMs: random.between(...BELL_MS) } : undefined),
		};
		const call: ClientCall = { id, to, kind: "entry", outcome: "unknown" };
		this.calls.push(call);
		const op = random.chance(0.3) ? "tell" : "ask";
		const answer = await process.call({ op, to, event, timeoutMs: NODE_TRIES_MS });
		if (!answer.ok) return;
		if (op === "tell") Object.assign(call, { outcome: "accepted", offset: answer.value });
		else Object.assign(call, { outcome: "answered", receipt: answer.value as Receipt });
	}

	/** Sends again, on whichever node there is, until it has an answer. */
	async #careful(id: string): Promise<void> {
		const random = this.#random;
		const to = random.pick(LEDGERS);
		const event: OnceEntry = { type: "once", id, amount: random.between(...AMOUNT) };
		const call: ClientCall = { id, to, kind: "once", outcome: "unknown" };
		this.calls.push(call);
		const request: LedgerRequest = { op: "ask", to, event, timeoutMs: NODE_TRIES_MS };
		while (Date.now() - this.#stoppedAt < GIVES_UP_MS) {
			const process = random.pick(this.#cluster.alive);
			const answer = process && (await within(PATIENCE_MS, process.call(request)));
			if (answer?.ok) {
				Object.assign(call, { outcome: "answered", receipt: answer.value as Receipt });
				return;
			}
			await pause(random.between(...RETRY_MS));
		}
		this.unanswered.push(`${id} to ${to}`);
	}

	/** Ledgers, none twice. */
	#way(from: Address): Address[] {
		const random = this.#random;
		const way: Address[] = [];
		for (let hops = random.chance(0.4) ? random.between(1, HOPS_MAX) : 0; hops > 0; hops--) {
			const next = random.pick(LEDGERS);
			if (next !== from && !way.includes(next)) way.push(next);
		}
		return way;
	}

	#track(work: Promise<unknown>): void {
		this.#underWay.add(work);
		void work.finally(() => this.#underWay.delete(work));
	}
}

export function pause(ms: number): Promise<void> {
	return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Undefined: not by then. */
async function within<Result>(ms: number, work: Promise<Result>): Promise<Result | undefined> {
	let timer: NodeJS.Timeout | undefined;
	const late = new Promise<undefined>((resolve) => {
		timer = setTimeout(() => resolve(undefined), ms);
	});
	const first = await Promise.race([work, late]);
	clearTimeout(timer);
	return first;
}
