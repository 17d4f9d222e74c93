/**
 * The client actor `client/<workspace>/<client>`: presence of one client, as a statechart.
 * Owns the claim (which connection speaks for the client) and the fate of frames; sockets belong to the gateway,
 * membership to the workspace actor.
 */
import { type AnyMachineSnapshot, setup } from "xstate";
import { type Address, addressOf } from "../runtime/address.ts";
import type { Behaviour } from "../runtime/behaviour.ts";
import type { Effect, Outlet, ReplyResult } from "../runtime/effect.ts";
import { type EventMeta, machineBehaviour } from "../runtime/machine-behaviour.ts";
import type { Event, Message, ReplyTo } from "../runtime/message.ts";
import { CLIENTS_TOPIC } from "../runtime/topics.ts";
import { answersTo, goneAnswer, type WaitingCall, waitingCall, withCall } from "./client-waiting.ts";
import { IMPORTED_GENERATION } from "./workspace-import.ts";

/** A connection that speaks, or asks to speak, for the client. */
export interface Claim {
	/** Offset of the connect command: unique, rising, the same in every fold. */
	readonly generation: number;
	readonly outlet: Outlet;
	/** Milliseconds that a cut connection keeps its place. From the command, so that a replay does not depend on options. */
	readonly resumeWindowMs: number;
	/** Mailbox offset from which frames are this session's. */
	readonly from: number;
	/** Newest mailbox offset that the client is known to have; -1: none. */
	readonly acked: number;
	/** The gateway's note of what the client had seen then, given back to the session that resumes. */
	readonly seen: string | null;
}

interface Pending extends Claim {
	readonly replyTo: ReplyTo | undefined;
	/** It takes over the session of the claim, with everything that is not acknowledged yet. */
	readonly recovered: boolean;
}

/** A frame that asks how busy the client is; the session that serves it answers. */
export const LOAD_QUESTION = "load";
/** A frame by which a node hands on what an HTTP client posted there, for the session that is elsewhere. */
export const POSTED = "posted";
/** A frame by which a session learns how far its mailbox has got while nothing comes for the client. */
export const MARK = "mark";

/** Clients of other workspaces that one may exchange messages with; past it the one met longest ago is forgotten. */
export const PEERS_MET_MAX = 256;

interface ClientContext {
	readonly address: Address;
	readonly workspace: string;
	readonly client: string;
	readonly claim: Claim | null;
	readonly pending: Pending | null;
	/** `workspace/client` of other workspaces that this session called or was called by, the newest last. */
	readonly met: readonly string[];
	/** Calls that came while it was suspended, to be answered if it does not come back. */
	readonly waiting: readonly WaitingCall[];
}

interface ConnectEvent {
	readonly type: "client.connect";
	readonly meta: EventMeta;
	readonly node: string;
	readonly connection: string;
	readonly user: unknown;
	/** A reconnection token was shown: the session may be taken over. */
	readonly resume: boolean;
	/** Newest offset the client itself says it has. */
	readonly cursor?: number;
	readonly resumeWindowMs: number;
	readonly tokenHash?: string;
	readonly ensure?: unknown;
	/** For the workspace; see Limits. */
	readonly limits: unknown;
}

type ClientEvent =
	| ConnectEvent
	| { type: "client.admitted"; meta: EventMeta; generation: number; admission?: unknown }
	| { type: "client.refused"; meta: EventMeta; generation: number; reason: string }
	| {
			type: "client.acked" | "client.left" | "client.cut";
			meta: EventMeta;
			connection: string;
			acked: number;
			seen?: string;
	  }
	/** `before`: a claim of this generation or a later one is not meant. */
	| { type: "client.claimLost"; meta: EventMeta; claim: string; before: number }
	| { type: "client.kicked"; meta: EventMeta; reason: string }
	| { type: "client.met"; meta: EventMeta; peer: string }
	/** It was a client of another server, and is expected here. */
	| { type: "client.imported"; meta: EventMeta; resumeWindowMs: number }
	| { type: "client.callWaits"; meta: EventMeta; call: WaitingCall };

interface TellParams {
	readonly to: Address;
	readonly event: Event;
}

