/**
 * What the outside asks of the simulated nodes: notes, asks that are tried again, timers, frames, failures.
 * Owns the record of what was accepted, which simulation-checks.ts holds against the actors' states.
 */
import { type Draft, type Event, encodeBody } from "../../runtime/message.ts";
import type { Node } from "../../runtime/node.ts";
import { promote } from "../../runtime/promote.ts";
import { REBUILD } from "../../runtime/recovery-records.ts";
import type { SimulatedProcess } from "../../testing/simulated-process.ts";
import type { Simulation, SimulationWork } from "../../testing/simulation.ts";

const OPERATIONS = [40, 220] as const;
/** Milliseconds. */
const TIMER_MS = [0, 30_000] as const;
const PATIENCE_MS = [200, 8_000] as const;
const RETRY_MS = [10, 800] as const;
const CELLS = 14;
const LEAVES = 8;
const CLIENTS = 4;
const HOPS_MAX = 5;

/** Who rebuilds and restores, and why. */
const OPERATOR = { by: "simulation", why: "to see that nothing changes" };

export interface SentNote {
	readonly to: string;
	readonly from: string;
	readonly n: number;
}

export class SimulatedWork implements SimulationWork {
	readonly cells = Array.from({ length: CELLS }, (_, i) => `cell/${i}`);
	readonly leaves = Array.from({ length: LEAVES }, (_, i) => `leaf/${i}`);
	readonly notes: SentNote[] = [];
	readonly answered: { readonly to: string; readonly id: string }[] = [];
	readonly armed: { readonly to: string; readonly id: string }[] = [];
	/** Frames without an expiry that were accepted. */
	readonly frames: { readonly to: string; readonly id: string }[] = [];
	operations = 0;
	underWay = 0;
	readonly #simulation: Simulation<SimulatedWork>;
	readonly #counters = new Map<string, number>();

	constructor(simulation: Simulation<SimulatedWork>) {
		this.#simulation = simulation;
	}

	get addresses(): readonly string[] {
		return [...this.cells, ...this.leaves];
	}

	begin(end: number): void {
		const { random, time } = this.#simulation;
		const count = random.between(...OPERATIONS);
		const now = time.now();
		const bursts = random.chance(0.5);
		for (let i = 0; i < count; i++) {
			const at = random.between(0, end - now);
			time.after(bursts ? at - (at % 1_500) : at, () => this.#operation());
		}
	}

	#operation(): void {
		const { random, live } = this.#simulation;
		const process = random.pick(live);
		if (!process) return;
		this.operations++;
		const what = random.between(0, 99);
		if (what < 45) this.#note(process);
		else if (what < 55) this.#once();
		else if (what < 65) this.#arm(process);
		else if (what < 69) this.#submit(process, random.pick(this.addresses), this.#disarm());
		else if (what < 74) this.#subscribe(process);
		else if (what < 84) this.#frame(process, random.pick(this.cells), "broadcast");
		else if (what < 91) this.#frame(process, random.pick(this.leaves), "frame");
		else if (what < 95) this.#attach(process);
		else if (what < 96) this.#submit(process, random.pick(this.addresses), { type: "fail" });
		else if (what < 97) this.#submit(process, random.pick(this.addresses), { type: REBUILD, ...OPERATOR });
		else if (what < 98) this.#restore(process);
		else this.#query(process);
	}

