import { expect, test } from "vitest";
import { STALLED_AFTER_MS } from "../../runtime/progress.ts";
import { StallWatch, stalledOn } from "../../runtime/stall-watch.ts";
import type { MemoryLog } from "../../testing/memory-log.ts";
import { counterBehaviour } from "../kit/counter.ts";
import { MemoryStage } from "../kit/memory-node.ts";

test("a partition that does not get on with what other nodes wrote is stalled as well, until it goes on", async () => {
	const stage = new MemoryStage();
	const { node, log, partition, logger } = await stage.start();
	const watch = new StallWatch(node, logger);
	const { promise: free, resolve: letGo } = Promise.withResolvers<void>();
	const records = node.records.bind(node);
	node.records = (id, batch) => free.then(() => records(id, batch));
	// Nothing that this node sent: it only knows that the log reaches further.
	const end = partition.next + 1;
	Object.assign(log, { end: () => end });
	await watch.look();
	await stage.time.advance(STALLED_AFTER_MS);
	expect(node.stalls).toContainEqual({
		name: "actors/0",
		offset: partition.next,
		since: expect.any(Number),
		waitsFor: undefined,
	});
	expect(node.ready).toBe(false);
	await watch.look();
	await watch.look();
	const told = logger.lines.filter(
		({ fields }) => (fields as { partition?: string }).partition === "actors/0",
	);
	expect(told.map(({ message }) => message)).toEqual(["a partition stands still on a record"]);
	letGo();
	await node.tell("counter/a", { type: "add", by: 1 });
	await stage.time.advance(0);
	await watch.look();
	expect(logger.lines.at(-1)).toMatchObject({
		level: "info",
		message: "a partition that stood still goes on",
	});
});

test("a log that does not answer is told of without its record", async () => {
	const read = () => new Promise<never>(() => {});
	const stall = { name: "actors/3", offset: 7, since: 1 };
	expect(await stalledOn({ read }, stall)).toEqual({ offset: 7, since: 1 });
});

test("a partition that waits for an actor whose history cannot be read says for what, and how often it was tried", async () => {
	const stage = new MemoryStage();
	const first = await stage.start();
	await first.node.tell("counter/a", { type: "add", by: 1 });
	await stage.checkpoint(first);
	first.crash();
	const version = counterBehaviour.version + 1;
	let isAway = true;
	const prepare = (log: MemoryLog) => {
		const read = log.read.bind(log);
		log.read = (...page) => (isAway ? Promise.reject(new Error("a bad sector")) : read(...page));
	};
	const { node, logger } = await stage.start({ behaviours: [{ ...counterBehaviour, version }], prepare });
	await node.tell("counter/a", { type: "add", by: 1 });
	expect(node.stalls).toEqual([]);
	for (let waited = 0; waited < STALLED_AFTER_MS; waited += 1_000) await stage.time.advance(1_000);
	const [stall] = node.stalls;
	expect(stall).toMatchObject({ name: "actors/0", waitsFor: { rebuild: { attempts: 11 } } });
	await new StallWatch(node, logger).look();
	expect(logger.lines.at(-1)).toMatchObject({
		level: "warn",
		fields: { waitsFor: { rebuild: { attempts: 11 } } },
	});
	isAway = false;
	await stage.time.advance(1_000);
	expect(node.stalls).toEqual([]);
	expect(await node.actor("counter/a")).toMatchObject({ state: { context: { total: 2 } } });
});
