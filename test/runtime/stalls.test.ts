import { expect, test } from "vitest";
import { STALLED_AFTER_MS } from "../../runtime/progress.ts";
import { StallWatch, stalledOn } from "../../runtime/stall-watch.ts";
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
	expect(node.stalls).toContainEqual({ name: "actors/0", offset: partition.next, since: expect.any(Number) });
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
