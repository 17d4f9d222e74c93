/** The event bus while mailboxes change hands and nodes are taken for gone: an exact course of events, in virtual time. */
import { beforeEach, expect, test } from "vitest";
import { EVENT_BEHAVIOURS, EventBus, EventOutlets } from "../../runtime/index.ts";
import { MemoryStage, type RunningNode } from "../kit/memory-node.ts";

const CLIENTS = { topic: "clients", partition: 0 };

interface BusNode extends RunningNode {
	readonly bus: EventBus;
}

let stage: MemoryStage;
/** Owns the mailboxes. */
let owner: BusNode;
let listener: BusNode;
let emitter: BusNode;
let heard: unknown[];

async function start(id: string): Promise<BusNode> {
	const outlets = new EventOutlets();
	const running = await stage.start({
		id,
		cluster: true,
		behaviours: EVENT_BEHAVIOURS,
		outlets: {
			deliver: (...message) => outlets.deliver(...message),
			signal: (...signal) => outlets.signal(...signal),
		},
	});
	const { node, logger } = running;
	return Object.assign(running, { bus: new EventBus({ node, outlets, logger, clock: stage.time }) });
}

/** Waits in virtual time. */
async function passing<T>(promise: Promise<T>, ms = 1_000): Promise<T> {
	promise.catch(() => {});
	await stage.time.advance(ms);
	return promise;
}

beforeEach(async () => {
	stage = new MemoryStage();
	heard = [];
	owner = await start("n1");
	listener = await start("n2");
	emitter = await start("n3");
	await passing(listener.bus.on("news", (data) => heard.push(data)));
});

const emit = (...news: string[]) => passing(Promise.all(news.map((one) => emitter.bus.emit("news", one))));

test("a new owner goes through the mailbox again: no event is lost, none handled twice", async () => {
	await emit("a", "b");
	expect(heard).toEqual(["a", "b"]);
	owner.crash();
	await emit("c");
	expect(heard).toEqual(["a", "b"]);
	await passing(stage.storage.move(stage.actors, listener.log));
	await passing(stage.storage.move(CLIENTS, listener.log));
	await emit("d");
	expect(heard).toEqual(["a", "b", "c", "d"]);
});

test("a node that was taken for gone says anew what it wants, and that it may have missed events", async () => {
	await emit("a");
	const [alive, others] = [
		["n1~1", "n2~2", "n3~3"],
		["n1~1", "n3~3"],
	];
	owner.node.members(alive, true);
	owner.node.members(others, true);
	await passing(Promise.resolve(), 100);
	owner.node.members(alive, true);
	// Its first try is answered to a node that is gone: nobody hears that.
	await passing(Promise.resolve(), 15_000);
	expect(listener.logger.lines.map(({ message }) => message)).toContain(
		"events may have been missed: this node was taken for gone",
	);
	expect(listener.bus.status.events).toEqual([{ event: "news", handlers: 1, inForce: true }]);
	await emit("b");
	expect(heard).toEqual(["a", "b"]);
});

test("what an earlier process of a node wanted ends with it", async () => {
	listener.crash();
	const again = await start("n2");
	await passing(again.bus.on("other", () => {}));
	await passing(Promise.resolve());
	const asked = { kind: "query", timeoutMs: 1_000 } as const;
	expect(await passing(owner.node.ask("event/news", { type: "event.nodes" }, asked))).toEqual([]);
	expect(await passing(owner.node.ask("interest/n2", { type: "interest.events" }, asked))).toEqual(["other"]);
	await emit("a");
	expect(heard).toEqual([]);
});

test("a subscription while the log takes nothing is refused in time, and the handler is not there", async () => {
	owner.crash();
	const refused = listener.bus.on("later", (data) => heard.push(data));
	await expect(passing(refused, 11_000)).rejects.toMatchObject({ code: "actor.ask-timeout" });
	expect(listener.bus.status.events).toContainEqual({ event: "later", handlers: 0, inForce: false });
	await passing(stage.storage.move(stage.actors, listener.log));
	await passing(stage.storage.move(CLIENTS, listener.log));
	await passing(emitter.bus.emit("later", 1));
	expect(heard).toEqual([]);
	await passing(listener.bus.on("later", (data) => heard.push(data)));
	await passing(emitter.bus.emit("later", 2));
	expect(heard).toEqual([2]);
});

test("events that are cut into parts come whole, also from two emitters at once", async () => {
	const large = ["x".repeat(1_200_000), "y".repeat(1_200_000), "short"];
	await passing(
		Promise.all([emitter.bus.emit("news", large[0] as string), owner.bus.emit("news", large[1] as string)]),
	);
	await emit("short");
	expect(heard.map((text) => `${(text as string)[0]} ${(text as string).length}`).sort()).toEqual([
		"s 5",
		"x 1200000",
		"y 1200000",
	]);
});

test("after the bus has stopped nothing is handled, and whoever waits is told", async () => {
	const waiting = listener.bus.waitFor("never", { timeoutMs: 60_000 });
	await passing(Promise.resolve());
	listener.bus.stop();
	await expect(passing(waiting)).rejects.toMatchObject({ code: "log.closed" });
	await expect(listener.bus.on("more", () => {})).rejects.toMatchObject({ code: "log.closed" });
	await emit("a");
	expect(heard).toEqual([]);
});
