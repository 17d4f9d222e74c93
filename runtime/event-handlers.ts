/**
 * The handlers of events in this process: who is called, in which order, how often. Owns each handler's queue; where
 * events come from (this process or the log) is event-bus.ts.
 */
import { isDeepStrictEqual } from "node:util";
import type { EventData, JsonValue } from "./event-data.ts";
import type { Logger } from "./logger.ts";

/** Events that wait for one handler to be done with those before; past it they are dropped for it, counted and logged. */
export const HANDLER_QUEUE_EVENTS_MAX = 10_000;

/** What a handler hears beside the data. */
export interface EventInfo {
	readonly event: string;
	/** Id of the node that emitted it. */
	readonly node: string;
}

/** Called for one event after the other; a promise is waited for. What it throws is logged. */
export type EventHandler = (data: EventData, info: EventInfo) => unknown;

/** Fields that the data must have with equal values; a value that is no map must be equal; or a judgement. */
export type EventMatch = EventData | ((data: EventData) => boolean);

export interface Handling {
	readonly handler: EventHandler;
	readonly once: boolean;
	readonly waiting: { readonly data: EventData; readonly info: EventInfo }[];
	running: boolean;
}

export class EventHandlers {
	readonly #logger: Logger;
	/** In the order in which they came. */
	readonly #handlings = new Map<string, Set<Handling>>();
	/** Events that a handler's full queue did not take. */
	dropped = 0;

	constructor(logger: Logger) {
		this.#logger = logger;
	}

	/** Names of events that have handlers, with how many. */
	get counts(): ReadonlyMap<string, number> {
		return new Map([...this.#handlings].map(([event, { size }]) => [event, size]));
	}

	has(event: string): boolean {
		return this.#handlings.has(event);
	}

	add(event: string, handler: EventHandler, once: boolean): Handling {
		const handling = { handler, once, waiting: [], running: false };
		const handlings = this.#handlings.get(event) ?? new Set();
		this.#handlings.set(event, handlings.add(handling));
		return handling;
	}

	/** All of the event's where `handler` is undefined; what waits for them is not handled any more. */
	remove(event: string, handler?: EventHandler): void {
		for (const handling of this.#handlings.get(event) ?? []) {
			if (handler === undefined || handling.handler === handler) this.drop(event, handling);
		}
	}

	drop(event: string, handling: Handling): void {
		handling.waiting.length = 0;
		this.#forget(event, handling);
	}

	dispatch(data: EventData, info: EventInfo): void {
		// As they are now: a handler that removes itself or adds another must not make a third one miss this event.
		for (const handling of [...(this.#handlings.get(info.event) ?? [])]) {
			if (handling.once) this.#forget(info.event, handling);
			if (handling.waiting.length < HANDLER_QUEUE_EVENTS_MAX) handling.waiting.push({ data, info });
			else if (this.dropped++ === 0)
				this.#logger.error({ event: info.event }, "a handler does not keep up: events are dropped");
			if (!handling.running) void this.#run(handling);
		}
	}

	async #run(handling: Handling): Promise<void> {
		handling.running = true;
		for (let next = handling.waiting.shift(); next; next = handling.waiting.shift()) {
			const { data, info } = next;
			try {
				await handling.handler(data, info);
			} catch (err) {
				this.#logger.error({ event: info.event, err }, "a handler of an event failed");
			}
		}
		handling.running = false;
	}

	#forget(event: string, handling: Handling): void {
		const handlings = this.#handlings.get(event);
		handlings?.delete(handling);
		if (handlings?.size === 0) this.#handlings.delete(event);
	}
}

export function isMatch(match: EventMatch | undefined, data: EventData): boolean {
	if (match === undefined) return true;
	if (typeof match === "function") return match(data);
	if (!isMap(match)) return isDeepStrictEqual(match, data);
	return isMap(data) && Object.entries(match).every(([key, value]) => isDeepStrictEqual(data[key], value));
}

/** For errors; a judgement is told by its name. */
export function matchText(match: EventMatch | undefined): string {
	if (match === undefined) return "any";
	if (typeof match === "function") return match.name || "a function";
	return match instanceof Uint8Array ? `${match.length} bytes` : JSON.stringify(match);
}

function isMap(value: EventData): value is { readonly [key: string]: JsonValue } {
	return (
		typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
	);
}
