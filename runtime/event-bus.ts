/**
 * Events between the programs that embed Mycelog: emit on one node, handled on every node that asked for it.
 * Owns what this process wants and keeps the log told of it; events themselves go through the mailbox of their
 * `event/<name>` actor, so no topic is made for one and a node that lives misses none.
 */
import { MycelogError } from "../persistence/errors.ts";
import { type Clock, systemClock } from "./clock.ts";
import { EVENTS_CONNECTION, eventAddress, interestAddress } from "./event-actors.ts";
import { decodeData, type EventData, encodeData } from "./event-data.ts";
import { type EventHandler, EventHandlers, type EventMatch, isMatch, matchText } from "./event-handlers.ts";
import { EventParts, partsOf } from "./event-parts.ts";
import type { Logger } from "./logger.ts";
import type { Event, Message } from "./message.ts";
import type { Node } from "./node.ts";
import { nodeIdOf } from "./node-name.ts";
import type { LocalOutlets } from "./partition-effects.ts";

/** Characters of an event's name. */
export const EVENT_NAME_CHARACTERS_MAX = 200;
/** Events that one node has handlers for. */
export const EVENTS_WANTED_MAX = 10_000;
/** Until a change of what is wanted must be in force, milliseconds. */
const CHANGE_MS_MAX = 10_000;
/** Between two tries to say anew what is wanted, milliseconds. */
const RETRY_MS = 1_000;
/** Events whose newest offset is remembered, so that a repeat is not handled again. */
const POSITIONS_MAX = 20_000;

/** Of `waitFor` and `waitForLocal`. */
export interface WaitOptions {
	/** Milliseconds after which the wait rejects with `event.wait-timeout`. */
	readonly timeoutMs: number;
	readonly match?: EventMatch;
}

/** How an event stands on this node. */
export interface EventStatus {
	readonly event: string;
	/** Handlers of this process. */
	readonly handlers: number;
	/** The log has it: every event emitted from now on comes here. */
	readonly inForce: boolean;
}

interface Wanted {
	/** Undefined: it was asked for, and nobody knows whether it came about. */
	inForce: boolean | undefined;
	/** Offset from which on everything comes. */
	from: number;
	changing: Promise<void>;
}

/** Made before the node, which gives it what is for the bus; the rest goes on to `others`, such as a gateway's sockets. */
export class EventOutlets implements LocalOutlets {
	readonly #others: LocalOutlets;
	bus: LocalOutlets | undefined;

	constructor(others: LocalOutlets = { deliver: () => {}, signal: () => {} }) {
		this.#others = others;
	}

	/** To the bus or the gateway, as the connection says. */
	deliver(connection: string, message: Message): void {
		this.#of(connection)?.deliver(connection, message);
	}

	/** To the bus or the gateway, as the connection says. */
	signal(connection: string, signal: Event): void {
		this.#of(connection)?.signal(connection, signal);
	}

	#of(connection: string): LocalOutlets | undefined {
		return connection === EVENTS_CONNECTION ? this.bus : this.#others;
	}
}

/** Events between the processes that share a log; see docs/reference/event-bus.md. */
export class EventBus {
	readonly #node: Node;
	readonly #logger: Logger;
	readonly #clock: Clock;
	readonly #handlers: EventHandlers;
	readonly #local: EventHandlers;
	readonly #wanted = new Map<string, Wanted>();
	readonly #positions = new Map<string, number>();
	readonly #parts = new EventParts();
	readonly #waiters = new Set<(error: MycelogError) => void>();
	#emitted = 0;
	#stopped = false;

	constructor(parts: { node: Node; outlets: EventOutlets; logger: Logger; clock?: Clock }) {
		this.#node = parts.node;
		this.#logger = parts.logger;
		this.#clock = parts.clock ?? systemClock;
		this.#handlers = new EventHandlers(parts.logger);
		this.#local = new EventHandlers(parts.logger);
		parts.outlets.bus = {
			deliver: (_, message) => this.#deliver(message),
			signal: () => this.#tellAnew(),
		};
	}

