/**
 * A read model that follows the actors: hands the messages of the mailboxes that this node owns to a handler, in order,
 * and keeps its place. Owns pause, reset, stop and what watchers see; what runs is projection-loop.ts.
 */
import { MycelogError } from "../persistence/errors.ts";
import { unlessAborted } from "./abort.ts";
import { checkRetries } from "./define-actor.ts";
import {
	callable,
	checkOptions,
	type Kinds,
	listOf,
	needed,
	oneOf,
	record,
	text,
	wholeFrom,
} from "./option-checks.ts";
import { ProjectionLoop, type ProjectionOptions, type ProjectionParts } from "./projection-loop.ts";

/** How far a read model is on this node. */
export interface ProjectionStatus {
	/** `failed`: the handler has had its tries; `resume` tries again. */
	readonly state: "running" | "paused" | "failed" | "stopped";
	readonly error?: Error;
	/** Tries of the handler that failed since one succeeded. */
	readonly attempts: number;
	/** Of this node, as far as they are read. */
	readonly partitions: readonly {
		readonly partition: number;
		/** The next offset to hand on. */
		readonly next: number;
		/** The log is known to reach up to here. */
		readonly end: number;
		/** Offsets between the two. */
		readonly lag: number;
	}[];
	/** Offsets of all partitions together. */
	readonly lag: number;
}

const NAME = /^[A-Za-z0-9._-]{1,100}$/;

const OPTIONS: Kinds<ProjectionOptions> = {
	name: needed({
		words: "a name of 1 to 100 letters, digits, dots, _ or -",
		has: (value) => typeof value === "string" && NAME.test(value),
	}),
	handler: needed(callable),
	types: listOf(text),
	from: oneOf("start", "end"),
	load: callable,
	batch: wholeFrom(1),
	retries: record,
};

/** A read model under way. Made by `node.project`. */
export class Projection {
	readonly name: string;
	readonly #parts: ProjectionParts;
	readonly #loop: ProjectionLoop;
	#state: ProjectionStatus["state"] = "paused";
	#error: Error | undefined;
	#running: { readonly abort: AbortController; readonly ended: Promise<void> } | undefined;
	#change = Promise.withResolvers<void>();

	/** Throws `config.unknown-option`, `config.invalid-value`, `actor.unknown-type`. */
	constructor(options: ProjectionOptions, parts: ProjectionParts) {
		checkOptions("project", options, OPTIONS);
		checkRetries("project", options.retries);
		this.name = options.name;
		this.#parts = parts;
		this.#loop = new ProjectionLoop(options, parts, () => this.#changed());
		this.resume();
	}

	/** As of now; `watch` gives it anew after each change. */
	get status(): ProjectionStatus {
		const { node } = this.#parts;
		const partitions = [...this.#loop.cursors].map(([partition, { of, place }]) => {
			const { next } = place;
			const end = Math.max(node.appender.end(of.id), node.log.end?.(of.id) ?? 0, of.recoveredTo, of.next);
			return { partition, next, end, lag: Math.max(end - next, 0) };
		});
		return {
			state: this.#state,
			...(this.#error ? { error: this.#error } : undefined),
			attempts: this.#loop.attempts,
			partitions: partitions.sort((left, right) => left.partition - right.partition),
			lag: partitions.reduce((sum, { lag }) => sum + lag, 0),
		};
	}

	/** The status now and after each change, until the loop is left or the signal says so; ends when it has stopped. */
	async *watch({ signal }: { readonly signal?: AbortSignal } = {}): AsyncGenerator<ProjectionStatus> {
		for (;;) {
			const { promise } = this.#change;
			const { status } = this;
			yield status;
			if (status.state === "stopped") return;
			await unlessAborted(promise, signal);
		}
	}

	/**
	 * Everything has been handled that is in this node's mailboxes now. Rejects with what has stopped the projection, or
	 * the signal's reason.
	 */
	async caughtUp({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
		const { node } = this.#parts;
		const ends = this.#loop.owned().map((of) => ({ of, end: Math.max(node.appender.end(of.id), of.next) }));
		const isBehind = ({ of, end }: (typeof ends)[number]) => {
			const cursor = this.#loop.cursors.get(of.id.partition);
			return this.#loop.owned().includes(of) && (cursor?.of !== of || cursor.place.next < end);
		};
		for (;;) {
			const { promise } = this.#change;
			if (this.#error) throw this.#error;
			if (!ends.some(isBehind)) return;
			if (this.#state === "stopped")
				throw new MycelogError("log.closed", `projection ${this.name} has stopped`);
			await unlessAborted(promise, signal);
		}
	}

	/** Resolves when the handler has ended; its signal is aborted. Of this node and process alone. */
	async pause(): Promise<void> {
		await this.#end();
		if (this.#state !== "stopped") this.#become("paused");
	}

	/** Go on from where it was, after a pause or a failure. */
	resume(): void {
		if (this.#running || this.#state === "stopped") return;
		this.#become("running");
		const abort = new AbortController();
		this.#running = { abort, ended: this.#run(abort.signal) };
	}

	/**
	 * Begin anew, at `from`, with the partitions of this node. While nothing runs, `clear` removes what the handler has
	 * made, the positions that it has stored included. Goes on if it was running.
	 */
	async reset(clear: () => void | Promise<void> = () => {}): Promise<void> {
		const isRunning = this.#state === "running";
		await this.pause();
		// In this order: what fails in between makes the handler get records again, and leaves none out.
		await this.#loop.reset();
		await clear();
		this.#become(this.#state);
		if (isRunning) this.resume();
	}

	/** For good: its node stops. */
	async stop(): Promise<void> {
		await this.#end();
		this.#become("stopped");
	}

	async #end(): Promise<void> {
		this.#running?.abort.abort();
		await this.#running?.ended;
	}

	async #run(signal: AbortSignal): Promise<void> {
		const error = await this.#loop.run(signal);
		this.#running = undefined;
		if (error) this.#fail(error);
	}

	#fail(error: Error): void {
		this.#error = error;
		this.#state = MycelogError.is(error, "log.closed") ? "stopped" : "failed";
		if (this.#state === "failed") {
			this.#parts.logger.error({ projection: this.name, err: error }, "projection stopped");
		}
		this.#changed();
	}

	#become(state: ProjectionStatus["state"]): void {
		this.#state = state;
		this.#error = undefined;
		this.#changed();
	}

	#changed(): void {
		const { resolve } = this.#change;
		this.#change = Promise.withResolvers();
		resolve();
	}
}
