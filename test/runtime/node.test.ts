/** The runtime over a real embedded log: order, replies, recovery, timers, dead letters. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { encodeBody, recordOf } from "../../runtime/message.ts";
import { DEAD_LETTERS_TOPIC } from "../../runtime/topics.ts";
import { counterBehaviour } from "../kit/counter.ts";
import { startNode, temporaryDirectory } from "../kit/runtime-node.ts";

const STOP_MS = 5_000;
const command = { kind: "command", timeoutMs: 5_000 } as const;
const query = { kind: "query", timeoutMs: 5_000 } as const;

let directory: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
	directory = temporaryDirectory();
});
afterEach(() => directory.remove());

/** The first answer of `look` that is not undefined. */
async function eventually<T>(look: () => Promise<T | undefined> | T | undefined): Promise<T> {
	for (;;) {
		const found = await look();
		if (found !== undefined) return found;
		await new Promise((resolve) => setImmediate(resolve));
	}
}

describe("a node on the embedded log", () => {
	test("answers commands and queries in mailbox order", async () => {
		const { node } = await startNode(directory.path, [counterBehaviour]);
		const replies = await Promise.all(
			[1, 2, 3].map((by) => node.ask("counter/a", { type: "add", by }, command)),
		);
		expect(replies).toEqual([1, 3, 6]);
		expect(await node.ask("counter/a", { type: "total" }, query)).toBe(6);
		expect(await node.ask("counter/b", { type: "total" }, query)).toBe(0);
		await node.stop(STOP_MS);
	});

	test("folds 2,000 commands of one sender in the order they were sent", async () => {
		const { node } = await startNode(directory.path, [counterBehaviour]);
		const sent = Array.from({ length: 2_000 }, (_, i) => i);
		await Promise.all(sent.map((by) => node.tell("counter/order", { type: "add", by })));
		const actor = await eventually(async () => {
			const found = await node.actor("counter/order");
			const state = found?.state as { context: { log: number[] } } | undefined;
			return state?.context.log.length === 2_000 ? found : undefined;
		});
		expect((actor.state as { context: { log: number[] } }).context.log).toEqual(sent);
		await node.stop(STOP_MS);
	});

	test("keeps state over a clean stop, and over the loss of every snapshot", async () => {
		const first = await startNode(directory.path, [counterBehaviour]);
		for (let by = 1; by <= 10; by++) await first.node.ask("counter/a", { type: "add", by }, command);
		await first.node.stop(STOP_MS);
		const second = await startNode(directory.path, [counterBehaviour]);
		expect(await second.node.ask("counter/a", { type: "total" }, query)).toBe(55);
		await second.node.stop(STOP_MS);
		for (const suffix of ["", "-wal", "-shm"]) {
			rmSync(join(directory.path, `snapshots.db${suffix}`), { force: true });
		}
		const third = await startNode(directory.path, [counterBehaviour]);
		expect(await third.node.ask("counter/a", { type: "total" }, query)).toBe(55);
		expect(third.node.metrics.command).toBe(10);
		await third.node.stop(STOP_MS);
	});

	test("outputs made again by a re-fold have one effect", async () => {
		const first = await startNode(directory.path, [counterBehaviour]);
		for (let i = 0; i < 50; i++)
			await first.node.tell("counter/source", { type: "relay", to: "counter/sink", by: 1 });
		await eventually(async () =>
			(await first.node.ask("counter/sink", { type: "total" }, query)) === 50 ? true : undefined,
		);
		await first.node.stop(STOP_MS);
		// Without checkpoints the next node folds the source again and sends all 50 once more.
		for (const suffix of ["", "-wal", "-shm"]) {
			rmSync(join(directory.path, `snapshots.db${suffix}`), { force: true });
		}
		const second = await startNode(directory.path, [counterBehaviour]);
		await eventually(() => (second.node.metrics.duplicates === 50 ? true : undefined));
		expect(second.node.metrics.outputs).toBe(50);
		expect(await second.node.ask("counter/sink", { type: "total" }, query)).toBe(50);
		await second.node.stop(STOP_MS);
	});

	test("a record appended twice by a retry has one effect", async () => {
		const { node } = await startNode(directory.path, [counterBehaviour]);
		const draft = {
			to: "counter/a",
			kind: "command",
			type: "add",
			body: encodeBody({ type: "add", by: 7 }),
		} as const;
		const record = recordOf(draft, { source: "elsewhere~1", major: 1, minor: 0 }, Date.now());
		for (let i = 0; i < 2; i++) await node.appender.append(node.mailbox("counter/a"), record, {});
		expect(await node.ask("counter/a", { type: "total" }, query)).toBe(7);
		expect(node.metrics.duplicates).toBe(1);
		await node.stop(STOP_MS);
	});

	test("a deadline that passed while the node was down fires once after its start", async () => {
		let now = 1_000_000;
		const clock = {
			now: () => now,
			after(delayMs: number, callback: () => void) {
				const timer = setTimeout(callback, Math.min(delayMs, 20));
				return () => clearTimeout(timer);
			},
		};
		const first = await startNode(directory.path, [counterBehaviour], { clock });
		await first.node.ask("counter/a", { type: "add", by: 1 }, command);
		await first.node.tell("counter/a", { type: "arm", delayMs: 60_000 });
		await eventually(async () => ((await first.node.actor("counter/a"))?.nextTimerAt ? true : undefined));
		await first.node.stop(STOP_MS);
		now += 3_600_000;
		const second = await startNode(directory.path, [counterBehaviour], { clock });
		const state = await eventually(async () => {
			const actor = await second.node.actor("counter/a");
			const state = actor?.state as { value: string; context: { bells: number } } | undefined;
			return state?.value === "idle" ? state.context : undefined;
		});
		expect(state.bells).toBe(1);
		expect(second.node.metrics.timer).toBe(1);
		await second.node.stop(STOP_MS);
	});

	test("a cancelled deadline does not fire", async () => {
		const { node } = await startNode(directory.path, [counterBehaviour]);
		await node.tell("counter/a", { type: "arm", delayMs: 60 });
		await node.tell("counter/a", { type: "disarm" });
		// A later deadline of another actor proves that the first one's time has passed.
		await node.tell("counter/b", { type: "arm", delayMs: 120 });
		await eventually(async () => {
			const other = (await node.actor("counter/b"))?.state as { context: { bells: number } };
			return other.context.bells === 1 ? true : undefined;
		});
		const state = (await node.actor("counter/a"))?.state as { value: string; context: { bells: number } };
		expect(state).toMatchObject({ value: "idle", context: { bells: 0 } });
		await node.stop(STOP_MS);
	});

	test("a throwing transition is parked with its cause, the asker told, and the mailbox goes on", async () => {
		const { node, log } = await startNode(directory.path, [counterBehaviour]);
		await node.ask("counter/a", { type: "add", by: 1 }, command);
		await expect(node.ask("counter/a", { type: "fail" }, command)).rejects.toThrow("cannot fail gracefully");
		expect(await node.ask("counter/a", { type: "add", by: 1 }, command)).toBe(2);
		const { partition } = node.mailbox("counter/a");
		const [parked] = await log.read({ topic: DEAD_LETTERS_TOPIC, partition }, 0, {
			maxRecords: 10,
			waitMs: 1000,
		});
		const letter = JSON.parse(Buffer.from(parked?.value ?? []).toString());
		expect(letter).toMatchObject({
			address: "counter/a",
			type: "fail",
			topic: "actors",
			partition,
			attempts: 2,
		});
		expect(letter.cause).toContain("cannot fail gracefully");
		await node.stop(STOP_MS);
	});

	test("a message of an unknown envelope version is parked, not dropped", async () => {
		const { node, log } = await startNode(directory.path, [counterBehaviour]);
		const id = node.mailbox("counter/a");
		const headers = { "~v": "99", "~k": "c", "~t": "add" };
		const record = { key: "counter/a", value: new Uint8Array(), headers, timestamp: Date.now() };
		await node.appender.append(id, record, {});
		const letters = { topic: DEAD_LETTERS_TOPIC, partition: id.partition };
		const [parked] = await log.read(letters, 0, { maxRecords: 1, waitMs: 2000 });
		expect(JSON.parse(Buffer.from(parked?.value ?? []).toString()).cause).toContain("envelope version 99");
		await node.stop(STOP_MS);
	});

	test("a message to an unknown actor type is refused with the known types", async () => {
		const { node } = await startNode(directory.path, [counterBehaviour]);
		await expect(node.tell("nobody/a", { type: "add", by: 1 })).rejects.toThrow("known types: counter");
		await node.stop(STOP_MS);
	});

	test("a damaged snapshot is reported and rebuilt from the log when the actor is needed", async () => {
		const first = await startNode(directory.path, [counterBehaviour]);
		for (let by = 1; by <= 4; by++) await first.node.ask("counter/a", { type: "add", by }, command);
		await first.node.stop(STOP_MS);
		const { default: Database } = await import("better-sqlite3");
		const file = new Database(join(directory.path, "snapshots.db"));
		file.prepare("UPDATE snapshots SET state = replace(state, '10', '99')").run();
		file.close();
		const second = await startNode(directory.path, [counterBehaviour]);
		expect(await second.node.ask("counter/a", { type: "total" }, query)).toBe(10);
		expect(second.node.metrics.snapshotsRebuilt).toBe(1);
		expect(second.logger.lines.map((line) => line.message)).toContain(
			"snapshot damaged: rebuilding the actor from the log",
		);
		await second.node.stop(STOP_MS);
	});
});
