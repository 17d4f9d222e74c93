/**
 * A small actor for tests of the runtime: a counter that adds, tells others, rings a durable bell and can throw.
 * Owns nothing but the machine.
 */
import { assign, enqueueActions, setup } from "xstate";
import type { Behaviour } from "../../runtime/behaviour.ts";
import type { ReplyResult } from "../../runtime/effect.ts";
import { type EventMeta, machineBehaviour } from "../../runtime/machine-behaviour.ts";
import type { Event, ReplyTo } from "../../runtime/message.ts";
import { ACTORS_TOPIC } from "../../runtime/topics.ts";

type CounterEvent =
	| { type: "add"; by: number; meta: EventMeta }
	| { type: "relay"; to: string; by: number; meta: EventMeta }
	| { type: "arm"; delayMs: number; meta: EventMeta }
	| { type: "disarm"; meta: EventMeta }
	| { type: "fail"; meta: EventMeta };

interface CounterContext {
	readonly total: number;
	readonly log: readonly number[];
	readonly bells: number;
	readonly delayMs: number;
}

const counter = setup({
	types: { context: {} as CounterContext, events: {} as CounterEvent },
	actions: {
		tell: (_, _params: { to: string; event: Event }) => {},
		reply: (_, _params: { to: ReplyTo; result: ReplyResult }) => {},
	},
	delays: { bell: ({ context }) => context.delayMs },
});

const answer = counter.enqueueActions(({ context, event, enqueue }) => {
	const to = event.meta.replyTo;
	if (to) enqueue({ type: "reply", params: { to, result: { ok: true, value: context.total } } });
});

const fail = counter.assign(() => {
	throw new Error("this counter cannot fail gracefully");
});

export const counterMachine = counter.createMachine({
	id: "counter",
	context: { total: 0, log: [], bells: 0, delayMs: 0 },
	initial: "idle",
	on: {
		add: {
			actions: [
				assign({
					total: ({ context, event }) => context.total + event.by,
					log: ({ context, event }) => [...context.log, event.by],
				}),
				answer,
			],
		},
		relay: {
			actions: enqueueActions(({ event, enqueue }) => {
				enqueue({ type: "tell", params: { to: event.to, event: { type: "add", by: event.by } } });
			}),
		},
		fail: { actions: fail },
	},
	states: {
		idle: {
			on: { arm: { target: "armed", actions: assign({ delayMs: ({ event }) => event.delayMs }) } },
		},
		armed: {
			on: { disarm: "idle" },
			after: {
				bell: { target: "idle", actions: assign({ bells: ({ context }) => context.bells + 1 }) },
			},
		},
	},
});

export const counterBehaviour: Behaviour = machineBehaviour({
	type: "counter",
	version: 1,
	topic: ACTORS_TOPIC,
	machine: counterMachine,
	queries: { total: (snapshot) => snapshot.context.total },
});
