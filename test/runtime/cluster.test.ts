/** Two nodes over one log: replies, deliveries and signals find their process; partitions change hands. */
import { beforeEach, expect, test } from "vitest";
import { MycelogError } from "../../persistence/errors.ts";
import type { Behaviour } from "../../runtime/behaviour.ts";
import { eventOf, type Message } from "../../runtime/message.ts";
import { NODE_TOPIC_KEEP_MS } from "../../runtime/node-topics.ts";
import { nodePartition } from "../../runtime/topics.ts";
import { settled } from "../../testing/virtual-time.ts";
import { counterBehaviour } from "../kit/counter.ts";
import { MemoryStage, type RunningNode } from "../kit/memory-node.ts";

const A = "counter/a";
const outlet = { node: "n2~2", connection: "socket" };
const command = { kind: "command", timeoutMs: 60_000 } as const;

/** Its frames go to the second node's socket, a command becomes a signal for it. */
const socketed: Behaviour = {
	...counterBehaviour,
	type: "socketed",
	command: (state, message) => ({
		state,
		effects: [{ type: "signal", outlet, signal: { type: message.type } }],
	}),
	pass: (_, message) => [{ type: "deliver", outlet, message }],
};

let stage: MemoryStage;
/** Owns the partitions. */
let first: RunningNode;
let second: RunningNode;
let came: string[];

beforeEach(async () => {
	stage = new MemoryStage();
	came = [];
	const behaviours = [counterBehaviour, socketed];
	first = await stage.start({ id: "n1", cluster: true, behaviours });
	second = await stage.start({
		id: "n2",
		cluster: true,
		behaviours,
		outlets: {
			deliver: (connection: string, { offset, body }: Message) =>
				came.push(`${connection} ${offset} ${body}`),
			signal: (connection, { type }) => {
				if (type === "break") throw new Error("broken socket");
				came.push(`${connection} ${type}`);
			},
		},
	});
});

/** Let the long polls of the node topics come round. */
function passed(ms = 1_000): Promise<void> {
	return stage.time.advance(ms);
}

function frame(n: number): Promise<number> {
	return first.node.submit({ to: "socketed/s", kind: "frame", type: "f", body: Uint8Array.of(n) });
}

test("an ask from a node that owns nothing is answered by the owner", async () => {
	const answers = [3, 4].map((by) => second.node.ask(A, { type: "add", by }, command));
	await passed();
	expect(await Promise.all(answers)).toEqual([3, 7]);
	expect(second.node.partitions).toEqual([]);
});

test("frames and signals reach a socket on another node in mailbox order, with the mailbox's offsets", async () => {
	await frame(1);
	await first.node.tell("socketed/s", { type: "hello" });
	await frame(2);
	await passed();
	expect(came).toEqual(["socket 1 1", "socket hello", "socket 3 2"]);
});

test("a broker away for minutes leaves no hole between two deliveries", async () => {
	const away = nodePartition("n2").topic;
	let failing = true;
	first.log.fault = (_, { topic }) => {
		if (failing && topic === away) throw new MycelogError("log.unreachable", "the broker is away");
	};
	await frame(1);
	await passed(120_000);
	failing = false;
	await frame(2);
	await passed(5_000);
	expect(came).toEqual(["socket 1 1", "socket 2 2"]);
});

test("a socket that does not take a signal does not hold up what comes behind it", async () => {
	await first.node.tell("socketed/s", { type: "break" });
	await frame(1);
	await passed(10);
	expect(came).toEqual(["socket 2 1"]);
	const errors = second.logger.lines.filter(({ level }) => level === "error");
	expect(errors.map(({ message }) => message)).toEqual(["record of the own node topic not taken"]);
});

test("a node topic trimmed before it was read is read on from its start, and the hole is reported", async () => {
	second.log.readFault = ({ topic }) => {
		if (topic === nodePartition("n2").topic && came.length === 0 && !trimmed) throw new Error("not now");
	};
	let trimmed = false;
	await passed(500);
	await frame(1);
	await frame(2);
	await passed(5_000);
	stage.storage.trim(nodePartition("n2"), 2);
	trimmed = true;
	await passed(5_000);
	expect(came).toEqual(["socket 2 2"]);
	expect(second.logger.lines.some(({ level, fields }) => level === "error" && fields["from"] === 1)).toBe(
		true,
	);
});