	/** Resolves when it is in force: every event emitted after that, on any node, is handled here. */
	async on(event: string, handler: EventHandler): Promise<void> {
		await this.#add(event, handler, false);
	}

	/** As `on`, for the first event only. */
	async once(event: string, handler: EventHandler): Promise<void> {
		await this.#add(event, handler, true);
	}

	/** All handlers of the event where none is named. Resolves when no event comes here any more, if it was the last one. */
	async off(event: string, handler?: EventHandler): Promise<void> {
		checkName(event);
		this.#handlers.remove(event, handler);
		await this.#agree(event);
	}

	/**
	 * To the `on` handlers of all nodes, and to the `onLocal` handlers of this process. Resolves when the log has it;
	 * rejects as the log does, and with `event.not-sendable`, `event.too-large`.
	 */
	async emit(event: string, data: EventData): Promise<void> {
		checkName(event);
		const encoded = encodeData(data);
		const to = eventAddress(event);
		const parts = partsOf(this.#node.name.text, ++this.#emitted, encoded);
		// All of them at once: they stay in order, and another event of this process cannot come between.
		const sent = parts.map((part) => this.#node.submit({ to, kind: "frame", type: "event", ...part }));
		await Promise.all(sent);
		this.#local.dispatch(data, { event, node: this.#node.name.id });
	}

	/** The next event that matches, from any node. Rejects with `event.wait-timeout`. */
	async waitFor(event: string, { timeoutMs, match }: WaitOptions): Promise<EventData> {
		const waited = this.#wait(this.#handlers, event, {
			timeoutMs,
			...(match !== undefined ? { match } : {}),
		});
		this.#agree(event).catch(waited.fail);
		try {
			return await waited.result;
		} finally {
			this.#agree(event).catch((err) =>
				this.#logger.debug({ event, err }, "interest in an event not given up"),
			);
		}
	}

	/** Handle what is emitted with `emit` or `emitLocal` by this process. */
	onLocal(event: string, handler: EventHandler): void {
		checkName(event);
		this.#local.add(event, handler, false);
	}

	/** The same for the first one only. */
	onceLocal(event: string, handler: EventHandler): void {
		checkName(event);
		this.#local.add(event, handler, true);
	}

	/** Remove the handler, or all of the event. */
	offLocal(event: string, handler?: EventHandler): void {
		this.#local.remove(event, handler);
	}

	/** To the `onLocal` handlers of this process; nothing gets into the log. */
	emitLocal(event: string, data: EventData): void {
		checkName(event);
		this.#local.dispatch(data, { event, node: this.#node.name.id });
	}

	/** The next event of this process that matches. Rejects with `event.wait-timeout`. */
	waitForLocal(event: string, options: WaitOptions): Promise<EventData> {
		return this.#wait(this.#local, event, options).result;
	}

	/** What this node wants, and how far the cluster knows. */
	get status(): {
		readonly events: readonly EventStatus[];
		readonly local: number;
		readonly dropped: number;
	} {
		const { counts } = this.#handlers;
		const events = [...this.#wanted].map(([event, { inForce }]) => {
			return { event, handlers: counts.get(event) ?? 0, inForce: inForce === true };
		});
		const local = [...this.#local.counts.values()].reduce((sum, count) => sum + count, 0);
		return { events, local, dropped: this.#handlers.dropped + this.#local.dropped };
	}

	/** Nothing is handled any more; the cluster takes note when the node has gone. */
	stop(): void {
		this.#stopped = true;
		for (const { event } of this.status.events) this.#handlers.remove(event);
		for (const event of this.#local.counts.keys()) this.#local.remove(event);
		for (const fail of [...this.#waiters]) fail(new MycelogError("log.closed", "the node stops"));
	}

	async #add(event: string, handler: EventHandler, once: boolean): Promise<void> {
		checkName(event);
		if (this.#wanted.size >= EVENTS_WANTED_MAX && !this.#wanted.has(event)) {
			const text = `a node may have handlers for at most ${EVENTS_WANTED_MAX} events`;
			throw new MycelogError("event.too-many", text, { limit: EVENTS_WANTED_MAX });
		}
		const handling = this.#handlers.add(event, handler, once);
		try {
			await this.#agree(event);
		} catch (error) {
			this.#handlers.drop(event, handling);
			throw error;
		}
	}

	#wait(handlers: EventHandlers, event: string, { timeoutMs, match }: WaitOptions) {
		checkName(event);
		const { promise, resolve, reject } = Promise.withResolvers<EventData>();
		const handling = handlers.add(event, (data) => isMatch(match, data) && resolve(data), false);
		const cancel = this.#clock.after(timeoutMs, () => {
			const words = matchText(match);
			const text = `no event "${event}" that matches ${words} came within ${timeoutMs} ms`;
			reject(new MycelogError("event.wait-timeout", text, { event, match: words, timeoutMs }));
		});
		const result = promise.finally(() => {
			cancel();
			handlers.drop(event, handling);
			this.#waiters.delete(reject);
		});
		this.#waiters.add(reject);
		return { result, fail: reject };
	}

	/** What is wanted and what is in force become the same, one change after the other. */
	#agree(event: string): Promise<void> {
		const wanted = this.#wanted.get(event) ?? { inForce: false, from: -1, changing: Promise.resolve() };
		this.#wanted.set(event, wanted);
		const change = () => this.#change(event, wanted);
		wanted.changing = wanted.changing.then(change, change);
		// Who asked hears of a failure; whoever comes next starts anew.
		return wanted.changing;
	}

	async #change(event: string, wanted: Wanted): Promise<void> {
		const isWanted = this.#handlers.has(event);
		if (this.#stopped && isWanted) throw new MycelogError("log.closed", "the event bus has stopped");
		if (!this.#stopped && wanted.inForce !== isWanted) {
			wanted.inForce = undefined;
			const { id, text: node } = this.#node.name;
			const type = isWanted ? "interest.add" : "interest.remove";
			const asked = { kind: "command", timeoutMs: CHANGE_MS_MAX } as const;
			const offset = await this.#node.ask(interestAddress(id), { type, node, event }, asked);
			wanted.inForce = isWanted;
			wanted.from = offset as number;
		}
		if (wanted.inForce === false && !this.#handlers.has(event)) this.#wanted.delete(event);
	}

	/** Others took this node for gone: what was emitted meanwhile did not come here. */
	#tellAnew(): void {
		const events = [...this.#wanted.keys()];
		this.#logger.warn({ events: events.length }, "events may have been missed: this node was taken for gone");
		for (const [event, wanted] of this.#wanted) {
			wanted.inForce = false;
			this.#insist(event);
		}
	}

	#insist(event: string): void {
		if (this.#stopped || !this.#wanted.has(event)) return;
		this.#agree(event).catch((err) => {
			this.#logger.warn({ event, err }, "interest in an event not told; trying again");
			this.#clock.after(RETRY_MS, () => this.#insist(event));
		});
	}

	#deliver(message: Message): void {
		const event = message.to.slice(message.to.indexOf("/") + 1);
		const { offset } = message;
		const wanted = this.#wanted.get(event);
		// What came before it was in force, and repeats: a new owner of the mailbox goes through its last records again.
		if (!wanted || offset <= wanted.from || offset <= (this.#positions.get(event) ?? -1)) return;
		this.#positions.delete(event);
		this.#positions.set(event, offset);
		const [oldest] = this.#positions.keys();
		if (this.#positions.size > POSITIONS_MAX && oldest !== undefined) this.#positions.delete(oldest);
		const arrived = this.#parts.take(message);
		if (!arrived) return;
		this.#handlers.dispatch(decodeData(arrived), { event, node: nodeIdOf(arrived.node) });
		if (!this.#handlers.has(event)) this.#insist(event);
	}
}

function checkName(event: string): void {
	if (
		typeof event === "string" &&
		event !== "" &&
		event.length <= EVENT_NAME_CHARACTERS_MAX &&
		event.isWellFormed()
	)
		return;
	const text = `an event's name must be well-formed text of 1 to ${EVENT_NAME_CHARACTERS_MAX} characters`;
	throw new MycelogError("event.invalid-name", text);
}
