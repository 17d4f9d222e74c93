/** A till that books sales and refunds: the machine of an incident, with or without the mistake that makes it one. */
import { assign, setup } from "xstate";

interface Till {
	/** Cents. */
	readonly total: number;
	readonly bookings: number;
}

type TillEvent =
	| { readonly type: "sale" | "refund"; readonly amount: number }
	| { readonly type: "close" | "open" };

/** `refunded`: the total after a refund. */
export function tillMachine(refunded: (total: number, amount: number) => number) {
	return setup({ types: { context: {} as Till, events: {} as TillEvent } }).createMachine({
		id: "till",
		initial: "open",
		context: { total: 0, bookings: 0 },
		states: {
			open: {
				on: {
					sale: {
						actions: assign({
							total: ({ context, event }) => context.total + event.amount,
							bookings: ({ context }) => context.bookings + 1,
						}),
					},
					refund: {
						actions: assign({
							total: ({ context, event }) => refunded(context.total, event.amount),
							bookings: ({ context }) => context.bookings + 1,
						}),
					},
					close: "closed",
				},
			},
			closed: { on: { open: "open" } },
		},
	});
}
