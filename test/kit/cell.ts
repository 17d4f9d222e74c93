/**
 * The actor of the simulation: notes who told it what and in which order, passes notes on, keeps timers and frames.
 * Owns the machine, which finds by itself what must never happen and keeps it under `wrong`.
 */
import { type AnyMachineSnapshot, setup } from "xstate";
import type { Behaviour } from "../../runtime/behaviour.ts";
import type { Effect, Outlet, ReplyResult } from "../../runtime/effect.ts";
import { type EventMeta, machineBehaviour } from "../../runtime/machine-behaviour.ts";
import type { Event, Message, ReplyTo } from "../../runtime/message.ts";
import { ACTORS_TOPIC, CLIENTS_TOPIC } from "../../runtime/topics.ts";

export interface CellContext {
	readonly address: string;
	/** Numbers heard from each sender, in order. */
	readonly heard: Readonly<Record<string, readonly number[]>>;
	/** Last number given to each receiver. */
	readonly sent: Readonly<Record<string, number>>;
	/** Effects of asks that are tried again, by the id their caller gave. */
	readonly once: Readonly<Record<string, number>>;
	/** Timers: the deadline while armed, then what became of them. */
	readonly timers: Readonly<Record<string, number | "rang" | "disarmed">>;
	readonly subscribers: readonly string[];
	readonly outlet: Outlet | null;
	/** Offset of the command that gave it the outlet. */
	readonly attachedAt: number;
	readonly wrong: readonly string[];
}

type CellEvent =
	/** `from`, where it is no actor, numbers its notes with gaps (what the log refused). */
	| { type: "note"; meta: EventMeta; from?: string; n: number; path: readonly string[] }
	| { type: "once"; meta: EventMeta; id: string }
	| { type: "arm"; meta: EventMeta; id: string; delayMs: number }
	| { type: "disarm"; meta: EventMeta; id: string }
	| { type: "ring"; meta: EventMeta; id: string }
	| { type: "subscribe"; meta: EventMeta; who: string; on: boolean }
	| { type: "attach"; meta: EventMeta; outlet: Outlet }
	| { type: "detached"; meta: EventMeta; claim: string }
	| { type: "fail"; meta: EventMeta };

const cell = setup({
	types: { context: {} as CellContext, events: {} as CellEvent, input: {} as { address: string } },
	actions: {
		tell: (_, _params: { to: string; event: Event }) => {},
		reply: (_, _params: { to: ReplyTo; result: ReplyResult }) => {},
	},
});

type Of<Type extends CellEvent["type"]> = Extract<CellEvent, { type: Type }>;

const note = cell.enqueueActions(({ context, event, enqueue }) => {
	const { meta, n, path, from } = event as Of<"note">;
	const sender = from ?? meta.from ?? "";
	const before = context.heard[sender] ?? [];
	const last = before.at(-1) ?? 0;
	const fits = from === undefined ? n === last + 1 : n > last;
	const wrong = fits ? context.wrong : [...context.wrong, `${sender}: ${n} after ${last}`];
	enqueue.assign({ heard: { ...context.heard, [sender]: [...before, n] }, wrong });
	const [next, ...rest] = path;
	if (next !== undefined) {
		const number = (context.sent[next] ?? 0) + 1;
		enqueue.assign({ sent: { ...context.sent, [next]: number } });
		enqueue({ type: "tell", params: { to: next, event: { type: "note", n: number, path: rest } } });
	}
	if (meta.replyTo) enqueue({ type: "reply", params: { to: meta.replyTo, result: { ok: true, value: n } } });
});

const once = cell.enqueueActions(({ context, event, enqueue }) => {
	const { id, meta } = event as Of<"once">;
	const times = (context.once[id] ?? 0) + 1;
	enqueue.assign({ once: { ...context.once, [id]: times } });
	if (meta.replyTo) enqueue({ type: "reply", params: { to: meta.replyTo, result: { ok: true, value: id } } });
});

const arm = cell.enqueueActions(({ context, event, enqueue }) => {
	const { id, delayMs, meta } = event as Of<"arm">;
	if (context.timers[id] !== undefined) return;
	enqueue.assign({ timers: { ...context.timers, [id]: meta.timestamp + delayMs } });
	enqueue.raise({ type: "ring", id } as never, { id, delay: delayMs });
});

const disarm = cell.enqueueActions(({ context, event, enqueue }) => {
	const { id } = event as Of<"disarm">;
	if (typeof context.timers[id] !== "number") return;
	enqueue.assign({ timers: { ...context.timers, [id]: "disarmed" } });
	enqueue.cancel(id);
});

const ring = cell.assign(({ context, event }) => {
	const { id, meta } = event as Of<"ring">;
	const at = context.timers[id];
	const early = typeof at !== "number" || meta.timestamp < at;
	return {
		timers: { ...context.timers, [id]: "rang" },
		wrong: early ? [...context.wrong, `ring ${id} at ${meta.timestamp}, was ${at}`] : context.wrong,
	};
});

const subscribe = cell.assign(({ context, event }) => {
	const { who, on } = event as Of<"subscribe">;
	const others = context.subscribers.filter((other) => other !== who);
	return { subscribers: on ? [...others, who] : others };
});

const fail = cell.assign(() => {
	throw new Error("this note cannot be taken");
});

const cellMachine = cell.createMachine({
	id: "cell",
	context: ({ input }) => ({
		address: input.address,
		heard: {},
		sent: {},
		once: {},
		timers: {},
		subscribers: [],
		outlet: null,
		attachedAt: -1,
		wrong: [],
	}),
	on: {
		note: { actions: note },
		once: { actions: once },
		arm: { actions: arm },
		disarm: { actions: disarm },
		ring: { actions: ring },
		subscribe: { actions: subscribe },
		attach: {
			actions: cell.assign(({ event }) => ({
				outlet: (event as Of<"attach">).outlet,
				attachedAt: event.meta.offset,
			})),
		},
		detached: {
			guard: ({ context, event }) => context.outlet?.node === (event as Of<"detached">).claim,
			actions: cell.assign({ outlet: null }),
		},
		fail: { actions: fail },
	},
});

/** A frame for subscribers goes to each of them; any other goes to the socket. */
function pass(snapshot: AnyMachineSnapshot, message: Message): readonly Effect[] {
	const { subscribers, outlet } = snapshot.context as CellContext;
	if (message.type === "broadcast") {
		return subscribers.map((to) => ({ type: "forward", to, message }));
	}
	return outlet ? [{ type: "deliver", outlet, message }] : [{ type: "drop", reason: "detached" }];
}

function behaviour(type: string, topic: string): Behaviour {
	return machineBehaviour({
		type,
		version: 1,
		topic,
		machine: cellMachine,
		queries: { wrong: (snapshot) => snapshot.context.wrong.length },
		pass,
		claim: (snapshot) => (snapshot.context as CellContext).outlet?.node,
		claimLostType: "detached",
	});
}

/** Two types, so that both mailbox topics are in use. */
export const cellBehaviours: readonly Behaviour[] = [
	behaviour("cell", ACTORS_TOPIC),
	behaviour("leaf", CLIENTS_TOPIC),
];
