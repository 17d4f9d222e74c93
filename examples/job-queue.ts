/**
 * A job queue: so many jobs at once, retries with growing pauses, and a dead letter for each job that fails for good,
 * which waits until somebody has repaired the cause. Nothing of it is lost when the process dies.
 * Run it with `node examples/job-queue.ts`; it makes a directory for its log and removes it.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { assign, fromPromise, setup } from "xstate";
import { SqliteLog, SqliteSnapshots } from "../persistence/index.ts";
import { createNode, defineActor, durableActions, type EventMeta } from "../runtime/index.ts";

/** Jobs of one queue that run at once. */
export const AT_ONCE = 2;

type QueueEvent = ({ type: "add"; job: string } | { type: "freed"; job: string }) & { meta: EventMeta };

/** Knows which jobs run and which wait, by address; the jobs know the rest. */
export const queue = defineActor({
	type: "queue",
	version: 1,
	machine: setup({
		types: { context: {} as { running: string[]; waiting: string[] }, events: {} as QueueEvent },
		actions: {
			...durableActions,
			run: assign({ running: ({ context, event }) => [...context.running, event.job] }),
			wait: assign({ waiting: ({ context, event }) => [...context.waiting, event.job] }),
			free: assign({ running: ({ context, event }) => context.running.filter((job) => job !== event.job) }),
			next: assign({
				running: ({ context }) => [...context.running, ...context.waiting.slice(0, 1)],
				waiting: ({ context }) => context.waiting.slice(1),
			}),
		},
		guards: {
			hasRoom: ({ context }) => context.running.length < AT_ONCE,
			// A job that was given up and repaired later is free already.
			isFree: ({ context, event }) => !context.running.includes(event.job),
			hasWaiting: ({ context }) => context.waiting.length > 0,
		},
	}).createMachine({
		context: { running: [], waiting: [] },
		on: {
			add: [
				{
					guard: "hasRoom",
					actions: [
						"run",
						{ type: "tell", params: ({ event }) => ({ to: event.job, event: { type: "start" } }) },
					],
				},
				{ actions: "wait" },
			],
			freed: [
				{ guard: "isFree" },
				{
					guard: "hasWaiting",
					actions: [
						"free",
						"next",
						{
							type: "tell",
							params: ({ context }) => ({ to: context.running.at(-1) as string, event: { type: "start" } }),
						},
					],
				},
				{ actions: "free" },
			],
		},
	}),
});

/** `run` does the work; it may run again after a crash, under the same session id. */
export function jobWith(run: (work: string) => Promise<string>) {
	const machine = setup({
		types: {
			context: {} as { queue: string; work: string; result: string },
			events: {} as ({ type: "submit"; queue: string; work: string } | { type: "start" }) & {
				meta: EventMeta;
			},
		},
		actions: {
			...durableActions,
			note: assign({
				queue: ({ context, event }) => (event.type === "submit" ? event.queue : context.queue),
				work: ({ context, event }) => (event.type === "submit" ? event.work : context.work),
			}),
		},
		actors: { run: fromPromise<string, { work: string }>(({ input }) => run(input.work)) },
	}).createMachine({
		context: { queue: "", work: "", result: "" },
		initial: "new",
		states: {
			new: {
				on: {
					submit: {
						target: "waiting",
						actions: [
							"note",
							{
								type: "tell",
								params: ({ context, event }) => ({
									to: context.queue,
									event: { type: "add", job: event.meta.address },
								}),
							},
						],
					},
				},
			},
			waiting: { on: { start: "running" } },
			running: {
				invoke: {
					src: "run",
					input: ({ context }) => ({ work: context.work }),
					onDone: {
						target: "done",
						actions: [
							assign({ result: ({ event }) => event.output }),
							{
								type: "tell",
								params: ({ context, event }) => ({
									to: context.queue,
									event: { type: "freed", job: (event as unknown as { meta: EventMeta }).meta.address },
								}),
							},
						],
					},
				},
			},
			done: {},
		},
	});
	return defineActor({
		type: "job",
		version: 1,
		machine,
		retries: { attempts: 3, backoffMs: 20 },
		onFailure: "pause",
	});
}

async function main(): Promise<void> {
	const directory = mkdtempSync(join(tmpdir(), "mycelog-jobs-"));
	const known = new Set(["ann", "ben", "cem", "dan"]);
	let running = 0;
	let most = 0;
	const job = jobWith(async (name) => {
		most = Math.max(most, ++running);
		try {
			await new Promise((resolve) => setTimeout(resolve, 5));
			if (!known.has(name)) throw new Error(`nobody is called ${name}`);
			return `letter to ${name}`;
		} finally {
			running--;
		}
	});
	const node = createNode({
		log: new SqliteLog({ directory }),
		snapshots: new SqliteSnapshots({ directory }),
		actors: [queue, job],
		partitions: 8,
	});
	await node.start();
	const names = ["ann", "eve", "ben", "cem", "dan"];
	for (const name of names) {
		await node.ref("job", name).tell({ type: "submit", queue: "queue/mail", work: name }, { id: "submit" });
	}
	const done = async (name: string) => {
		for await (const { state } of node.ref("job", name).follow()) if (state === "done") return;
	};
	for await (const { id, address, cause, attempts } of node.deadLetters({
		follow: AbortSignal.timeout(30_000),
	})) {
		console.log(`a dead letter: ${address} failed ${attempts} times: ${cause}`);
		// Its place is for others meanwhile. Told once, however often this letter is read.
		await node.ref("queue", "mail").tell({ type: "freed", job: address }, { id });
		break;
	}
	await Promise.all(names.filter((name) => known.has(name)).map(done));
	console.log("the other jobs are done");
	const eve = node.ref("job", "eve");
	console.log(`job/eve waits: ${(await eve.state()).paused?.cause}`);
	known.add("eve");
	await eve.retry();
	await done("eve");
	console.log(`repaired and tried again: ${(await eve.state()).context.result}`);
	const { context } = await node.ref("queue", "mail").state();
	console.log(
		`left in the queue: ${context.running.length + context.waiting.length}; at most ${most} ran at once`,
	);
	await node.stop();
	rmSync(directory, { recursive: true });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) await main();
