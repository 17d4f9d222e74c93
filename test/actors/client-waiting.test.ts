/** Calls for a client that is cut off: who is answered when it does not come back, and who is not. */
import { beforeEach, expect, test } from "vitest";
import { clientBehaviour } from "../../actors/client.ts";
import { WAITING_CALLS_MAX } from "../../actors/client-waiting.ts";
import type { Effect } from "../../runtime/effect.ts";
import type { Event, Message } from "../../runtime/message.ts";
import { message } from "../kit/messages.ts";

const ADDRESS = "client/ws/me";
const GONE = "Target peer ws/me is not connected";
const REPLY_TO = { node: "n~1", ask: "7" };

let state: ReturnType<typeof clientBehaviour.decode>;
let offset: number;
let now: number;

/** A command; gives its effects, and what the actor tells itself is run too. */
function run(event: Event): readonly Effect[] {
	const step = clientBehaviour.command(state, message(ADDRESS, event, { offset: offset++, timestamp: now }));
	// Through its stored form, now and then to save time.
	state = offset % 50 < 10 ? clientBehaviour.decode(clientBehaviour.encode(step.state)) : step.state;
	return step.effects;
}

function frame(envelope: Partial<Message>): readonly Effect[] {
	const given = message(
		ADDRESS,
		{ type: "frame" },
		{ offset: offset++, timestamp: now, kind: "frame", ...envelope },
	);
	const effects = clientBehaviour.pass?.(state, given) ?? [];
	for (const effect of effects) if (effect.type === "tell" && effect.to === ADDRESS) run(effect.event);
	return effects;
}

const call = (session: string, expiresAt?: number) =>
	frame({
		from: "client/ws/you",
		facts: { session, target: "me" },
		...(expiresAt ? { expiresAt } : undefined),
	});
const connect = (connection: string, resume: boolean) => {
	const event = { type: "client.connect", node: "n~1", connection, user: {}, resume, limits: {} };
	run({ ...event, resumeWindowMs: 1_000 });
	const generation = offset - 1;
	return run({ type: "client.admitted", generation });
};
const endWindow = () => run({ type: "client.kicked", reason: "for the test: as the window's end" });
const undeliverable = (session: string) => ({
	type: "post",
	to: "client/ws/you",
	event: { type: "undeliverable", peer: "ws/me", target: "me", session },
});
const answers = (effects: readonly Effect[]) =>
	effects.filter(({ type }) => type === "post" || type === "reply");

beforeEach(() => {
	[offset, now] = [0, 1_000];
	state = clientBehaviour.initial(ADDRESS).state as typeof state;
	connect("c1", false);
	run({ type: "client.cut", connection: "c1", acked: 0 });
});

test("whoever waits is answered once the client does not come back, in order; a notice has nobody", () => {
	call("s1");
	frame({ replyTo: REPLY_TO });
	expect(frame({ from: "client/ws/you" })).toEqual([]);
	call("s2");
	expect(answers(endWindow())).toEqual([
		undeliverable("s1"),
		{ type: "reply", to: REPLY_TO, result: { ok: false, error: GONE } },
		undeliverable("s2"),
	]);
	// And not again.
	connect("c2", false);
	expect(answers(run({ type: "client.left", connection: "c2", acked: 0 }))).toEqual([]);
});

test("a client that comes back in time is given the calls itself", () => {
	call("s1");
	expect(answers(connect("c2", true)).map(({ type }) => type)).not.toContain("post");
	expect(answers(run({ type: "client.left", connection: "c2", acked: 0 }))).toEqual([]);
});

test("a new session in its place answers for the one that ended", () => {
	call("s1");
	const event = {
		type: "client.connect",
		node: "n~1",
		connection: "c2",
		user: {},
		resume: false,
		limits: {},
	};
	expect(answers(run({ ...event, resumeWindowMs: 1_000 }))).toEqual([undeliverable("s1")]);
});

test("who has given up meanwhile is not answered, and makes room", () => {
	for (let i = 0; i < WAITING_CALLS_MAX; i++) call(`early-${i}`, 2_000);
	call("one too many");
	now = 3_000;
	call("late", 9_000);
	expect(answers(endWindow())).toEqual([undeliverable("late")]);
});

test("a call whose note arrives after the end is answered at once", () => {
	endWindow();
	const waiting = { caller: { address: "client/ws/you", session: "s9", target: "me" } };
	expect(answers(run({ type: "client.callWaits", call: waiting }))).toEqual([undeliverable("s9")]);
});
