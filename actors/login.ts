/**
 * The actor `login/results`: what became of logins that programs wait for. Owns their short life and their number; what
 * they hold is enclosed, so that the log has no token in plain.
 */
import { type AnyMachineSnapshot, setup } from "xstate";
import { type Address, addressOf } from "../runtime/address.ts";
import type { Behaviour } from "../runtime/behaviour.ts";
import type { ReplyResult } from "../runtime/effect.ts";
import { type EventMeta, machineBehaviour } from "../runtime/machine-behaviour.ts";
import type { ReplyTo } from "../runtime/message.ts";
import { ACTORS_TOPIC } from "../runtime/topics.ts";
import { get, put, size, type Table } from "./workspace-table.ts";

export const LOGIN_ADDRESS = addressOf("login", "results");

/** Logins that nobody has fetched yet and that have not expired. */
export const LOGIN_RESULTS_MAX = 10_000;

interface LoginResult {
	readonly enclosed: string;
	/** Milliseconds since 1970. */
	readonly expiresAt: number;
}

interface LoginContext {
	/** By the key's hash. */
	readonly results: Table<LoginResult>;
}

type LoginEvent = {
	type: "login.report";
	meta: EventMeta;
	key: string;
	enclosed: string;
	expiresAt: number;
};

const machineSetup = setup({
	types: { context: {} as LoginContext, events: {} as LoginEvent, input: {} as { address: Address } },
	actions: { reply: (_, _params: { to: ReplyTo; result: ReplyResult }) => {} },
});

const report = machineSetup.enqueueActions(({ context, event, enqueue }) => {
	const { key, enclosed, expiresAt, meta } = event;
	const living = Object.entries(context.results).filter(([, { expiresAt: end }]) => end > meta.timestamp);
	const results: Table<LoginResult> = Object.fromEntries(living);
	const result = outcomeOf(results, key);
	enqueue.assign({ results: result.ok ? put(results, key, { enclosed, expiresAt }) : results });
	if (meta.replyTo) enqueue({ type: "reply", params: { to: meta.replyTo, result } });
});

/** The first word counts: a second one would give a program the token of somebody else. */
function outcomeOf(results: Table<LoginResult>, key: string): ReplyResult {
	if (get(results, key)) return { ok: false, error: "AssertionError: This login has been completed already" };
	if (size(results) >= LOGIN_RESULTS_MAX) {
		return { ok: false, error: "RuntimeError: too many logins wait to be fetched, try again" };
	}
	return { ok: true, value: null };
}

export const loginMachine = machineSetup.createMachine({
	id: "login",
	context: { results: {} },
	initial: "keeping",
	states: { keeping: { on: { "login.report": { actions: report } } } },
});

export const loginBehaviour: Behaviour<AnyMachineSnapshot> = machineBehaviour({
	type: "login",
	version: 1,
	topic: ACTORS_TOPIC,
	machine: loginMachine,
	queries: {
		"login.result": ({ context }, query) =>
			get((context as LoginContext).results, String(query["key"]))?.enclosed ?? null,
	},
});
