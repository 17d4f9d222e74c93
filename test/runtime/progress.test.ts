/** Claims of health by progress: a partition that stands still with records to fold makes the node not ready. */
import { expect, onTestFinished, test, vi } from "vitest";
import { systemClock } from "../../runtime/clock.ts";
import { Progress, STALLED_AFTER_MS } from "../../runtime/progress.ts";
import { counterBehaviour } from "../kit/counter.ts";
import { startNode, temporaryDirectory } from "../kit/runtime-node.ts";

test("a partition that has stood still for the whole time, with records to fold, is stalled", () => {
	const progress = new Progress();
	const at = (next: number, end: number, now: number) =>
		progress.stalls([{ name: "p", next, end }], now).map(({ name }) => name);
	expect(at(5, 9, 0)).toEqual([]);
	expect(at(5, 9, STALLED_AFTER_MS - 1)).toEqual([]);
	expect(at(5, 9, STALLED_AFTER_MS)).toEqual(["p"]);
});

test("a partition that moves, or has nothing to fold, is not, however long ago it was looked at", () => {
	const progress = new Progress();
	const at = (next: number, end: number, now: number) =>
		progress.stalls([{ name: "p", next, end }], now).map(({ name }) => name);
	for (let i = 0; i < 5; i++) expect(at(i, 9, i * STALLED_AFTER_MS)).toEqual([]);
	expect(at(9, 9, 6 * STALLED_AFTER_MS)).toEqual([]);
	// Records that came after a long quiet time are new.
	expect(at(9, 12, 20 * STALLED_AFTER_MS)).toEqual([]);
	expect(at(9, 12, 21 * STALLED_AFTER_MS)).toEqual(["p"]);
});

test("a node whose partition stops handling records is not ready after a while, and says which", async () => {
	const directory = temporaryDirectory();
	onTestFinished(() => directory.remove());
	let now = 1_000_000;
	const clock = { ...systemClock, now: () => now };
	const { node } = await startNode(directory.path, [counterBehaviour], { clock });
	// The partition never lets go.
	onTestFinished(() => node.stop(100));
	await node.ask("counter/a", { type: "add", by: 1 }, { kind: "command", timeoutMs: 5_000 });
	now += 2 * STALLED_AFTER_MS;
	expect(node.ready).toBe(true);
	const { promise: reached, resolve } = Promise.withResolvers<void>();
	vi.spyOn(node, "records").mockImplementation(() => {
		resolve();
		return new Promise(() => {});
	});
	await node.tell("counter/a", { type: "add", by: 1 });
	await reached;
	expect(node.ready).toBe(true);
	now += STALLED_AFTER_MS;
	const { topic, partition } = node.mailbox("counter/a");
	expect(node.stalled).toEqual([`${topic}/${partition}`]);
	expect(node.ready).toBe(false);
});
