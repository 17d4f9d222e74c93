/**
 * What tracing costs: processor time a message told and handled, on the in-memory log, without an SDK, with one that
 * samples nothing, and with one that records all. Run this file; each way runs in a process of its own, in turn.
 */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { createNode } from "../runtime/index.ts";
import { MemoryLog } from "../testing/memory-log.ts";
import { MemorySnapshots } from "../testing/memory-snapshots.ts";
import { turnstile } from "./turnstile.ts";

const WAYS = ["none", "unsampled", "recorded"] as const;
const ROUNDS = 7;
const MESSAGES = 100_000;
const WARM_MESSAGES = 50_000;
const ACTORS = 256;

async function register(way: string): Promise<void> {
	if (way === "none") return;
	const { trace } = await import("@opentelemetry/api");
	const { AlwaysOffSampler, TracerProvider } = await import("@opentelemetry/sdk-trace");
	const sampler = way === "unsampled" ? { sampler: new AlwaysOffSampler() } : undefined;
	trace.setGlobalTracerProvider(new TracerProvider({ ...sampler, spanProcessors: [] }));
}

/** Microseconds of processor time a message. */
async function measure(way: string): Promise<number> {
	await register(way);
	const gate = turnstile();
	const log = new MemoryLog();
	const node = createNode({
		log,
		snapshots: new MemorySnapshots().open(),
		actors: [gate],
		partitions: 16,
	});
	await node.start();
	const refs = Array.from({ length: ACTORS }, (_, i) => node.ref("turnstile", String(i)));
	const tell = async (messages: number) => {
		let left = messages;
		const one = async (ref: (typeof refs)[number]) => {
			while (left-- > 0) await ref.tell({ type: "push" });
		};
		await Promise.all(refs.map(one));
	};
	await tell(WARM_MESSAGES);
	const before = process.cpuUsage();
	await tell(MESSAGES);
	const { user, system } = process.cpuUsage(before);
	await node.stop();
	return (user + system) / MESSAGES;
}

const [way] = process.argv.slice(2);
if (way) console.log((await measure(way)).toFixed(3));
else {
	const results = new Map<string, number[]>(WAYS.map((name) => [name, []]));
	for (let round = 0; round < ROUNDS; round++) {
		for (const name of WAYS) {
			const out = execFileSync(process.execPath, [fileURLToPath(import.meta.url), name], {
				encoding: "utf8",
			});
			results.get(name)?.push(Number(out));
		}
	}
	for (const [name, all] of results) {
		const sorted = all.sort((a, b) => a - b);
		const [least, median, most] = [0, ROUNDS >> 1, ROUNDS - 1].map((i) => sorted[i]?.toFixed(2));
		console.log(`${name.padEnd(10)} ${median} µs of processor a message (${least} to ${most})`);
	}
}
