/**
 * The actor `account/<name>`: a person who can log in with a password. Owns whether there is one of that name, whose user
 * it stands for, and the hash of its password; passwords themselves are no actor's business.
 */
import { type AnyMachineSnapshot, setup } from "xstate";
import { type Address, addressOf } from "../runtime/address.ts";
import type { Behaviour } from "../runtime/behaviour.ts";
import type { ReplyResult } from "../runtime/effect.ts";
import { type EventMeta, machineBehaviour } from "../runtime/machine-behaviour.ts";
import type { ReplyTo } from "../runtime/message.ts";
import { ACTORS_TOPIC } from "../runtime/topics.ts";

export interface Account {
	/** Of the user whose token a login gives. */
	readonly userId: string;
	readonly email: string | null;
	/** Of the password, with its salt and parameters. */
	readonly hash: string;
}

interface AccountContext {
	readonly name: string;
	readonly account: Account | null;
}

type AccountEvent =
	| { type: "account.create"; meta: EventMeta; account: Account }
	| { type: "account.setPassword"; meta: EventMeta; hash: string }
	| { type: "account.remove"; meta: EventMeta };

export function accountAddress(name: string): Address {
	return addressOf("account", name);
}

const machineSetup = setup({
	types: { context: {} as AccountContext, events: {} as AccountEvent, input: {} as { address: Address } },
	actions: { reply: (_, _params: { to: ReplyTo; result: ReplyResult }) => {} },
});

const create = machineSetup.enqueueActions(({ event, enqueue }) => {
	if (event.type !== "account.create") return;
	enqueue.assign({ account: event.account });
	reply(event.meta, { ok: true, value: null }, enqueue);
});

const setPassword = machineSetup.enqueueActions(({ context, event, enqueue }) => {
	if (event.type !== "account.setPassword" || !context.account) return;
	enqueue.assign({ account: { ...context.account, hash: event.hash } });
	reply(event.meta, { ok: true, value: null }, enqueue);
});

const remove = machineSetup.enqueueActions(({ event, enqueue }) => {
	enqueue.assign({ account: null });
	reply(event.meta, { ok: true, value: null }, enqueue);
});

const refuseExisting = machineSetup.enqueueActions(({ context, event, enqueue }) => {
	reply(event.meta, { ok: false, error: `ValueError: There is an account ${context.name} already` }, enqueue);
});

const refuseAbsent = machineSetup.enqueueActions(({ context, event, enqueue }) => {
	reply(event.meta, { ok: false, error: `KeyError: 'Account not found: ${context.name}'` }, enqueue);
});

export const accountMachine = machineSetup.createMachine({
	id: "account",
	context: ({ input }) => ({ name: input.address.slice("account/".length), account: null }),
	initial: "absent",
	states: {
		absent: {
			on: {
				"account.create": { target: "present", actions: create },
				"account.setPassword": { actions: refuseAbsent },
				"account.remove": { actions: refuseAbsent },
			},
		},
		present: {
			on: {
				"account.create": { actions: refuseExisting },
				"account.setPassword": { actions: setPassword },
				"account.remove": { target: "absent", actions: remove },
			},
		},
	},
});

export const accountBehaviour: Behaviour<AnyMachineSnapshot> = machineBehaviour({
	type: "account",
	version: 1,
	topic: ACTORS_TOPIC,
	machine: accountMachine,
	queries: { "account.get": ({ context }) => (context as AccountContext).account },
});

function reply(
	{ replyTo }: EventMeta,
	result: ReplyResult,
	enqueue: (action: { type: "reply"; params: { to: ReplyTo; result: ReplyResult } }) => void,
): void {
	if (replyTo) enqueue({ type: "reply", params: { to: replyTo, result } });
}
