import { expect, test } from "vitest";
import { statusOf } from "../../runtime/node-status.ts";
import { settled } from "../../testing/virtual-time.ts";
import { MemoryStage } from "../kit/memory-node.ts";

test("a node is told by the others which partitions they own and how far they are, and goes on without one that is gone", async () => {
	const stage = new MemoryStage();
	const first = await stage.start({ cluster: true, id: "n1" });
	const second = await stage.start({ cluster: true, id: "n2" });
	for (let i = 0; i < 20; i++) await stage.time.advance(500);
	const asked = first.node.others();
	await stage.time.advance(1_000);
	const [told] = await asked;
	expect(told).toEqual(await statusOf(second.node));
	expect(told?.node).toBe("n2");
	second.crash();
	const again = first.node.others();
	await stage.time.advance(5_000);
	await settled();
	expect(await again).toEqual([]);
});