const machineSetup = setup({
	types: {
		context: {} as ClientContext,
		events: {} as ClientEvent,
		input: {} as { address: Address },
	},
	actions: {
		tell: (_, _params: TellParams) => {},
		post: (_, _params: { to: Address; event: Event }) => {},
		reply: (_, _params: { to: ReplyTo; result: ReplyResult }) => {},
		signal: (_, _params: { outlet: Outlet; signal: Event }) => {},
		drop: (_, _params: { reason: string }) => {},
	},
	guards: {
		resumes: ({ event }) => event.type === "client.connect" && event.resume,
		ofClaim: ({ context, event }) => "connection" in event && isOutlet(context.claim, event.connection),
		ofPending: ({ context, event }) => "connection" in event && isOutlet(context.pending, event.connection),
		ofAwaited: ({ context, event }) =>
			"generation" in event && context.pending?.generation === event.generation,
		ofClaimedNode: ({ context, event }) => isLost(context.claim, event),
		ofPendingNode: ({ context, event }) => isLost(context.pending, event),
	},
	delays: {
		resumeWindow: ({ context }) => context.claim?.resumeWindowMs ?? 0,
	},
});

const requestAdmission = machineSetup.enqueueActions(({ context, event, enqueue }) => {
	if (event.type !== "client.connect") return;
	const resumed = event.resume ? context.claim : null;
	if (context.pending) refusePending(context.pending, "a newer connection took its place", enqueue);
	if (context.claim && !resumed) {
		enqueue({ type: "tell", params: leave(context, context.claim, "replaced") });
		answerWaiting(context, event.meta.timestamp, enqueue);
	}
	const pending = pendingOf(event, resumed);
	enqueue.assign({ pending, claim: resumed, waiting: resumed ? context.waiting : [] });
	const { user, tokenHash, ensure, limits } = event;
	enqueue({
		type: "tell",
		params: {
			to: addressOf("workspace", context.workspace),
			event: {
				type: "member.join",
				client: context.client,
				generation: pending.generation,
				user,
				tokenHash,
				ensure,
				limits,
			},
		},
	});
});

const admit = machineSetup.enqueueActions(({ context, event, enqueue }) => {
	const { claim, pending } = context;
	if (event.type !== "client.admitted" || !pending) return;
	const { replyTo, recovered, ...next } = pending;
	if (claim && claim.outlet.connection !== next.outlet.connection) {
		enqueue({ type: "signal", params: { outlet: claim.outlet, signal: { type: "superseded" } } });
	}
	// What was acknowledged while the admission was under way counts too.
	const { acked, seen } = recovered && claim && claim.acked > next.acked ? claim : next;
	// A new session starts here: what came before was refused while the client was not there.
	const from = recovered ? acked + 1 : event.meta.offset;
	enqueue.assign({ claim: { ...next, from: recovered ? next.from : from, acked, seen }, pending: null });
	// The session that goes on is given what waits.
	enqueue.assign({ waiting: [], met: recovered ? context.met : [] });
	if (replyTo) {
		const value = {
			generation: next.generation,
			from,
			upTo: event.meta.offset,
			recovered,
			seen,
			admission: event.admission,
		};
		enqueue({ type: "reply", params: { to: replyTo, result: { ok: true, value } } });
	}
});

const refuse = machineSetup.enqueueActions(({ context, event, enqueue }) => {
	if (event.type === "client.refused" && context.pending)
		refusePending(context.pending, event.reason, enqueue);
	enqueue.assign({ pending: null });
});

const refuseDuplicate = machineSetup.enqueueActions(({ context, event, enqueue }) => {
	if (event.type !== "client.connect") return;
	const error = `Client already exists and is active: ${context.workspace}/${context.client}`;
	if (event.meta.replyTo) {
		enqueue({ type: "reply", params: { to: event.meta.replyTo, result: { ok: false, error } } });
	}
	// If the live socket is dead in truth, its gateway finds out and the next attempt succeeds.
	if (context.claim) {
		const signal = { type: "probe", address: context.address };
		enqueue({ type: "signal", params: { outlet: context.claim.outlet, signal } });
	}
});

const abandonPending = machineSetup.enqueueActions(({ context, enqueue }) => {
	if (context.pending && !context.claim) {
		enqueue({ type: "tell", params: leave(context, context.pending, "left while joining") });
	}
	enqueue.assign({ pending: null });
});

const rememberAcked = machineSetup.assign({
	claim: ({ context, event }) => {
		const { claim } = context;
		if (!claim) return null;
		if (!("acked" in event) || event.acked <= claim.acked) return claim;
		return { ...claim, acked: event.acked, seen: event.seen ?? null };
	},
});

const leaveWorkspace = machineSetup.enqueueActions(({ context, event, enqueue }) => {
	const reason = event.type.startsWith("xstate.after") ? "resume window passed" : event.type;
	// The newest generation that the workspace may know: an admission can still be under way.
	const newest = context.pending ?? context.claim;
	if (newest) enqueue({ type: "tell", params: leave(context, newest, reason) });
	if (context.pending) refusePending(context.pending, "the client was closed", enqueue);
	answerWaiting(context, event.meta.timestamp, enqueue);
	enqueue.assign({ claim: null, pending: null, met: [], waiting: [] });
});

