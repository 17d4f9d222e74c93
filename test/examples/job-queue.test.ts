/** The job queue example: it runs by one command, and no fault loses a job. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { AT_ONCE, jobWith, queue } from "../../examples/job-queue.ts";
import { simulate } from "../../testing/simulate.ts";

const SEEDS = 5;

test("node examples/job-queue.ts shows a dead letter, the other jobs done, and a repair", () => {
	const file = fileURLToPath(new URL("../../examples/job-queue.ts", import.meta.url));
	const { stdout, stderr, status } = spawnSync(process.execPath, [file], {
		encoding: "utf8",
		timeout: 60_000,
	});
	expect(status, stderr).toBe(0);
	expect(stdout.trim().split("\n")).toEqual([
		"a dead letter: job/eve failed 3 times: Error: nobody is called eve",
		"the other jobs are done",
		"job/eve waits: Error: nobody is called eve",
		"repaired and tried again: letter to eve",
		`left in the queue: 0; at most ${AT_ONCE} ran at once`,
	]);
});

test(`seeds 1 to ${SEEDS}: every job that was submitted is done, and the queue is empty`, async () => {
	let done = 0;
	for (let seed = 1; seed <= SEEDS; seed++) {
		let jobs = 0;
		await simulate({
			actors: [queue, jobWith(async (work) => `${work}!`)],
			seed,
			workload({ tell }) {
				const id = `j${jobs++}`;
				tell("job", id, { type: "submit", queue: "queue/q", work: id });
			},
			*check({ state }) {
				for (let i = 0; i < jobs; i++) {
					const { value, context } = state("job", `j${i}`);
					// One whose fate its sender never heard of may not be in the log.
					if (value === "new") continue;
					if (value !== "done" || context.result !== `j${i}!`)
						yield `j${i} is ${value}, with "${context.result}"`;
					done++;
				}
				const { running, waiting } = state("queue", "q").context;
				if (running.length + waiting.length > 0) yield `${running} run and ${waiting} wait in the end`;
			},
		});
	}
	expect(done).toBeGreaterThan(0);
}, 120_000);
