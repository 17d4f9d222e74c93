/** What machines may use, what is refused by name when an actor type is defined, and what actions become. */

import { describe, expect, test } from "vitest";
import {
	type AnyStateMachine,
	assign,
	cancel,
	createMachine,
	emit,
	enqueueActions,
	fromPromise,
	log,
	raise,
	sendTo,
	setup,
	spawnChild,
	stopChild,
} from "xstate";
import { Actor } from "../../runtime/actor.ts";
import type { Behaviour } from "../../runtime/behaviour.ts";
import { MICROSTEPS_MAX, machineBehaviour } from "../../runtime/machine-behaviour.ts";
import type { Event } from "../../runtime/message.ts";
import { ACTORS_TOPIC } from "../../runtime/topics.ts";
import { message } from "../kit/messages.ts";

function behaviourOf(machine: AnyStateMachine): Behaviour {
	return machineBehaviour({ type: "thing", version: 1, topic: ACTORS_TOPIC, machine });
}

function actorOf(machine: AnyStateMachine): Actor {
	return Actor.fresh("thing/a", behaviourOf(machine));
}

/** The next message of its mailbox. */
function tell(actor: Actor, event: Event, timestamp = 1_000, offset = actor.offset + 1) {
	return actor.receive(message(actor.address, event, { timestamp, offset }));
}

/** As after a restart. */
function restored(actor: Actor): Actor {
	return Actor.restore(actor.snapshot(), actor.behaviour);
}

function contextOf(actor: Actor): Record<string, unknown> {
	return (actor.state as { context: Record<string, unknown> }).context;
}

const child = fromPromise(async () => 1);

describe("refused by name when the actor type is defined:", () => {
	const inState = (config: object, implementations: object = {}) =>
		createMachine({ id: "m", initial: "a", states: { a: config } } as never, implementations as never);
	const refusals: [string, () => AnyStateMachine, RegExp][] = [
		["invoke", () => inState({ invoke: { src: child } }), /an invoke in state "a"/],
		[
			"a history state",
			() => inState({ initial: "h", states: { h: { type: "history" } } }),
			/a history state "h"/,
		],
		["sendTo", () => inState({ entry: sendTo("x", { type: "y" }) }), /the action sendTo in state "a"/],
		["emit", () => inState({ exit: emit({ type: "y" }) }), /the action emit in state "a"/],
		["log", () => inState({ on: { e: { actions: log("y") } } }), /the action log in state "a"/],
		[
			"spawnChild",
			() => inState({ entry: spawnChild(child as never) }),
			/the action spawnChild in state "a"/,
		],
		[
			"stopChild",
			() => inState({ always: { guard: () => false, actions: stopChild("x") } }),
			/the action stopChild/,
		],
		["an inline function", () => inState({ entry: () => {} }), /the action "entry", which runs code/],
		[
			"a named function",
			() => inState({}, { actions: { save: () => {} } }),
			/the action "save", which runs code/,
		],
		[
			"a named send",
			() => inState({}, { actions: { save: sendTo("x", { type: "y" }) } }),
			/the action sendTo/,
		],
		[
			"an action defined nowhere",
			() => inState({ entry: "save" }),
			/the action "save", which runs code or nothing/,
		],
		[
			"an action defined nowhere, with params",
			() => inState({ entry: { type: "constructor" } }),
			/"constructor"/,
		],
		["a delay defined nowhere", () => inState({ after: { soon: "a" } }), /the delay "soon" in state "a"/],
		[
			"an action of an initial transition",
			() => createMachine({ initial: { target: "a", actions: () => {} }, states: { a: {} } } as never),
			/runs code/,
		],
	];
	test.each(refusals)("%s", (_, machine, text) => {
		expect(() => behaviourOf(machine())).toThrow(
			expect.objectContaining({ code: "actor.unsupported-machine", message: expect.stringMatching(text) }),
		);
	});

	test("but not assign, raise, cancel, enqueueActions, guards and the effects", () => {
		const machine = setup({ actions: { tell: () => {} } }).createMachine({
			entry: [assign({}), raise({ type: "x" }), cancel("x"), enqueueActions(() => {})],
			on: { e: { guard: () => true, actions: [{ type: "tell" }, "drop" as never] } },
		});
		expect(behaviourOf(machine).type).toBe("thing");
	});
});

