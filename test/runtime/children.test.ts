/** Claims of machines inside one actor: events among them, ids, ends, delays, and the same after a restart. */
import { expect, test } from "vitest";
import {
	assign,
	emit,
	enqueueActions,
	raise,
	sendParent,
	sendTo,
	setup,
	spawnChild,
	stopChild,
} from "xstate";
import { Actor } from "../../runtime/actor.ts";
import { defineActor } from "../../runtime/define-actor.ts";
import { durableActions } from "../../runtime/durable-actions.ts";
import type { DurableState } from "../../runtime/durable-state.ts";
import { INNER_EVENTS_MAX } from "../../runtime/machine-tree.ts";
import type { Event } from "../../runtime/message.ts";
import { message } from "../kit/messages.ts";

const player = setup({
	types: { input: {} as { hits: number }, context: {} as { left: number }, output: {} as string },
	actions: durableActions,
}).createMachine({
	id: "player",
	context: ({ input }) => ({ left: input.hits }),
	initial: "playing",
	output: ({ context }) => `left ${context.left}`,
	states: {
		playing: {
			on: {
				ball: [
					{
						guard: ({ context }) => context.left > 0,
						actions: [assign({ left: ({ context }) => context.left - 1 }), sendParent({ type: "back" })],
					},
					{ target: "out" },
				],
				rest: { target: "resting" },
			},
		},
		resting: { after: { 1000: { target: "playing", actions: sendParent({ type: "rested" }) } } },
		out: { type: "final" },
	},
});

const game = setup({
	types: {
		context: {} as { backs: number; rested: number; result: string },
		events: {} as { type: "serve" | "back" | "rest" | "rested" | "end" | "spawn" | "stop" },
	},
	actors: { player },
	actions: durableActions,
}).createMachine({
	id: "game",
	context: { backs: 0, rested: 0, result: "" },
	initial: "on",
	on: {
		spawn: { actions: spawnChild("player", { id: "second", input: { hits: 9 } }) },
		stop: { actions: stopChild("second") },
	},
	states: {
		on: {
			invoke: {
				id: "first",
				src: "player",
				input: { hits: 2 },
				onDone: { target: "over", actions: assign({ result: ({ event }) => event.output }) },
			},
			on: {
				serve: { actions: sendTo("first", { type: "ball" }) },
				rest: { actions: sendTo("first", { type: "rest" }) },
				back: { actions: assign({ backs: ({ context }) => context.backs + 1 }) },
				rested: { actions: assign({ rested: ({ context }) => context.rested + 1 }) },
				end: "over",
			},
		},
		over: {},
	},
});

const definition = defineActor({ type: "game", version: 1, machine: game });

function tell(actor: Actor, event: Event, timestamp = 1_000) {
	return actor.receive(message(actor.address, event, { timestamp, offset: actor.offset + 1 }));
}

function fire(actor: Actor) {
	const [timer] = [...actor.timers].filter(({ work }) => !work);
	if (!timer) throw new Error("no timer");
	const { type, ...fields } = JSON.parse(timer.event) as Event;
	const facts = { timer: timer.id, at: String(timer.at) };
	const options = { kind: "timer", timestamp: timer.at, offset: actor.offset + 1, facts } as const;
	return actor.receive(message(actor.address, { type, ...fields }, options));
}

function treeOf(actor: Actor) {
	const { tree } = actor.state as DurableState;
	if (!tree) throw new Error("unborn");
	return tree;
}

function restored(actor: Actor): Actor {
	return Actor.restore(actor.snapshot(), actor.behaviour);
}

/** As it is, and from its snapshot before every message: both must do the same. */
function bothWays(events: readonly (Event | "fire")[]): Actor {
	const one = Actor.fresh("game/1", definition.behaviour);
	let other = Actor.fresh("game/1", definition.behaviour);
	for (const event of events) {
		if (event === "fire") {
			other = restored(other);
			expect(fire(other)).toEqual(fire(one));
		} else {
			const effects = tell(one, event);
			other = restoredIfBorn(other);
			expect(tell(other, event)).toEqual(effects);
		}
		expect(other.snapshot()).toEqual(one.snapshot());
	}
	return other;
}

function restoredIfBorn(actor: Actor): Actor {
	return actor.offset < 0 ? actor : restored(actor);
}

test("events go to a child and back within one message; its end is an event of its parent", () => {
	const actor = bothWays([{ type: "serve" }, { type: "serve" }, { type: "serve" }]);
	const { root, children } = treeOf(actor);
	expect(root).toMatchObject({ value: "over", context: { backs: 2, result: "left 0" } });
	expect(children.size).toBe(0);
});

test("sessions are numbered by address and order of creation, the same in every fold", () => {
	const actor = bothWays([{ type: "spawn" }, { type: "stop" }, { type: "spawn" }]);
	const { children } = treeOf(actor);
	expect([...children.keys()]).toEqual(["game/1:1", "game/1:3"]);
	expect([...children.values()].map(({ id, parent }) => [id, parent])).toEqual([
		["first", "game/1:0"],
		["second", "game/1:0"],
	]);
});

