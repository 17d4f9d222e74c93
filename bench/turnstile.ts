/**
 * An actor with three states and one counter, as a user of the runtime would write it, and its events in turn. Owns the
 * machine; what is measured with it is tells.ts, sleepers.ts and restore.ts.
 */
import { assign, setup } from "xstate";
import { defineActor, durableActions, type EventMeta } from "../runtime/index.ts";

type TurnstileEvent = { type: "coin" } | { type: "push" } | { type: "leave" } | { type: "count" };

export const turnstileMachine = setup({
	types: { context: {} as { passed: number }, events: {} as TurnstileEvent & { meta: EventMeta } },
	actions: durableActions,
}).createMachine({
	id: "turnstile",
	context: { passed: 0 },
	initial: "locked",
	states: {
		locked: { on: { coin: "open" } },
		open: { on: { push: "passing" } },
		passing: {
			on: { leave: { target: "locked", actions: assign({ passed: ({ context }) => context.passed + 1 }) } },
		},
	},
	on: { count: { actions: { type: "reply", params: ({ context }) => ({ value: context.passed }) } } },
});

/** Each moves the machine on; after the last it is where it was. */
export const ROUND = [{ type: "coin" }, { type: "push" }, { type: "leave" }] as const;

/** `passivateAfter`: see ActorOptions. */
export function turnstile(passivateAfter?: number) {
	const options = { type: "turnstile", version: 1, machine: turnstileMachine } as const;
	return defineActor(passivateAfter === undefined ? options : { ...options, passivateAfter });
}