describe("what only a transition shows is a failure of its message, the actor unchanged:", () => {
	const onGo = (action: unknown) => createMachine({ context: {}, on: { go: { actions: action as never } } });
	const enqueuing = (collect: (enqueue: never) => void) =>
		onGo(enqueueActions(({ enqueue }) => collect(enqueue as never)));
	const failures: [string, AnyStateMachine, RegExp][] = [
		[
			"a send",
			enqueuing((enqueue: { sendTo(to: unknown, e: Event): void }) =>
				enqueue.sendTo(({ self }: { self: unknown }) => self, { type: "y" }),
			),
			/sendTo/,
		],
		["an emission", enqueuing((enqueue: { emit(e: Event): void }) => enqueue.emit({ type: "y" })), /emit/],
		["a function", enqueuing((enqueue: (action: () => void) => void) => enqueue(() => {})), /runs code/],
		["spawning", onGo(assign(({ spawn }) => ({ child: spawn(child as never) }) as never)), /spawn/],
		["a map in the state", onGo(assign({ seen: () => new Map() } as never)), /context\.seen is a Map/],
		[
			"bytes in the state",
			onGo(assign({ bytes: () => [new Uint8Array(2)] } as never)),
			/context\.bytes\[0\] is a Uint8Array/,
		],
		["a date in the state", onGo(assign({ at: () => new Date(0) } as never)), /context\.at is a Date/],
		["no number in the state", onGo(assign({ rate: () => 0 / 0 } as never)), /context\.rate is NaN/],
		[
			"a hole in a list",
			onGo(assign({ list: () => [1, undefined] } as never)),
			/context\.list\[1\] is undefined/,
		],
		["an endless delay", onGo(raise({ type: "x" }, { delay: () => Number.NaN })), /the delay of x is NaN/],
	];
	test.each(failures)("%s", (_, machine, text) => {
		const actor = actorOf(machine);
		const before = actor.snapshot();
		expect(() => tell(actor, { type: "go" })).toThrow(text);
		expect(actor.snapshot()).toEqual(before);
	});

	test("a loop of eventless transitions", () => {
		const loop = createMachine({
			initial: "rest",
			states: { rest: { on: { go: "a" } }, a: { always: "b" }, b: { always: "a" } },
		});
		expect(() => tell(actorOf(loop), { type: "go" })).toThrow(`more than ${MICROSTEPS_MAX} microsteps`);
	});

	test("a state that contains itself", () => {
		const ring: Record<string, unknown> = {};
		ring["self"] = ring;
		expect(() => tell(actorOf(onGo(assign({ ring: () => ring } as never))), { type: "go" })).toThrow(
			/nested more than 200 levels/,
		);
	});

	test("an event that only XState itself may send", () => {
		const waiting = createMachine({ id: "m", initial: "a", states: { a: { after: { 60000: "b" } }, b: {} } });
		const actor = actorOf(waiting);
		tell(actor, { type: "anything" });
		const [timer] = actor.timers;
		for (const type of [timer?.id as string, "xstate.stop", "xstate.init"]) {
			expect(() => tell(actor, { type })).toThrow(`${type} is no event for actors`);
		}
		expect(actor.behaviour.describe(actor.state)).toBe("a");
	});
});

