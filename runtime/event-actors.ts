/**
 * The two actors behind the event bus: `event/<name>` knows which nodes want an event, `interest/<node id>` knows what
 * one node wants and hears of its end. Own no data of events: those pass through as frames, in mailbox order.
 */
import { type AnyMachineSnapshot, setup } from "xstate";
import { type Address, addressOf } from "./address.ts";
import type { Behaviour } from "./behaviour.ts";
import type { Effect, Outlet, ReplyResult } from "./effect.ts";
import { type EventMeta, machineBehaviour } from "./machine-behaviour.ts";
import type { Event, Message, ReplyTo } from "./message.ts";
import { nodeIdOf } from "./node-name.ts";
import { ACTORS_TOPIC, CLIENTS_TOPIC } from "./topics.ts";

/** The connection by which a node's bus is told, beside the sockets of its clients. */
export const EVENTS_CONNECTION = "events";

export function eventAddress(event: string): Address {
	return addressOf("event", event);
}

export function interestAddress(nodeId: string): Address {
	return addressOf("interest", nodeId);
}

interface EventContext {
	/** Node id → name of its process. */
	readonly nodes: Readonly<Record<string, string>>;
}

/** `answer`: who waits for the change to be in force. */
interface Change {
	readonly type: "event.wanted" | "event.unwanted";
	readonly meta: EventMeta;
	readonly node: string;
	readonly answer?: ReplyTo;
}

const eventSetup = setup({
	types: { context: {} as EventContext, events: {} as Change, input: {} as { address: Address } },
	actions: { reply: (_, _params: { to: ReplyTo; result: ReplyResult }) => {} },
	guards: {
		isCurrent: ({ context, event }) => context.nodes[nodeIdOf(event.node)] === event.node,
	},
});

/** The offset says from where on the node gets everything. */
const answerChange = eventSetup.enqueueActions(({ event: { answer, meta }, enqueue }) => {
	if (answer) enqueue({ type: "reply", params: { to: answer, result: { ok: true, value: meta.offset } } });
});

export const eventMachine = eventSetup.createMachine({
	id: "event",
	context: { nodes: {} },
	initial: "passing",
	states: {
		passing: {
			on: {
				"event.wanted": {
					actions: [
						eventSetup.assign({
							nodes: ({ context, event }) => ({ ...context.nodes, [nodeIdOf(event.node)]: event.node }),
						}),
						answerChange,
					],
				},
				"event.unwanted": [
					{
						guard: "isCurrent",
						actions: [
							eventSetup.assign({
								nodes: ({ context, event }) => {
									const { [nodeIdOf(event.node)]: _, ...others } = context.nodes;
									return others;
								},
							}),
							answerChange,
						],
					},
					{ actions: answerChange },
				],
			},
		},
	},
});

/** An event goes to every node that wants it, that of its emitter included. */
function passEvent({ context }: AnyMachineSnapshot, message: Message): readonly Effect[] {
	const names = Object.values((context as EventContext).nodes);
	if (names.length === 0) return [{ type: "drop", reason: "no-interest" }];
	return names.map((node) => ({
		type: "deliver",
		outlet: { node, connection: EVENTS_CONNECTION },
		message,
	}));
}

interface InterestContext {
	/** The process that speaks for the node; null: none wants anything. */
	readonly node: string | null;
	/** Offset of the command by which it came. */
	readonly since: number;
	readonly events: Readonly<Record<string, true>>;
}

type InterestEvent =
	| {
			readonly type: "interest.add" | "interest.remove";
			readonly meta: EventMeta;
			readonly node: string;
			readonly event: string;
	  }
	/** `before`: a claim of this offset or later is not meant. */
	| {
			readonly type: "interest.lost";
			readonly meta: EventMeta;
			readonly claim: string;
			readonly before: number;
	  };

const interestSetup = setup({
	types: { context: {} as InterestContext, events: {} as InterestEvent, input: {} as { address: Address } },
	actions: {
		tell: (_, _params: { to: Address; event: Event }) => {},
		signal: (_, _params: { outlet: Outlet; signal: Event }) => {},
	},
	guards: {
		isMeant: ({ context, event }) =>
			event.type === "interest.lost" && context.node === event.claim && context.since < event.before,
	},
});

const add = interestSetup.enqueueActions(({ context, event, enqueue }) => {
	if (event.type !== "interest.add") return;
	const { node, event: name, meta } = event;
	const isNew = context.node !== node;
	// What an earlier process of the node wanted ended with it.
	if (isNew) for (const change of unwanted(context)) enqueue(change);
	enqueue.assign({
		node,
		since: isNew ? meta.offset : context.since,
		events: { ...(isNew ? {} : context.events), [name]: true },
	});
	enqueue({ type: "tell", params: changeOf("event.wanted", name, node, meta.replyTo) });
});

const remove = interestSetup.enqueueActions(({ context, event, enqueue }) => {
	if (event.type !== "interest.remove") return;
	const { node, event: name, meta } = event;
	if (context.node === node) {
		const { [name]: _, ...events } = context.events;
		enqueue.assign({ events, node: Object.keys(events).length > 0 ? node : null });
	}
	enqueue({ type: "tell", params: changeOf("event.unwanted", name, node, meta.replyTo) });
});

/** A process that was only thought gone lives on: it must say anew what it wants. */
const lose = interestSetup.enqueueActions(({ context, event, enqueue }) => {
	if (event.type !== "interest.lost") return;
	for (const change of unwanted(context)) enqueue(change);
	const outlet = { node: event.claim, connection: EVENTS_CONNECTION };
	enqueue({ type: "signal", params: { outlet, signal: { type: "lost" } } });
	enqueue.assign({ node: null, events: {} });
});

export const interestMachine = interestSetup.createMachine({
	id: "interest",
	context: { node: null, since: -1, events: {} },
	initial: "noting",
	states: {
		noting: {
			on: {
				"interest.add": { actions: add },
				"interest.remove": { actions: remove },
				"interest.lost": { guard: "isMeant", actions: lose },
			},
		},
	},
});

const eventBehaviour: Behaviour = machineBehaviour({
	type: "event",
	version: 1,
	// Events are of no use for long: they are kept as briefly as what passes through clients' mailboxes.
	topic: CLIENTS_TOPIC,
	machine: eventMachine,
	queries: { "event.nodes": ({ context }) => Object.keys((context as EventContext).nodes).sort() },
	pass: passEvent,
});

const interestBehaviour: Behaviour = machineBehaviour({
	type: "interest",
	version: 1,
	topic: ACTORS_TOPIC,
	machine: interestMachine,
	queries: { "interest.events": ({ context }) => Object.keys((context as InterestContext).events).sort() },
	claim: ({ context }) => (context as InterestContext).node ?? undefined,
	claimLostType: "interest.lost",
});

/** What a node needs so that an EventBus can stand on it. */
export const EVENT_BEHAVIOURS: readonly Behaviour[] = [eventBehaviour, interestBehaviour];

function unwanted({ node, events }: InterestContext) {
	const names = node === null ? [] : Object.keys(events);
	return names.map((name) => ({
		type: "tell" as const,
		params: changeOf("event.unwanted", name, node as string, undefined),
	}));
}

function changeOf(type: Change["type"], event: string, node: string, answer: ReplyTo | undefined) {
	return { to: eventAddress(event), event: { type, node, answer } };
}