const closeSocket = machineSetup.enqueueActions(({ context, event, enqueue }) => {
	if (context.claim && event.type === "client.kicked") {
		const signal = { type: "kicked", reason: event.reason };
		enqueue({ type: "signal", params: { outlet: context.claim.outlet, signal } });
	}
});

/** A node that was only thought gone still has the socket: its client must come again. */
const tellLost = machineSetup.enqueueActions(({ context, enqueue }) => {
	if (!context.claim) return;
	enqueue({ type: "signal", params: { outlet: context.claim.outlet, signal: { type: "lost" } } });
});

/** The workspace admitted a connection that has gone meanwhile: later goodbyes must carry its generation. */
const adoptGeneration = machineSetup.assign({
	claim: ({ context, event }) =>
		context.claim && event.type === "client.admitted" && event.generation > context.claim.generation
			? { ...context.claim, generation: event.generation }
			: context.claim,
});

const meet = machineSetup.assign({
	met: ({ context, event }) =>
		event.type === "client.met"
			? [...context.met.filter((peer) => peer !== event.peer), event.peer].slice(-PEERS_MET_MAX)
			: context.met,
});

const keepCall = machineSetup.assign({
	waiting: ({ context, event }) =>
		event.type === "client.callWaits"
			? withCall(context.waiting, event.call, event.meta.timestamp)
			: context.waiting,
});

/** As if it had been connected here and cut off: no socket, nothing sent to it, nothing acknowledged. */
const expectClient = machineSetup.assign({
	claim: ({ context, event }) =>
		event.type === "client.imported"
			? {
					generation: IMPORTED_GENERATION,
					outlet: { node: "", connection: "" },
					resumeWindowMs: event.resumeWindowMs,
					from: event.meta.offset,
					acked: -1,
					seen: null,
				}
			: context.claim,
});

/** It was on its way here while the session ended. */
const answerLate = machineSetup.enqueueActions(({ context, event, enqueue }) => {
	if (event.type === "client.callWaits") answerAll([event.call], context, event.meta.timestamp, enqueue);
});

/** What every state with a place in the workspace does with a newcomer's admission, and with peers from elsewhere. */
const admission = {
	"client.met": { actions: meet },
	"client.admitted": [{ guard: "ofAwaited", target: "online", actions: admit }, { actions: adoptGeneration }],
	"client.refused": { guard: "ofAwaited", actions: refuse },
} as const;

export const clientMachine = machineSetup.createMachine({
	id: "client",
	context: ({ input }) => ({ ...namesOf(input.address), claim: null, pending: null, met: [], waiting: [] }),
	initial: "absent",
	states: {
		/** No session, and none that could be resumed. */
		absent: {
			on: {
				"client.connect": { target: "joining", actions: requestAdmission },
				"client.imported": { target: "suspended", actions: expectClient },
			},
		},
		/** The workspace decides. */
		joining: {
			on: {
				"client.admitted": { guard: "ofAwaited", target: "online", actions: admit },
				"client.refused": { guard: "ofAwaited", target: "closed", actions: refuse },
				"client.connect": { actions: requestAdmission },
				"client.callWaits": { actions: answerLate },
				"client.left": { guard: "ofPending", target: "closed", actions: abandonPending },
				"client.cut": { guard: "ofPending", target: "closed", actions: abandonPending },
				"client.claimLost": { guard: "ofPendingNode", target: "closed", actions: abandonPending },
			},
		},
		/** A socket speaks for the client; frames go to it. */
		online: {
			on: {
				...admission,
				"client.connect": [{ guard: "resumes", actions: requestAdmission }, { actions: refuseDuplicate }],
				"client.acked": { guard: "ofClaim", actions: rememberAcked },
				"client.left": [
					{ guard: "ofClaim", target: "closed", actions: rememberAcked },
					{ guard: "ofPending", actions: abandonPending },
				],
				"client.cut": [
					{ guard: "ofClaim", target: "suspended", actions: rememberAcked },
					{ guard: "ofPending", actions: abandonPending },
				],
				"client.claimLost": { guard: "ofClaimedNode", target: "suspended", actions: tellLost },
				"client.kicked": { target: "closed", actions: closeSocket },
			},
		},
		/** The socket is gone without a goodbye; frames wait in the mailbox for its return. */
		suspended: {
			after: { resumeWindow: "closed" },
			on: {
				...admission,
				"client.callWaits": { actions: keepCall },
				"client.connect": [
					{ guard: "resumes", actions: requestAdmission },
					{ target: "joining", actions: requestAdmission },
				],
				"client.left": [
					{ guard: "ofClaim", target: "closed" },
					{ guard: "ofPending", actions: abandonPending },
				],
				"client.cut": { guard: "ofPending", actions: abandonPending },
				"client.kicked": "closed",
			},
		},
		/** The session is over; who calls is told so. */
		closed: {
			entry: leaveWorkspace,
			on: {
				"client.connect": { target: "joining", actions: requestAdmission },
				"client.imported": { target: "suspended", actions: expectClient },
				"client.callWaits": { actions: answerLate },
			},
		},
	},
});