test("what is for an earlier process of a node is not given to the one that runs now", async () => {
	second.crash();
	const again = await stage.start({
		id: "n2",
		cluster: true,
		behaviours: [counterBehaviour, socketed],
		outlets: { deliver: () => came.push("wrong process") },
	});
	await frame(1);
	await passed();
	expect(came).toEqual([]);
	expect(again.node.name.text).toBe("n2~3");
});

test("a partition handed over keeps its states, and its timers ring with the new owner, once", async () => {
	await first.node.tell(A, { type: "add", by: 5 });
	await first.node.tell(A, { type: "arm", delayMs: 10_000 });
	const moved = stage.storage.move(stage.actors, second.log);
	await passed(100);
	await moved;
	expect(first.node.partitions.map(({ id }) => id.topic)).toEqual(["clients"]);
	const answer = first.node.ask(A, { type: "add", by: 1 }, command);
	await passed(20_000);
	expect(await answer).toBe(6);
	expect((await second.node.actor(A))?.state).toMatchObject({ value: "idle", context: { bells: 1 } });
	expect(await first.node.actor(A)).toBeUndefined();
});

test("a partition let go of while an output waits for the log is handed over only after it, with a checkpoint", async () => {
	let release: () => void = () => {};
	first.log.network = async (store, records) => {
		if (records.some(({ headers }) => headers["~f"])) {
			await new Promise<void>((resolve) => {
				release = resolve;
			});
		}
		return store();
	};
	await first.node.tell(A, { type: "relay", to: "counter/b", by: 2 });
	const moved = stage.storage.move(stage.actors, second.log);
	await passed(5_000);
	expect(second.node.partitions).toEqual([]);
	release();
	await passed(100);
	await moved;
	expect((await second.node.actor("counter/b"))?.state).toMatchObject({ context: { total: 2 } });
	expect(second.node.metrics.duplicates).toBe(0);
	await settled();
});

test("a partition let go of while one of its actors is rebuilt is handed over after it, with what waited for it", async () => {
	await first.node.tell(A, { type: "add", by: 1 });
	await stage.checkpoint(first);
	// Out of memory, and its snapshot damaged: the next message needs a rebuild.
	await passed(60_000);
	await first.node.tell("counter/other", { type: "add", by: 1 });
	await passed(5_000);
	stage.disk.damageRow(A);
	let readable: () => void = () => {};
	first.log.readFault = ({ topic }) =>
		topic === "actors"
			? new Promise((resolve) => {
					readable = resolve;
				})
			: undefined;
	await first.node.tell(A, { type: "add", by: 2 });
	const moved = stage.storage.move(stage.actors, second.log);
	await passed(100);
	expect(second.node.partitions).toEqual([]);
	readable();
	await passed(100);
	await moved;
	expect(first.node.metrics.snapshotsRebuilt).toBe(1);
	expect((await second.node.actor(A))?.state).toMatchObject({ context: { total: 3 } });
});

/** Hidden from the group for a while: it goes on beside its successor. */
async function usurped(): Promise<void> {
	const usurped = stage.storage.usurp(stage.actors, second.log);
	await passed(100);
	await usurped;
}

function total(node: RunningNode, address = A): Promise<unknown> {
	return node.node
		.actor(address)
		.then((actor) => (actor?.state as { context: { total: number } } | undefined)?.context.total);
}

test("scenario 19: an owner that was taken for dead folds nothing after its successor's start, and shares nothing", async () => {
	await first.node.tell(A, { type: "add", by: 5 });
	await stage.checkpoint(first);
	const shared = () => stage.storage.all({ topic: "snapshots", partition: 0 }).length;
	await usurped();
	await first.node.tell(A, { type: "add", by: 2 });
	await passed(100);
	const before = shared();
	expect(first.log.ownerErrors).toEqual([]);
	expect(await total(first)).toBe(5);
	expect(await total(second)).toBe(7);
	await stage.checkpoint(first);
	expect(shared()).toBe(before);
	await stage.checkpoint(second);
	expect(shared()).toBeGreaterThan(before);
	expect(stage.disk.open().load(A)?.state).not.toContain('"total":7');
});