describe("actions as effects:", () => {
	const effects = setup({
		actions: { tell: (_, _params: { to: string; event: Event }) => {} },
	});
	const hello = { type: "tell", params: { to: "thing/b", event: { type: "hello" } } } as const;

	test("those of a transition that throws half-way are not those of the next message", () => {
		const failing = effects.assign(() => {
			throw new Error("half-way");
		});
		const machine = effects.createMachine({ on: { bad: { actions: [hello, failing] }, good: {} } });
		const actor = actorOf(machine);
		expect(() => tell(actor, { type: "bad" })).toThrow("half-way");
		expect(tell(actor, { type: "good" })).toEqual([]);
	});

	test("a raise without delay is taken once, within the same message", () => {
		const machine = setup({ types: { context: {} as { count: number } } }).createMachine({
			context: { count: 0 },
			on: {
				go: { actions: raise({ type: "counted" }) },
				counted: { actions: assign({ count: ({ context }) => context.count + 1 }) },
			},
		});
		const actor = actorOf(machine);
		expect(tell(actor, { type: "go" })).toEqual([]);
		expect(contextOf(actor)).toEqual({ count: 1 });
		expect([...actor.timers]).toEqual([]);
	});

	test("raises with a delay are timers of the actor; those without an id do not replace each other", () => {
		const machine = createMachine({
			on: {
				go: { actions: [raise({ type: "x" }, { delay: 10 }), raise({ type: "x" }, { delay: 20 })] },
				named: { actions: raise({ type: "x" }, { delay: 30, id: "only" }) },
				stop: { actions: cancel("only") },
			},
		});
		const actor = actorOf(machine);
		tell(actor, { type: "go" });
		tell(actor, { type: "named" });
		tell(actor, { type: "named" }, 2_000);
		const deadlines = (of: Actor) => [...of.timers].map(({ at }) => at);
		expect(deadlines(actor)).toEqual([1_010, 1_020, 2_030]);
		expect(deadlines(restored(actor))).toEqual([1_010, 1_020, 2_030]);
		tell(actor, { type: "stop" });
		expect(deadlines(actor)).toEqual([1_010, 1_020]);
	});

	test("entering the initial state has its effects with the first command, its deadlines counted from then", () => {
		const machine = effects.createMachine({
			initial: "a",
			states: { a: { entry: hello, after: { 500: "b" } }, b: {} },
		});
		const actor = actorOf(machine);
		expect([...actor.timers]).toEqual([]);
		expect(tell(actor, { type: "anything" }, 7_000)).toEqual([{ type: "tell", ...hello.params }]);
		expect([...actor.timers].map(({ at }) => at)).toEqual([7_500]);
		expect(tell(actor, { type: "anything" }, 7_100)).toEqual([]);
		expect(tell(restored(actor), { type: "anything" }, 7_100)).toEqual([]);
	});

	test("a first command that fails leaves them to the next one", () => {
		const failing = effects.assign(() => {
			throw new Error("not now");
		});
		const machine = effects.createMachine({ entry: hello, on: { bad: { actions: failing } } });
		const actor = actorOf(machine);
		expect(() => tell(actor, { type: "bad" })).toThrow("not now");
		expect(tell(actor, { type: "good" })).toHaveLength(1);
	});
});

test("an actor in its final state takes nothing any more, before and after a restart, and says so", () => {
	const machine = setup({ types: { context: {} as { count: number } } }).createMachine({
		context: { count: 0 },
		initial: "open",
		on: { add: { actions: assign({ count: ({ context }) => context.count + 1 }) } },
		states: { open: { on: { close: "closed" } }, closed: { type: "final" } },
	});
	const actor = actorOf(machine);
	tell(actor, { type: "add" });
	tell(actor, { type: "close" });
	for (const one of [actor, restored(actor)]) {
		const replyTo = { node: "n~1", ask: "7" };
		const offset = one.offset + 1;
		expect(one.receive(message("thing/a", { type: "add" }, { offset, replyTo }))).toEqual([
			{ type: "drop", reason: "ended" },
			{ type: "reply", to: replyTo, result: { ok: false, error: "Error: this thing has ended" } },
		]);
		expect(contextOf(one)).toEqual({ count: 1 });
	}
});

test("a machine whose context cannot be made fails its first message with its own words", () => {
	const machine = createMachine({
		context: () => {
			throw new Error("no such address");
		},
	});
	expect(() => actorOf(machine)).toThrow("no such address");
});