test("a child's delay is a timer of the actor and rings in the child", () => {
	const actor = bothWays([{ type: "rest" }, "fire"]);
	expect(treeOf(actor).root.context).toMatchObject({ rested: 1 });
});

test("a child ends with the state that invoked it, and what was on its way to it does nothing", () => {
	const actor = bothWays([{ type: "rest" }, { type: "end" }, "fire", { type: "serve" }]);
	expect(treeOf(actor).children.size).toBe(0);
	expect(treeOf(actor).root.value).toBe("over");
});

test("a child that fails is an error of its parent; handled by nobody it fails the message, the actor unchanged", () => {
	const bad = setup({}).createMachine({
		on: {
			go: {
				actions: assign(() => {
					throw new Error("no good");
				}),
			},
		},
	});
	const parent = setup({ actors: { bad } }).createMachine({
		invoke: { id: "bad", src: "bad" },
		on: { go: { actions: sendTo("bad", { type: "go" }) } },
	});
	const actor = Actor.fresh("game/1", defineActor({ type: "game", version: 1, machine: parent }).behaviour);
	tell(actor, { type: "start" });
	const before = actor.snapshot();
	expect(() => tell(actor, { type: "go" })).toThrow("no good");
	expect(actor.snapshot()).toEqual(before);
	const handling = setup({ actors: { bad } }).createMachine({
		initial: "on",
		states: {
			on: {
				invoke: { id: "bad", src: "bad", onError: "failed" },
				on: { go: { actions: sendTo("bad", { type: "go" }) } },
			},
			failed: {},
		},
	});
	const other = Actor.fresh("game/1", defineActor({ type: "game", version: 1, machine: handling }).behaviour);
	tell(other, { type: "go" });
	expect(treeOf(other).root.value).toBe("failed");
});

test("machines that send each other events for ever fail the message that began it", () => {
	const echo = setup({}).createMachine({ on: { ping: { actions: sendParent({ type: "pong" }) } } });
	const machine = setup({ actors: { echo } }).createMachine({
		invoke: { id: "echo", src: "echo" },
		on: { pong: { actions: sendTo("echo", { type: "ping" }) } },
	});
	const actor = Actor.fresh("game/1", defineActor({ type: "game", version: 1, machine }).behaviour);
	expect(() => tell(actor, { type: "pong" })).toThrow(`more than ${INNER_EVENTS_MAX} events`);
});

test("emitted events are effects that nobody carries out, of the actor and of the machines in it", () => {
	const inner = setup({}).createMachine({ on: { go: { actions: emit({ type: "inner" }) } } });
	const machine = setup({ actors: { inner } }).createMachine({
		invoke: { id: "inner", src: "inner" },
		on: { go: { actions: [emit({ type: "outer" }), sendTo("inner", { type: "go" })] } },
	});
	const actor = Actor.fresh("game/1", defineActor({ type: "game", version: 1, machine }).behaviour);
	expect(tell(actor, { type: "go" })).toEqual([
		{ type: "emit", event: { type: "outer" } },
		{ type: "emit", event: { type: "inner" } },
	]);
});

test("a history state is remembered in snapshots", () => {
	const machine = setup({}).createMachine({
		initial: "work",
		states: {
			work: {
				initial: "a",
				states: { a: { on: { next: "b" } }, b: {}, last: { type: "history" } },
				on: { pause: "paused" },
			},
			paused: { on: { go: "work.last" } },
		},
	});
	let actor = Actor.fresh("game/1", defineActor({ type: "game", version: 1, machine }).behaviour);
	for (const type of ["next", "pause", "go"]) {
		tell(actor, { type });
		actor = restored(actor);
	}
	expect(treeOf(actor).root.value).toEqual({ work: "b" });
});

test("a delayed raise and a delayed send are timers with ids that can be cancelled", () => {
	const machine = setup({
		types: { events: {} as { type: "go" | "stop" | "x" | "y" } },
		actors: { player },
	}).createMachine({
		invoke: { id: "player", src: "player", input: { hits: 1 } },
		on: {
			go: {
				actions: [
					raise({ type: "x" }, { delay: 10, id: "x" }),
					sendTo("player", { type: "rest" }, { delay: 20, id: "y" }),
				],
			},
			stop: { actions: enqueueActions(({ enqueue }) => enqueue.cancel("x")) },
		},
	});
	const actor = Actor.fresh("game/1", defineActor({ type: "game", version: 1, machine }).behaviour);
	tell(actor, { type: "go" }, 1_000);
	expect([...actor.timers].map(({ id, at }) => [id, at])).toEqual([
		["x", 1_010],
		["y", 1_020],
	]);
	tell(actor, { type: "stop" });
	fire(actor);
	expect([...treeOf(actor).children.values()]).toMatchObject([{ snapshot: { value: "resting" } }]);
});