test("an owner whose predecessor's start arrives late takes over once more and goes on", async () => {
	await first.node.tell(A, { type: "add", by: 5 });
	const late = { key: "", value: new Uint8Array(), headers: { "~v": "1", "~o": "n9~1" }, timestamp: 0 };
	await first.log.append(stage.actors, [late]);
	await first.node.tell(A, { type: "add", by: 2 });
	await passed(5_000);
	expect(await total(first)).toBe(7);
	expect(first.node.ready).toBe(true);
});

test("scenario 36: snapshots of a node whose disk is gone come from the others, without a fold of the history", async () => {
	for (let i = 0; i < 20; i++) await first.node.tell(A, { type: "add", by: 1 });
	await stage.checkpoint(first);
	stage.storage.compact({ topic: "snapshots", partition: 0 });
	const moved = stage.storage.move(stage.actors, second.log);
	await passed(100);
	await moved;
	const folded = second.node.metrics.command;
	expect(await total(second)).toBe(20);
	expect(folded).toBe(0);
});

test("a snapshot too large for one record is shared in parts, and an older one stays until all of them are there", async () => {
	const bulky: Behaviour = {
		...counterBehaviour,
		type: "bulky",
		initial: () => ({ state: "", effects: [] }),
		command: (_, message) => ({ state: "x".repeat((message.body[0] ?? 0) * 400_000), effects: [] }),
		encode: (state) => JSON.stringify(state),
		decode: (text) => JSON.parse(text),
	};
	const behaviours = [bulky];
	const one = await stage.start({ id: "n3", cluster: true, behaviours });
	const two = await stage.start({ id: "n4", cluster: true, behaviours });
	const give = async (to: RunningNode) => {
		const moved = stage.storage.move(stage.actors, to.log);
		await passed(100);
		await moved;
	};
	const grow = (times: number) =>
		one.node.submit({ to: "bulky/b", kind: "command", type: "grow", body: Uint8Array.of(times) });
	const size = async (node: RunningNode) => (await node.node.actor("bulky/b"))?.state as string;
	await give(one);
	await grow(3);
	await stage.checkpoint(one);
	await grow(4);
	// The last part of the second one is lost with its writer.
	let parts = 0;
	one.log.network = (store, records, { topic }) => {
		if (topic !== "snapshots") return Promise.resolve(store());
		parts += records.length;
		return new Promise(() => {});
	};
	void one.partition.checkpoint();
	await passed(100);
	expect(parts).toBeGreaterThan(0);
	one.crash();
	stage.storage.compact({ topic: "snapshots", partition: 0 });
	await give(two);
	expect((await size(two)).length).toBe(1_600_000);
	expect(two.node.metrics.command).toBe(1);
	await stage.checkpoint(two);
	await give(second);
});

test("actors that claim a node which left the cluster hear of it from whoever owns them, also those not in memory", async () => {
	const heard: unknown[] = [];
	const claiming: Behaviour = {
		...socketed,
		type: "claiming",
		command: (_, message) => {
			if (message.type === "lost") heard.push(eventOf(message));
			return { state: message.type === "lost" ? null : "n2~2", effects: [] };
		},
		initial: () => ({ state: null, effects: [] }),
		encode: (state) => JSON.stringify(state),
		decode: (text) => JSON.parse(text),
		claim: (state) => (state as string | null) ?? undefined,
		claimLostType: "lost",
	};
	stage = new MemoryStage();
	const behaviours = [counterBehaviour, claiming];
	first = await stage.start({ id: "n1", cluster: true, behaviours });
	second = await stage.start({ id: "n2", cluster: true, behaviours });
	await first.node.tell("claiming/a", { type: "claim" });
	await passed(100_000);
	await first.node.tell("claiming/b", { type: "claim" });
	await passed(5_000);
	expect(first.partition.actorsInMemory).toBe(1);
	expect(heard).toEqual([]);
	second.crash();
	stage.storage.tellMembers();
	await passed();
	expect(heard).toEqual([
		{ type: "lost", claim: "n2~2", before: expect.any(Number) },
		{ type: "lost", claim: "n2~2", before: expect.any(Number) },
	]);
});

