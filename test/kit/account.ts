/** A bank account as a machine, for tests of what embedders see. Owns nothing but the machine. */
import { assign, emit, setup } from "xstate";
import { defineActor } from "../../runtime/define-actor.ts";
import { durableActions } from "../../runtime/durable-actions.ts";
import type { EventMeta } from "../../runtime/machine-behaviour.ts";

export type AccountEvent =
	| { type: "deposit"; amount: number; meta: EventMeta }
	| { type: "withdraw"; amount: number; meta: EventMeta }
	| { type: "transfer"; to: string; amount: number; meta: EventMeta }
	| { type: "close"; meta: EventMeta };

export const accountMachine = setup({
	types: {
		context: {} as { balance: number; entries: number },
		events: {} as AccountEvent,
		emitted: {} as { type: "changed"; balance: number },
	},
	actions: {
		...durableActions,
		book: assign({
			balance: ({ context, event }) =>
				"amount" in event
					? context.balance + (event.type === "deposit" ? 1 : -1) * event.amount
					: context.balance,
			entries: ({ context }) => context.entries + 1,
		}),
	},
	guards: {
		covered: ({ context, event }) => "amount" in event && event.amount <= context.balance,
	},
}).createMachine({
	id: "account",
	context: { balance: 0, entries: 0 },
	initial: "open",
	states: {
		open: {
			on: {
				deposit: {
					actions: [
						"book",
						{ type: "reply", params: ({ context }) => ({ value: context.balance }) },
						emit(({ context }) => ({ type: "changed" as const, balance: context.balance })),
					],
				},
				withdraw: [
					{
						guard: "covered",
						actions: ["book", { type: "reply", params: ({ context }) => ({ value: context.balance }) }],
					},
					{ actions: { type: "reply", params: { error: "not enough money" } } },
				],
				transfer: {
					guard: "covered",
					actions: [
						"book",
						{
							type: "tell",
							params: ({ event }) => ({
								to: `account/${event.to}`,
								event: { type: "deposit", amount: event.amount },
							}),
						},
						{ type: "reply", params: ({ context }) => ({ value: context.balance }) },
					],
				},
				close: "closed",
			},
		},
		closed: { type: "final" },
	},
});

export const account = defineActor({ type: "account", version: 1, machine: accountMachine });
