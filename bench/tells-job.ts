/**
 * Moves many turnstiles for some seconds, by one of the ways there are. Owns the load: every actor gets its next event
 * when the one before was accepted. Prints one line of JSON.
 */
import { createActor, transition } from "xstate";
import { SqliteLog } from "../persistence/log-sqlite.ts";
import { SqliteSnapshots } from "../persistence/snapshots-sqlite.ts";
import { createNode } from "../runtime/index.ts";
import { MemoryLog } from "../testing/memory-log.ts";
import { MemorySnapshots } from "../testing/memory-snapshots.ts";
import { failingLogger } from "./failing-logger.ts";
import { ROUND, turnstile, turnstileMachine } from "./turnstile.ts";

export interface TellsParameters {
	readonly way: "transition" | "xstate" | "memory" | "sqlite";
	/** Of the embedded log. */
	readonly directory?: string;
	readonly durability?: "power" | "process";
	readonly actors: number;
	readonly partitions: number;
	readonly warmSeconds: number;
	readonly seconds: number;
}

export interface TellsResult {
	readonly perSecond: number;
	/** Of this process, all its threads. */
	readonly cores: number;
}

/** Events between two looks at the time. */
const LOOK_EVERY = 3_000;

const parameters = JSON.parse(process.argv[2] as string) as TellsParameters;
const { way, actors, partitions, warmSeconds, seconds } = parameters;

/** How many events one call of `step` moves; it is called for as long as is asked. */
async function measure(step: () => number): Promise<TellsResult> {
	turn(step, warmSeconds);
	const cpu = process.cpuUsage();
	const since = performance.now();
	const moved = turn(step, seconds);
	return resultOf(moved, since, cpu);
}

function turn(step: () => number, forSeconds: number): number {
	const until = performance.now() + forSeconds * 1000;
	let moved = 0;
	while (performance.now() < until) moved += step();
	return moved;
}

function resultOf(moved: number, since: number, cpu: NodeJS.CpuUsage): TellsResult {
	const { user, system } = process.cpuUsage(cpu);
	const ms = performance.now() - since;
	return { perSecond: (moved / ms) * 1000, cores: (user + system) / 1000 / ms };
}

function bare(): Promise<TellsResult> {
	const states = Array.from({ length: actors }, () =>
		turnstileMachine.resolveState({ value: "locked", context: { passed: 0 } }),
	);
	let sent = 0;
	return measure(() => {
		for (let i = 0; i < LOOK_EVERY; i++, sent++) {
			const actor = sent % actors;
			const event = ROUND[Math.floor(sent / actors) % ROUND.length] as (typeof ROUND)[number];
			[states[actor]] = transition(
				turnstileMachine,
				states[actor] as (typeof states)[number],
				event as never,
			);
		}
		return LOOK_EVERY;
	});
}

function inProcess(): Promise<TellsResult> {
	const running = Array.from({ length: actors }, () => createActor(turnstileMachine).start());
	let sent = 0;
	return measure(() => {
		for (let i = 0; i < LOOK_EVERY; i++, sent++) {
			const event = ROUND[Math.floor(sent / actors) % ROUND.length] as (typeof ROUND)[number];
			running[sent % actors]?.send(event as never);
		}
		return LOOK_EVERY;
	});
}

async function durable(): Promise<TellsResult> {
	const { directory = "", durability = "power" } = parameters;
	const stores =
		way === "memory"
			? { log: new MemoryLog(), snapshots: new MemorySnapshots().open() }
			: { log: new SqliteLog({ directory, durability }), snapshots: new SqliteSnapshots({ directory }) };
	const node = createNode({ ...stores, actors: [turnstile()], partitions, logger: failingLogger });
	await node.start();
	let told = 0;
	let stopped = false;
	const tellers = Array.from({ length: actors }, async (_, i) => {
		const ref = node.ref("turnstile", `t${i}`);
		for (let sent = 0; !stopped; sent++) {
			await ref.tell(ROUND[sent % ROUND.length] as (typeof ROUND)[number]);
			told++;
		}
	});
	const pause = (forSeconds: number) => new Promise((resolve) => setTimeout(resolve, forSeconds * 1000));
	await pause(warmSeconds);
	const { metrics } = node.node;
	const before = metrics.command;
	const cpu = process.cpuUsage();
	const since = performance.now();
	await pause(seconds);
	const result = resultOf(metrics.command - before, since, cpu);
	stopped = true;
	await Promise.all(tellers);
	const { context } = await node.ref("turnstile", "t0").state();
	if (metrics.command !== told || context.passed === 0) {
		throw new Error(`${metrics.command} of ${told} messages were processed, ${context.passed} have passed`);
	}
	await node.stop();
	return result;
}

const result = await (way === "transition" ? bare() : way === "xstate" ? inProcess() : durable());
process.stdout.write(`${JSON.stringify(result)}\n`);
process.exit(0);