test("a later process of the same node is told to the earlier one, which says so once and takes no part any more", async () => {
	const told: unknown[] = [];
	const one = await stage.start({ id: "n5", cluster: true, onPlaceLost: (error) => told.push(error) });
	const two = await stage.start({ id: "n5", cluster: true });
	await passed();
	expect(told).toMatchObject([{ code: "node.succeeded", details: { node: "n5", by: two.node.name.text } }]);
	expect(await one.node.expelled()).toBe(false);
	expect(await two.node.expelled()).toBe(true);
	expect(told.length).toBe(1);
});

test("a process whose node's topic was removed while it was away ends, also where another has made it anew", async () => {
	const told: unknown[] = [];
	const onPlaceLost = (error: unknown) => void told.push(error);
	const gone = await stage.start({ id: "n7", cluster: true, onPlaceLost });
	stage.storage.removeTopic("node.n7");
	expect(await gone.node.expelled()).toBe(false);
	expect(told).toMatchObject([{ code: "node.forgotten", details: { node: "n7" } }]);
	const elder = await stage.start({ id: "n8", cluster: true, onPlaceLost });
	elder.node.members([first.node.name.text, "n8~later"], false);
	expect(told[1]).toMatchObject({ code: "node.succeeded", details: { node: "n8", by: "n8~later" } });
});

test("topics of nodes that stay away are removed by the leader alone, those of nodes that are there or were there lately stay", async () => {
	stage.storage.ensure([{ name: "node.gone", partitions: 1 }]);
	stage.storage.tellMembers();
	await passed(NODE_TOPIC_KEEP_MS / 2);
	second.crash();
	stage.storage.tellMembers();
	expect(stage.storage.topics("node.").sort()).toEqual(["node.gone", "node.n1", "node.n2"]);
	await passed(NODE_TOPIC_KEEP_MS / 2 + 120_000);
	expect(stage.storage.topics("node.").sort()).toEqual(["node.n1", "node.n2"]);
	await passed(NODE_TOPIC_KEEP_MS);
	expect(stage.storage.topics("node.")).toEqual(["node.n1"]);
});

test("a warm standby has the owner's snapshots before it takes over", async () => {
	const warm = await stage.start({ id: "n6", cluster: true, standbyReplicas: 2 });
	for (let i = 0; i < 20; i++) await first.node.tell(A, { type: "add", by: 1 });
	await stage.checkpoint(first);
	await passed(2_500);
	expect(stage.diskOf("n6").open().load(A)?.state).toContain('"total":20');
	expect(stage.diskOf("n2").open().load(A)).toBeUndefined();
	first.crash();
	const moved = stage.storage.move(stage.actors, warm.log);
	await passed(100);
	await moved;
	expect(await total(warm)).toBe(20);
	expect(warm.node.metrics.command).toBe(0);
	await warm.node.stop(1_000);
});

test("a node that takes over from another stays ready: clients of the dead one are about to come to it", async () => {
	await first.node.tell(A, { type: "add", by: 1 });
	expect(second.node.ready).toBe(true);
	let readable: () => void = () => {};
	const held = new Promise<void>((resolve) => {
		readable = resolve;
	});
	first.crash();
	stage.disk.lose();
	second.log.readFault = ({ topic }) => (topic === "snapshots" ? held : undefined);
	const moved = stage.storage.move(stage.actors, second.log);
	await passed(5_000);
	expect(second.node.ready).toBe(true);
	readable();
	await passed(100);
	await moved;
	expect(await total(second)).toBe(1);
});

test("a partition that is lost is let go of at once, though its checkpoint waits for the log, which then stores nothing", async () => {
	await first.node.tell(A, { type: "add", by: 1 });
	let answer: () => void = () => {};
	first.log.network = async (store, _, { topic }) => {
		if (topic === "snapshots") {
			await new Promise<void>((resolve) => {
				answer = resolve;
			});
		}
		return store();
	};
	void first.partition.checkpoint();
	await passed(10);
	await first.log.letGo(stage.actors, "lost");
	answer();
	await passed(100);
	expect(stage.disk.open().load(A)).toBeUndefined();
});
