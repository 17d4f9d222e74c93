/** Claims of effects: what becomes of each, and what expires, in one partition of a running node. */
import { expect, test } from "vitest";
import type { Behaviour } from "../../runtime/behaviour.ts";
import type { Effect } from "../../runtime/effect.ts";
import { encodeBody, eventOf, type Message, messageOf } from "../../runtime/message.ts";
import { settled } from "../../testing/virtual-time.ts";
import { counterBehaviour, counterMachine } from "../kit/counter.ts";
import { MemoryStage } from "../kit/memory-node.ts";
import { message } from "../kit/messages.ts";

/** Does what a test tells it. */
function puppet(effects: (message: Message) => readonly Effect[]): Behaviour {
	return {
		...counterBehaviour,
		type: "puppet",
		command: (state, message) => ({ state, effects: effects(message) }),
		pass: (_, message) => effects(message),
	};
}

async function ran(effects: (message: Message) => readonly Effect[]) {
	const stage = new MemoryStage();
	const delivered: Message[] = [];
	const signals: unknown[] = [];
	const running = await stage.start({
		behaviours: [counterBehaviour, puppet(effects)],
		outlets: {
			deliver: (_, given) => delivered.push(given),
			signal: (connection, signal) => signals.push([connection, signal]),
		},
	});
	const stored = () =>
		stage.storage.all(stage.actors).map((record) => {
			const read = messageOf(record);
			if ("unreadable" in read) throw new Error(read.unreadable);
			return read;
		});
	return { ...running, stage, delivered, signals, stored };
}

const frame = {
	to: "puppet/p",
	kind: "frame",
	type: "rpc",
	body: Uint8Array.of(1, 2, 3),
	facts: { session: "s1" },
} as const;

test("tell, post and forward become records of the actor, numbered by the record that caused them", async () => {
	const { node, stored } = await ran((cause) => [
		{ type: "tell", to: "counter/a", event: { type: "add", by: 1 } },
		{ type: "post", to: "counter/b", event: { type: "news", n: 2 }, facts: { session: "s2" } },
		{ type: "forward", to: "counter/c", message: cause },
	]);
	await node.submit({ ...frame, from: "client/w/x", replyTo: { node: "n9~1", ask: "1" }, expiresAt: 9e15 });
	await settled();
	const [cause, told, posted, forwarded] = stored() as [Message, Message, Message, Message];
	expect(stored()).toHaveLength(4);
	const origin = (minor: number) => ({ source: "actors/0", major: cause.offset, minor });
	expect(told).toMatchObject({ to: "counter/a", from: "puppet/p", kind: "command", origin: origin(0) });
	expect(eventOf(told)).toEqual({ type: "add", by: 1 });
	expect(posted).toMatchObject({
		to: "counter/b",
		kind: "frame",
		origin: origin(1),
		facts: { session: "s2" },
	});
	expect(eventOf(posted)).toEqual({ type: "news", n: 2 });
	// Body and facts of the first hop as they are; who asked for an answer there is not asked for one here.
	expect(forwarded).toMatchObject({ to: "counter/c", kind: "frame", type: "rpc", origin: origin(2) });
	expect([...forwarded.body]).toEqual([1, 2, 3]);
	expect(forwarded.facts).toMatchObject({ session: "s1", "~f": "puppet/p" });
	expect([forwarded.replyTo, forwarded.expiresAt]).toEqual([undefined, undefined]);
});

test("deliver and signal go to the connection, drop is counted by its reason", async () => {
	const outlet = { node: "n1~1", connection: "socket" };
	const { node, delivered, signals } = await ran((given) => [
		{ type: "deliver", outlet, message: given },
		{ type: "signal", outlet, signal: { type: "close" } },
		{ type: "deliver", outlet: { node: "n1~0", connection: "of an earlier process" }, message: given },
		{ type: "drop", reason: "test" },
	]);
	await node.submit(frame);
	expect(delivered.map(({ offset, body }) => [offset, [...body]])).toEqual([[0, [1, 2, 3]]]);
	expect(signals).toEqual([["socket", { type: "close" }]]);
	expect(node.metrics.drops).toEqual({ test: 1 });
});

test("queries and frames whose caller has given up are counted and not run; commands were accepted and are", async () => {
	const { node, delivered, stage, log } = await ran((given) => [
		{ type: "deliver", outlet: { node: "n1~1", connection: "socket" }, message: given },
	]);
	const { time } = stage;
	log.network = async (store) => {
		await time.pause(100);
		return store();
	};
	const expiresAt = time.now() + 50;
	const asked = node.ask("counter/a", { type: "total" }, { kind: "query", timeoutMs: 50 });
	const outcome = asked.catch((error: unknown) => error);
	await Promise.all([
		node.submit({ ...frame, expiresAt }),
		node.submit({ ...frame, expiresAt: expiresAt + 1_000 }),
		node.submit({
			to: "counter/a",
			kind: "command",
			type: "add",
			body: encodeBody({ type: "add", by: 3 }),
			expiresAt,
		}),
		time.advance(1_000),
	]);
	expect(await outcome).toMatchObject({ code: "actor.ask-timeout" });
	expect(delivered).toHaveLength(1);
	expect(node.metrics).toMatchObject({ expired: 2, query: 0, frame: 1, command: 1 });
	const again = node.ask("counter/a", { type: "total" }, { kind: "query", timeoutMs: 5_000 });
	await time.advance(1_000);
	expect(await again).toBe(3);
});

test("a machine's transition is a pure function of state and message: nothing runs, nothing is shared", () => {
	const { state } = counterBehaviour.initial("counter/a");
	const relay = message("counter/a", { type: "relay", to: "counter/b", by: 4 }, { offset: 3 });
	const before = counterBehaviour.encode(state);
	const [one, other] = [counterBehaviour.command(state, relay), counterBehaviour.command(state, relay)];
	expect(one.effects).toEqual([{ type: "tell", to: "counter/b", event: { type: "add", by: 4 } }]);
	expect(other.effects).toEqual(one.effects);
	expect(counterBehaviour.encode(state)).toBe(before);
	expect(Object.keys(counterMachine.implementations.actions)).toContain("tell");
});