/** Types of frames that mean a session, not the client. */
const OF_SESSION = new Set([LOAD_QUESTION, MARK, POSTED]);

/** Frames: to the socket, kept for its return, or back to a caller that waits. */
function passFrame(snapshot: AnyMachineSnapshot, message: Message): readonly Effect[] {
	const context = snapshot.context as ClientContext;
	const { claim, address } = context;
	if (snapshot.value === "online" && claim) return [{ type: "deliver", outlet: claim.outlet, message }];
	const call = waitingCall(message, peerOf(context));
	// What was meant for a session, not for the client, is of no interest to the next session.
	if (snapshot.value === "suspended" && !OF_SESSION.has(message.type)) {
		return call ? [{ type: "tell", to: address, event: { type: "client.callWaits", call } }] : [];
	}
	return [call ? goneAnswer(call, peerOf(context)) : { type: "drop", reason: "peer-gone" }];
}

export const clientBehaviour: Behaviour = machineBehaviour({
	type: "client",
	version: 1,
	topic: CLIENTS_TOPIC,
	machine: clientMachine,
	queries: {
		/** Whether the client may send to a peer of another workspace without calling a service of it. */
		"client.hasMet": ({ context }, { peer }) => (context as ClientContext).met.includes(String(peer)),
	},
	pass: passFrame,
	claim: (snapshot) => {
		const { claim, pending } = snapshot.context as ClientContext;
		return snapshot.value === "suspended" ? undefined : (claim ?? pending)?.outlet.node;
	},
	claimLostType: "client.claimLost",
});

type EnqueueAnswer = (
	action:
		| { type: "post"; params: { to: Address; event: Event } }
		| { type: "reply"; params: { to: ReplyTo; result: ReplyResult } },
) => void;

function answerAll(
	calls: readonly WaitingCall[],
	context: ClientContext,
	now: number,
	enqueue: EnqueueAnswer,
): void {
	for (const answer of answersTo(calls, peerOf(context), now)) {
		const { type, ...params } = answer;
		enqueue({ type, params } as Parameters<EnqueueAnswer>[0]);
	}
}

function answerWaiting(context: ClientContext, now: number, enqueue: EnqueueAnswer): void {
	answerAll(context.waiting, context, now, enqueue);
}

function peerOf({ workspace, client }: ClientContext): string {
	return `${workspace}/${client}`;
}

function isOutlet(claim: Claim | null, connection: string): boolean {
	return claim?.outlet.connection === connection;
}

/** Its node is gone; a claim made since that was found out is of a node that came back. */
function isLost(claim: Claim | null, event: ClientEvent): boolean {
	if (event.type !== "client.claimLost" || claim?.outlet.node !== event.claim) return false;
	return claim.generation < event.before;
}

function namesOf(address: Address): Pick<ClientContext, "address" | "workspace" | "client"> {
	const [, workspace = "", client = ""] = address.split("/");
	return { address, workspace, client };
}

function pendingOf(event: ConnectEvent, resumed: Claim | null): Pending {
	const generation = event.meta.offset;
	return {
		generation,
		outlet: { node: event.node, connection: event.connection },
		resumeWindowMs: event.resumeWindowMs,
		from: resumed ? resumed.from : generation,
		acked: resumed ? Math.max(resumed.acked, resumed.from - 1, event.cursor ?? -1) : -1,
		// A client's own cursor may be ahead of this note; then a repeat may pass, and nothing is lost.
		seen: resumed ? resumed.seen : null,
		replyTo: event.meta.replyTo,
		recovered: resumed !== null,
	};
}

function leave(context: ClientContext, claim: Claim, reason: string): TellParams {
	return {
		to: addressOf("workspace", context.workspace),
		event: { type: "member.leave", client: context.client, generation: claim.generation, reason },
	};
}

function refusePending(
	pending: Pending,
	reason: string,
	enqueue: (action: { type: "reply"; params: { to: ReplyTo; result: ReplyResult } }) => void,
): void {
	if (!pending.replyTo) return;
	enqueue({ type: "reply", params: { to: pending.replyTo, result: { ok: false, error: reason } } });
}
