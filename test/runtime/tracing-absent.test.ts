import { expect, test } from "vitest";
import { encodeBody } from "../../runtime/message.ts";
import { counterBehaviour } from "../kit/counter.ts";
import { startNode, temporaryDirectory } from "../kit/runtime-node.ts";

const OUTSIDE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

test("without an OpenTelemetry SDK a node has no tracing, adds nothing to records, and passes a trace on as it is", async () => {
	const directory = temporaryDirectory();
	const { node, log } = await startNode(directory.path, [counterBehaviour], { partitions: 1 });
	expect(node.tracing).toBeUndefined();
	const relay = (to: string) => encodeBody({ type: "relay", to, by: 1 });
	await node.submit({ to: "counter/a", kind: "command", type: "relay", body: relay("counter/b") });
	await node.submit({
		to: "counter/a",
		kind: "command",
		type: "relay",
		body: relay("counter/c"),
		trace: OUTSIDE,
	});
	const total = () => node.ask("counter/c", { type: "total" }, { kind: "query", timeoutMs: 10_000 });
	await expect.poll(total).toBe(1);
	const records = await log.read(node.mailbox("counter/a"), 0, { maxRecords: 100, waitMs: 0 });
	const traces = records
		.filter(({ headers }) => headers["~k"] === "c")
		.map(({ key, headers }) => [key, headers["~p"]]);
	expect(traces.sort()).toEqual([
		["counter/a", undefined],
		["counter/a", OUTSIDE],
		["counter/b", undefined],
		["counter/c", OUTSIDE],
	]);
	await node.stop(5_000);
	directory.remove();
});
