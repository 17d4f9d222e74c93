/**
 * Runs what the actors of one partition have asked for outside the fold: promises, callbacks and effects with code of
 * their own. Owns starting, retries and stopping; what is to be run is part of the actors' states, and what comes of it
 * is appended to their mailboxes. Work whose end is not in the mailbox runs again on the next owner: at least once.
 */
import { createActor } from "xstate";
import type { Log } from "../persistence/log.ts";
import { type Actor, timerFacts } from "./actor.ts";
import type { Address } from "./address.ts";
import type { Clock } from "./clock.ts";
import type { Logger } from "./logger.ts";
import { type Draft, type Event, encodeBody } from "./message.ts";
import type { Tracing } from "./tracing.ts";

/** Tries of work that fails, the first one included, if its type does not say. */
export const WORK_ATTEMPTS_DEFAULT = 3;
/** Before the second try, milliseconds; it doubles with each further one. */
export const WORK_BACKOFF_MS_DEFAULT = 500;
/** Longest pause between two tries, milliseconds. */
export const WORK_BACKOFF_MS_MAX = 60_000;
/** Pieces of work of one partition that run at once; others wait for one to end. */
export const WORK_RUNNING_MAX = 1_000;

/** Types of the records by which work comes back. */
const WORK_DONE = "mycelog.done";
export const WORK_FAILED = "mycelog.failed";
export const WORK_SENT = "mycelog.sent";
/** The fact that names the work an event was sent by. */
export const WORK_FACT = "work";

/** What an effect is given beside its parameters. */
export interface WorkTools {
	/** The same whenever this piece of work runs, for the other side to know a repeat by. */
	readonly key: string;
	readonly address: Address;
	/** Aborted when the actor does not want it any more, or another node has the actor. */
	readonly signal: AbortSignal;
}

export interface WorkCode {
	readonly attempts: number;
	readonly backoffMs: number;
	/** Of an effect; an event that it gives back is sent to the actor. */
	readonly run?: (input: unknown, tools: WorkTools) => unknown;
}

/** A promise, a callback or an effect that an actor's state asks for. */
export interface WorkToRun extends WorkCode {
	/** Session of the work: also its key. */
	readonly session: string;
	readonly src: string;
	readonly input: unknown;
	/** XState's, of what a machine has invoked or spawned. */
	readonly logic?: never;
}

export interface WorkParts {
	readonly log: Pick<Log, "maxRecordBytes">;
	readonly effects: { append(draft: Draft): void };
	readonly clock: Clock;
	readonly logger: Logger;
	readonly tracing: Tracing | undefined;
}

interface Running {
	/** Undefined: it waits for its turn, or has ended and its end is on its way into the mailbox. */
	stop: (() => void) | undefined;
}

export class WorkRunner {
	readonly #parts: WorkParts;
	readonly #running = new Map<Address, Map<string, Running>>();
	#count = 0;
	readonly #waiting: (() => void)[] = [];
	#stopped = false;

	constructor(parts: WorkParts) {
		this.#parts = parts;
	}

