/**
 * A bank in which everything that actors can do happens: transfers between accounts, a notary outside, reminders, a
 * teller inside each account, messages that fail. Owns the machines; money is neither made nor lost in any of them.
 */
import { assign, fromPromise, sendParent, sendTo, setup } from "xstate";
import { defineActor } from "../../runtime/define-actor.ts";
import { durableActions } from "../../runtime/durable-actions.ts";
import type { EventMeta } from "../../runtime/machine-behaviour.ts";

/** Counts what its account has it count, and rests after each. */
const teller = setup({
	types: { context: {} as { counted: number }, events: {} as { type: "count" } },
}).createMachine({
	context: { counted: 0 },
	initial: "free",
	states: {
		free: {
			on: {
				count: {
					target: "resting",
					actions: [
						assign({ counted: ({ context }) => context.counted + 1 }),
						sendParent({ type: "counted" }),
					],
				},
			},
		},
		resting: { after: { 500: "free" } },
	},
});

const machine = setup({
	types: {
		context: {} as {
			/** May be below zero: accounts begin without money and lend each other. */
			balance: number;
			sent: number;
			received: number;
			counted: number;
			seals: string[];
			ticks: number;
			late: number;
		},
		events: {} as (
			| { type: "send"; to: string; amount: number }
			| { type: "receive"; amount: number }
			| { type: "seal" }
			| { type: "counted" }
			| { type: "remind"; everyMs: number }
			| { type: "tick"; dueAt: number }
			| { type: "wait" }
			| { type: "fail" }
		) & { meta: EventMeta },
	},
	actions: durableActions,
	actors: {
		teller,
		notary: fromPromise<string>(async ({ self }) => (self as unknown as { sessionId: string }).sessionId),
	},
	delays: { patience: 3_000 },
}).createMachine({
	context: { balance: 0, sent: 0, received: 0, counted: 0, seals: [], ticks: 0, late: 0 },
	type: "parallel",
	invoke: { id: "teller", src: "teller" },
	on: {
		send: {
			actions: [
				assign({
					balance: ({ context, event }) => context.balance - event.amount,
					sent: ({ context }) => context.sent + 1,
				}),
				{
					type: "tell",
					params: ({ event }) => ({
						to: `account/${event.to}`,
						event: { type: "receive", amount: event.amount },
					}),
				},
				{ type: "reply", params: ({ context }) => ({ value: context.sent }) },
				sendTo("teller", { type: "count" }),
			],
		},
		receive: {
			actions: assign({
				balance: ({ context, event }) => context.balance + event.amount,
				received: ({ context }) => context.received + 1,
			}),
		},
		counted: { actions: assign({ counted: ({ context }) => context.counted + 1 }) },
		remind: {
			actions: {
				type: "schedule",
				params: ({ event }) => ({
					id: "reminder",
					event: { type: "tick" },
					everyMs: event.everyMs,
					missed: "all",
				}),
			},
		},
		tick: { actions: assign({ ticks: ({ context }) => context.ticks + 1 }) },
		fail: {
			actions: assign(() => {
				throw new Error("this event always fails");
			}),
		},
	},
	states: {
		sealing: {
			initial: "open",
			states: {
				open: { on: { seal: "waiting" } },
				waiting: {
					invoke: {
						src: "notary",
						onDone: {
							target: "open",
							actions: assign({ seals: ({ context, event }) => [...context.seals, event.output] }),
						},
					},
				},
			},
		},
		patience: {
			initial: "calm",
			states: {
				calm: { on: { wait: "waiting" } },
				waiting: {
					after: {
						patience: { target: "calm", actions: assign({ late: ({ context }) => context.late + 1 }) },
					},
				},
			},
		},
	},
});

export const bankAccount = defineActor({
	type: "account",
	version: 1,
	machine,
	delays: { patience: "remaining" },
});

/** The same, but one that fails waits for help that never comes. */
export const strictAccount = defineActor({
	type: "strict",
	version: 1,
	machine,
	delays: { patience: "restart" },
	onFailure: "pause",
});
