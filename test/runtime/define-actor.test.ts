/** What `defineActor` takes and what it refuses by name, before anything runs. */
import { describe, expect, test } from "vitest";
import {
	type AnyStateMachine,
	assign,
	createMachine,
	fromCallback,
	fromEventObservable,
	fromObservable,
	fromPromise,
	fromTransition,
	log,
	spawnChild,
} from "xstate";
import { defineActor } from "../../runtime/define-actor.ts";

const empty = () => ({ subscribe: () => ({ unsubscribe: () => {} }) }) as never;
const promise = fromPromise(async () => 1);

function inState(config: object, actors: object = {}): AnyStateMachine {
	return createMachine({ initial: "a", states: { a: config } } as never, { actors } as never);
}

function defined(machine: AnyStateMachine, effects = {}) {
	return () => defineActor({ type: "thing", version: 1, machine, effects });
}

describe("refused by name when the actor is defined:", () => {
	const refusals: [string, AnyStateMachine, RegExp][] = [
		[
			"an observable",
			inState({ invoke: { src: fromObservable(empty) } }),
			/uses an observable \("xstate.invoke.0/,
		],
		["an event observable", inState({}, { feed: fromEventObservable(empty) }), /an observable \("feed"\)/],
		["fromTransition", inState({ invoke: { src: fromTransition((s) => s, 0) } }), /fromTransition/],
		["an actor that is not defined", inState({ invoke: { src: "nobody" } }), /not defined \("nobody"\)/],
		[
			"onSnapshot",
			inState({ invoke: { src: promise, onSnapshot: {} } }),
			/an invoke with onSnapshot in state "a"/,
		],
		[
			"systemId",
			inState({ invoke: { src: promise, systemId: "x" } }),
			/an invoke with a systemId in state "a"/,
		],
		[
			"spawnChild without a name",
			inState({ entry: spawnChild(promise) }),
			/a spawnChild of logic without a name/,
		],
		["log", inState({ entry: log("x") }), /the action log/],
		["an inline function", inState({ entry: () => {} }), /runs code or nothing/],
		["an action nobody defined", inState({ entry: "mail" }), /the action "mail"/],
		[
			"the same in a machine inside",
			inState({ invoke: { src: inState({ invoke: { src: inState({ entry: "mail" }) } }) } }),
			/the action "mail"/,
		],
	];
	test.each(refusals)("%s", (_, machine, text) => {
		expect(defined(machine)).toThrow(
			expect.objectContaining({ code: "actor.unsupported-machine", message: expect.stringMatching(text) }),
		);
	});

	test.each([
		["a type that is no name", { type: "a/b", version: 1 }],
		["a version that is no whole number", { type: "a", version: 1.5 }],
		["no time to stay in memory", { type: "a", version: 1, passivateAfter: 0 }],
		["an effect that is no function", { type: "a", version: 1, effects: { mail: "post" } }],
		["a delay of no known meaning", { type: "a", version: 1, delays: { pause: 5 } }],
		["another end of a failure", { type: "a", version: 1, onFailure: "stop" }],
		["no time to wait", { type: "a", version: 1, retries: { backoffMs: -1 } }],
		["something that is no machine", { type: "a", version: 1, machine: { states: {} } }],
	])("%s", (_, options) => {
		const machine = createMachine({});
		expect(() => defineActor({ machine, ...options } as never)).toThrow(
			expect.objectContaining({ code: "config.invalid-value" }),
		);
	});

	test("a name that is not known, with the nearest that is", () => {
		const options = { type: "a", version: 1, machine: createMachine({}) };
		expect(() => defineActor({ ...options, effect: {} } as never)).toThrow('did you mean "effects"?');
		expect(() => defineActor({ ...options, retries: { attempt: 1 } } as never)).toThrow(
			'defineActor: retries has no option "attempt", did you mean "attempts"?',
		);
	});
});

test("invoked promises, callbacks and machines, history states, named spawns and effects are taken", () => {
	const machine = createMachine(
		{
			initial: "a",
			states: {
				a: {
					invoke: [{ src: promise }, { src: fromCallback(() => {}) }, { src: createMachine({}) }],
					entry: [assign({}), spawnChild("worker"), { type: "mail" }, { type: "schedule" }],
					initial: "h",
					states: { h: { type: "history", target: "x" }, x: {} },
				},
			},
		} as never,
		{ actors: { worker: promise } } as never,
	);
	expect(defined(machine, { mail: () => {} })().behaviour.type).toBe("thing");
});