	/** Make what runs be what the actor's state asks for. */
	reconcile(actor: Actor): void {
		if (this.#stopped) return;
		const { address } = actor;
		const running = this.#running.get(address);
		const wanted = new Set<string>();
		for (const timer of actor.work()) {
			const name = `${timer.id} ${timer.at}`;
			wanted.add(name);
			if (running?.has(name)) continue;
			const work = actor.behaviour.work?.(actor.state, timer.id);
			if (work) this.#begin(address, name, work, timerFacts(timer));
		}
		for (const [name, { stop }] of running ?? []) {
			if (wanted.has(name)) continue;
			running?.delete(name);
			stop?.();
		}
		if (running?.size === 0) this.#running.delete(address);
	}

	/** The partition is let go of: whoever has it next runs again what has not ended. */
	stop(): void {
		this.#stopped = true;
		this.#waiting.length = 0;
		for (const running of this.#running.values()) for (const { stop } of running.values()) stop?.();
		this.#running.clear();
	}

	#begin(address: Address, name: string, work: WorkToRun, facts: Readonly<Record<string, string>>): void {
		const mine = this.#running.get(address) ?? new Map<string, Running>();
		this.#running.set(address, mine);
		const running: Running = { stop: undefined };
		mine.set(name, running);
		// Of the message that asked for it; what is begun again after a restart is in no trace.
		const cause = this.#parts.tracing?.current?.trace;
		const turn = () => {
			if (this.#stopped || mine.get(name) !== running) return this.#next();
			this.#count++;
			this.#run(address, work, facts, running, cause);
		};
		if (this.#count < WORK_RUNNING_MAX) turn();
		else this.#waiting.push(turn);
	}

	#next(): void {
		if (this.#count < WORK_RUNNING_MAX) this.#waiting.shift()?.();
	}

	#run(
		address: Address,
		work: WorkToRun,
		facts: Readonly<Record<string, string>>,
		running: Running,
		cause: string | undefined,
	): void {
		const { clock, effects, logger, log, tracing } = this.#parts;
		const span = cause === undefined ? undefined : tracing?.work(address, work.src, cause);
		let attempt = 0;
		let cancelRetry: () => void = () => {};
		let stopRun: () => void = () => {};
		let over = false;
		const end = (failure?: unknown) => {
			over = true;
			span?.end(failure);
			running.stop = undefined;
			this.#count--;
			this.#next();
		};
		/** Throws where msgpack or the log cannot carry it. */
		const append = (kind: "timer" | "command", event: Event, ofWork: Readonly<Record<string, string>>) => {
			const body = encodeBody(event);
			if (body.length > log.maxRecordBytes) {
				throw new RangeError(`${body.length} bytes came of ${work.src}, the log takes ${log.maxRecordBytes}`);
			}
			const draft = { to: address, kind, type: event.type, body, facts: ofWork };
			effects.append(span ? { ...draft, trace: span.trace } : draft);
		};
		const failed = (error: unknown) => {
			if (over) return;
			const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
			if (attempt < work.attempts) {
				const pauseMs = Math.min(work.backoffMs * 2 ** (attempt - 1), WORK_BACKOFF_MS_MAX);
				logger.warn({ address, work: work.src, attempt, pauseMs, err: error }, "work failed; trying again");
				cancelRetry = clock.after(pauseMs, start);
				return;
			}
			end(error);
			append("timer", { type: WORK_FAILED, error: { name, message, stack }, attempts: attempt }, facts);
		};
		const done = (output: unknown) => {
			if (over) return;
			try {
				append("timer", { type: WORK_DONE, output }, facts);
				end();
			} catch (error) {
				failed(error);
			}
		};
		const sent = (event: Event) => {
			try {
				if (!over) append("command", { type: WORK_SENT, event }, { [WORK_FACT]: work.session });
			} catch (error) {
				failed(error);
			}
		};
		const start = () => {
			attempt++;
			// It may fail before it has begun: the next try is planned by then.
			const run = () =>
				work.logic === undefined
					? runEffect(address, work, done, failed)
					: runLogic(work, done, failed, sent);
			stopRun = span && tracing ? tracing.within(span, run) : run();
		};
		running.stop = () => {
			end();
			cancelRetry();
			stopRun();
		};
		start();
	}
}

function runEffect(
	address: Address,
	{ run, input, session }: WorkToRun,
	done: (output: unknown) => void,
	failed: (error: unknown) => void,
): () => void {
	const controller = new AbortController();
	const { signal } = controller;
	// In a turn of its own: what it throws at once is a failure like any other.
	Promise.resolve()
		.then(() => (signal.aborted ? undefined : run?.(input, { key: session, address, signal })))
		.then(done, failed);
	return () => controller.abort();
}

/** A real XState actor; to its code it is the child it would be anywhere, with the session for a key. */
function runLogic(
	{ logic, session, src, input }: WorkToRun,
	done: (output: unknown) => void,
	failed: (error: unknown) => void,
	sent: (event: Event) => void,
): () => void {
	const parent = { sessionId: session, id: "parent", _send: sent, system: undefined as unknown };
	const host = createActor(logic as never, { id: session } as never).system as unknown as {
		_bookId(): string;
		_relay(source: unknown, target: unknown, event: Event): void;
	};
	const relay = host._relay.bind(host);
	host._bookId = () => session;
	host._relay = (source, target, event) =>
		target === parent ? ofChild(event, sent) : relay(source, target, event);
	parent.system = host;
	const actor = createActor(logic as never, { id: session, src, input, parent } as never);
	actor.subscribe({
		error: failed,
		complete: () => done((actor.getSnapshot() as { readonly output?: unknown }).output),
	});
	actor.start();
	return () => {
		(actor as unknown as { _stop(): void })._stop();
	};
}

/** Its end is told by its snapshot. */
function ofChild(event: Event, sent: (event: Event) => void): void {
	if (!event.type.startsWith("xstate.done.actor.") && !event.type.startsWith("xstate.error.actor."))
		sent(event);
}
