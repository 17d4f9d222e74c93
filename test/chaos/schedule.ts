/**
 * Which faults strike when, from a seed alone: the same seed makes the same schedule. Owns the choice; carrying it out
 * is round.ts.
 */
import type { Random } from "../../testing/random.ts";

/** `target`: at least 0, below 1, the place among the nodes that could be struck. Times in milliseconds. */
export type Fault =
	/** kill -9, and again on the same disk or an empty one; `backMs` undefined: it never comes back. */
	| {
			readonly kind: "kill";
			readonly target: number;
			readonly backMs?: number;
			readonly disk: "same" | "new";
	  }
	/** SIGSTOP, and SIGCONT later: past the session timeout if it is long. */
	| { readonly kind: "freeze"; readonly target: number; readonly forMs: number }
	/** Hand over, end, and start again. */
	| { readonly kind: "stop"; readonly target: number; readonly backMs: number }
	/** A node that was never there. */
	| { readonly kind: "join" }
	/** A second process with the id of one that runs. */
	| { readonly kind: "twin"; readonly target: number }
	/** kill -9 of every node at once. */
	| { readonly kind: "blackout"; readonly backMs: number }
	/** kill -9 of the broker, and again at once. */
	| { readonly kind: "broker-kill" }
	| { readonly kind: "broker-freeze"; readonly forMs: number };

export interface Timed {
	/** From the beginning of the faults. */
	readonly atMs: number;
	readonly fault: Fault;
}

export interface ScheduleOptions {
	/** How long faults begin. */
	readonly forMs: number;
	/** Without, the broker is left alone. */
	readonly broker: boolean;
}

const BETWEEN_MS = [700, 3_000] as const;
const BACK_MS = [0, 3_000] as const;
/** Shorter and longer than the session timeout of 6 s. */
const FREEZE_MS = [300, 3_000] as const;
const LONG_FREEZE_MS = [6_500, 9_000] as const;
const BROKER_FREEZE_MS = [500, 4_000] as const;

export function scheduleOf(random: Random, { forMs, broker }: ScheduleOptions): Timed[] {
	const timed: Timed[] = [];
	for (let atMs = random.between(200, 1_500); atMs < forMs; atMs += random.between(...BETWEEN_MS)) {
		timed.push({ atMs, fault: faultOf(random, broker) });
	}
	return timed;
}

function faultOf(random: Random, broker: boolean): Fault {
	const target = random.next();
	const what = random.between(0, broker ? 99 : 79);
	if (what < 22) {
		const disk = random.chance(0.3) ? "new" : "same";
		const backMs = random.between(...BACK_MS);
		return random.chance(0.7) ? { kind: "kill", target, backMs, disk } : { kind: "kill", target, disk };
	}
	if (what < 42) {
		const [least, most] = random.chance(0.6) ? LONG_FREEZE_MS : FREEZE_MS;
		return { kind: "freeze", target, forMs: random.between(least, most) };
	}
	if (what < 54) return { kind: "stop", target, backMs: random.between(...BACK_MS) };
	if (what < 66) return { kind: "join" };
	if (what < 74) return { kind: "twin", target };
	if (what < 80) return { kind: "blackout", backMs: random.between(...BACK_MS) };
	if (what < 90) return { kind: "broker-kill" };
	return { kind: "broker-freeze", forMs: random.between(...BROKER_FREEZE_MS) };
}