	/** To the state that its history gives: whatever comes in between must be kept, or the restore be refused. */
	#restore(process: SimulatedProcess): void {
		const address = this.#simulation.random.pick(this.addresses);
		const { log, node } = process;
		const { partitions } = this.#simulation;
		const parts = {
			log,
			partitions,
			behaviours: node.behaviours,
			append: (draft: Draft) => node.submit(draft),
		};
		const options = { ...OPERATOR, base: -1, acceptNewer: true };
		this.#track(process, promote(parts, address, { edits: [] }, options));
	}

	#note(process: SimulatedProcess): void {
		const { random } = this.#simulation;
		const from = `x${random.between(1, CLIENTS)}@${process.name}`;
		const to = random.pick(this.addresses);
		const n = this.#next(`${from} ${to}`);
		const path = Array.from({ length: random.between(0, HOPS_MAX) }, () => random.pick(this.addresses));
		this.#submit(process, to, { type: "note", from, n, path }, () => this.notes.push({ to, from, n }));
	}

	/** As a careful caller does: again, on whichever node there is, until an answer came. */
	#once(): void {
		const { random } = this.#simulation;
		const to = random.pick(this.addresses);
		const id = `once-${this.#next("once")}`;
		this.underWay++;
		const attempt = (): void => {
			const process = random.pick(this.#simulation.live);
			if (!process) {
				this.#later(attempt);
				return;
			}
			const timeoutMs = random.between(...PATIENCE_MS);
			const asked = process.node.ask(to, { type: "once", id }, { kind: "command", timeoutMs });
			this.#outcome(process, asked).then((outcome) => {
				if (outcome !== "accepted") {
					this.#later(attempt);
					return;
				}
				this.underWay--;
				this.answered.push({ to, id });
			});
		};
		attempt();
	}

	#arm(process: SimulatedProcess): void {
		const { random } = this.#simulation;
		const to = random.pick(this.addresses);
		const id = `timer-${this.#next("timer")}`;
		const delayMs = random.between(...TIMER_MS);
		this.#submit(process, to, { type: "arm", id, delayMs }, () => this.armed.push({ to, id }));
	}

	#disarm(): Event {
		const last = this.#counters.get("timer") ?? 0;
		return { type: "disarm", id: `timer-${this.#simulation.random.between(1, Math.max(last, 1))}` };
	}

	#subscribe(process: SimulatedProcess): void {
		const { random } = this.#simulation;
		const who = random.pick(this.leaves);
		this.#submit(process, random.pick(this.cells), { type: "subscribe", who, on: random.chance(0.8) });
	}

	#attach(process: SimulatedProcess): void {
		const to = this.#simulation.random.pick(this.leaves);
		const connection = `${to}#${this.#next("connection")}`;
		this.#submit(process, to, { type: "attach", outlet: { node: process.name, connection } });
	}

	#frame(process: SimulatedProcess, to: string, type: string): void {
		const { random, time } = this.#simulation;
		const id = `frame-${this.#next("frame")}`;
		const expires = random.chance(0.2);
		const draft = {
			to,
			kind: "frame" as const,
			type,
			body: new Uint8Array([1, 2, 3]),
			facts: { id },
			...(expires ? { expiresAt: time.now() + random.between(10, 5_000) } : undefined),
		};
		const accepted = () => {
			if (!expires) this.frames.push({ to, id });
		};
		this.#track(process, process.node.submit(draft, random.between(...PATIENCE_MS)), accepted);
	}

	#query(process: SimulatedProcess): void {
		const { random } = this.#simulation;
		const timeoutMs = random.between(...PATIENCE_MS);
		const options = { kind: "query", timeoutMs } as const;
		this.#track(process, process.node.ask(random.pick(this.addresses), { type: "wrong" }, options));
	}

	#submit(process: SimulatedProcess, to: string, event: Event, accepted = () => {}): void {
		const draft: Parameters<Node["submit"]>[0] = {
			to,
			kind: "command",
			type: event.type,
			body: encodeBody(event),
		};
		const deadlineMs = this.#simulation.random.between(...PATIENCE_MS);
		this.#track(process, process.node.submit(draft, deadlineMs), accepted);
	}

	#track(process: SimulatedProcess, work: Promise<unknown>, accepted = () => {}): void {
		this.underWay++;
		this.#outcome(process, work).then((outcome) => {
			this.underWay--;
			if (outcome === "accepted") accepted();
		});
	}

	/** A process that dies gives no answer; its caller's connection breaks. */
	#outcome(process: SimulatedProcess, work: Promise<unknown>): Promise<"accepted" | "unknown"> {
		return new Promise((resolve) => {
			let done = false;
			const end = (outcome: "accepted" | "unknown") => {
				done = true;
				resolve(outcome);
			};
			work.then(
				() => end(process.alive ? "accepted" : "unknown"),
				() => end("unknown"),
			);
			const { time } = this.#simulation;
			const look = () => {
				if (done) return;
				if (process.alive) time.after(1_000, look);
				else resolve("unknown");
			};
			look();
		});
	}

	#later(again: () => void): void {
		const { random, time } = this.#simulation;
		time.after(random.between(...RETRY_MS), again);
	}

	#next(counter: string): number {
		const next = (this.#counters.get(counter) ?? 0) + 1;
		this.#counters.set(counter, next);
		return next;
	}
}
