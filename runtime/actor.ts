/**
 * One actor in memory: its state, its timers and how a message moves it. The same code folds live and in a replay.
 * Owns the fold step; effects are returned, never carried out here.
 */
import type { StoredSnapshot, StoredTimer } from "../persistence/snapshots.ts";
import type { Address } from "./address.ts";
import type { Behaviour } from "./behaviour.ts";
import type { Effect } from "./effect.ts";
import type { Event, Message } from "./message.ts";
import {
	IMPORTED,
	importedIn,
	isHistory,
	isRecovery,
	RESTORE,
	restoredState,
	restoreIn,
} from "./recovery-records.ts";

const NO_EFFECTS: readonly Effect[] = [];

/** Why a restore had no effect: messages came after those it was made from. */
export const RESTORE_REFUSED = "restore-refused";

export class Actor {
	readonly address: Address;
	readonly behaviour: Behaviour;
	state: unknown;
	/**
	 * Offset of its last command or timer, whatever came of it; -1 before the first. It follows from the log alone: with
	 * another machine, what failed may be taken and the other way round, and a restore must be judged alike by both.
	 */
	offset: number;
	/** Changed since the last checkpoint. */
	dirty = false;
	/** Messages since the last checkpoint. */
	sinceSnapshot = 0;
	/** The record that failed for good, if the last command did: shown to operators. */
	failedAt: number | undefined;
	/** The claim whose loss it was told of, so that one that does not care is told once. */
	toldLost: string | undefined;
	/** Made with the first timer: most actors in memory have none. */
	#timers: ReadonlyMap<string, StoredTimer> | undefined;
	/** What entering the initial state asked for. It leaves with the first command: before it there is no actor. */
	#entering: readonly Effect[] | undefined;

	private constructor(address: Address, behaviour: Behaviour, state: unknown, offset: number) {
		this.address = address;
		this.behaviour = behaviour;
		this.state = state;
		this.offset = offset;
	}

	/** An actor without history. */
	static fresh(address: Address, behaviour: Behaviour): Actor {
		const { state, effects } = behaviour.initial(address);
		const actor = new Actor(address, behaviour, state, -1);
		if (effects.length > 0) actor.#entering = effects;
		return actor;
	}

	/** Undefined: its type says that this snapshot is of another version. Throws `actor.version-mismatch`. */
	static adopt(snapshot: StoredSnapshot, behaviour: Behaviour): Actor | undefined {
		if (!behaviour.restore) {
			return snapshot.version === behaviour.version ? Actor.restore(snapshot, behaviour) : undefined;
		}
		const state: unknown = behaviour.restore(snapshot.state);
		return state === undefined ? undefined : Actor.restore(snapshot, behaviour, state);
	}

	static restore(snapshot: StoredSnapshot, behaviour: Behaviour, decoded?: unknown): Actor {
		const state = decoded ?? behaviour.decode(snapshot.state);
		const actor = new Actor(snapshot.address, behaviour, state, snapshot.offset);
		if (snapshot.timers.length > 0) {
			actor.#timers = new Map(snapshot.timers.map((timer) => [timer.id, timer]));
		}
		return actor;
	}

	get timers(): Iterable<StoredTimer> {
		return this.#timers?.values() ?? [];
	}

	get hasTimers(): boolean {
		return this.#timers !== undefined && this.#timers.size > 0;
	}

	/** Earliest deadline, milliseconds since 1970; undefined without timers. */
	get nextTimerAt(): number | undefined {
		let next: number | undefined;
		for (const { at, work } of this.timers) if (!work && (next === undefined || at < next)) next = at;
		return next;
	}

	/** What its owner has to run, in the order in which it was asked for. */
	*work(): Iterable<StoredTimer> {
		for (const timer of this.timers) if (timer.work) yield timer;
	}

	/** Name of the node process this actor depends on. */
	get claim(): string | undefined {
		return this.behaviour.claim?.(this.state);
	}

	/**
	 * Fold one message. Throws what the behaviour throws, the actor unchanged: try again, or `fail`.
	 * Queries and frames change nothing; a timer that was cancelled or replaced meanwhile is ignored.
	 */
	receive(message: Message): readonly Effect[] {
		switch (message.kind) {
			case "frame":
				return this.behaviour.pass?.(this.state, message) ?? [{ type: "drop", reason: "no-frames" }];
			case "query": {
				if (!message.replyTo) return NO_EFFECTS;
				const result = this.behaviour.query
					? this.behaviour.query(this.state, message)
					: ({ ok: false, error: `TypeError: ${this.behaviour.type} answers no queries` } as const);
				return [{ type: "reply", to: message.replyTo, result }];
			}
			case "timer":
				return this.#fire(message);
			case "command":
				return isRecovery(message) ? this.#recover(message) : this.#command(message);
		}
	}

	/**
	 * Its last message failed for good. A timer is done with all the same: kept, it would be due again after every
	 * restart, and fail again.
	 */
	fail(message: Message): void {
		this.failedAt = message.offset;
		if (!isHistory(message.kind)) return;
		const timer = message.kind === "timer" ? this.#dueTimer(message) : undefined;
		if (timer) this.#timers = this.#timersAfter(NO_EFFECTS, timer);
		this.#moved(message);
	}

	snapshot(): StoredSnapshot {
		return {
			address: this.address,
			offset: this.offset,
			version: this.behaviour.version,
			state: this.behaviour.encode(this.state),
			timers: [...this.timers],
			...(this.claim ? { claim: this.claim } : undefined),
		};
	}

	#command(message: Message, fired?: StoredTimer): readonly Effect[] {
		const step = this.behaviour.command(this.state, message);
		const entering = this.#entering?.map((effect) => from(message.timestamp, effect));
		const effects = entering ? [...entering, ...step.effects] : step.effects;
		const scheduling = effects.some(isTimer);
		const timers = fired || scheduling ? this.#timersAfter(effects, fired) : this.#timers;
		// From here on nothing throws: the actor has taken the message as a whole, or not at all.
		this.state = step.state;
		this.#timers = timers;
		this.#entering = undefined;
		this.#moved(message);
		// Timers are part of the state; only the other effects leave the actor.
		return scheduling ? effects.filter((effect) => !isTimer(effect)) : effects;
	}

	#fire(message: Message): readonly Effect[] {
		const timer = this.#dueTimer(message);
		if (timer) return this.#command(message, timer);
		this.#moved(message);
		return [{ type: "drop", reason: "stale-timer" }];
	}

	#moved({ offset }: Message): void {
		this.offset = offset;
		this.dirty = true;
	}

	/** What an operator did: the same in every fold. That an actor was rebuilt only its partition can do. */
	#recover(message: Message): readonly Effect[] {
		let refused: string | undefined;
		if (message.type === RESTORE) refused = this.#restored(message, restoreIn(message).base);
		else if (message.type === IMPORTED) this.#imported(message);
		this.#moved(message);
		if (refused === undefined) return NO_EFFECTS;
		return [{ type: "drop", reason: refused }];
	}

	/** Why not, if it was not done. Throws what decoding the state throws, the actor unchanged. */
	#restored(message: Message, base: number | undefined): string | undefined {
		if (base !== undefined && this.offset > base) return RESTORE_REFUSED;
		const record = restoreIn(message);
		this.state = restoredState(record, this.behaviour);
		this.#timers =
			record.timers.length > 0 ? new Map(record.timers.map((timer) => [timer.id, timer])) : undefined;
		this.#entering = undefined;
		return undefined;
	}

	/** Its effects were carried out where it comes from, and so was its failure. */
	#imported(message: Message): void {
		const { original, note } = importedIn(message);
		if (note.inert) return;
		try {
			// Offsets there are not to be compared with those here: that it was not refused is known.
			if (original.type === RESTORE) this.#restored(original, undefined);
			else this.receive(original);
		} catch {
			this.fail(original);
		}
	}

	/** Undefined: it was cancelled or replaced meanwhile, or has rung. */
	#dueTimer({ facts }: Message): StoredTimer | undefined {
		const timer = this.#timers?.get(facts?.["timer"] ?? "");
		return timer && String(timer.at) === facts?.["at"] ? timer : undefined;
	}

	/** `fired` is done with; a state that schedules the same id again on entering keeps the new one. */
	#timersAfter(effects: readonly Effect[], fired?: StoredTimer): Map<string, StoredTimer> | undefined {
		const timers = new Map(this.#timers);
		if (fired) timers.delete(fired.id);
		for (const effect of effects) {
			if (effect.type === "schedule") {
				const { id, at, work } = effect;
				timers.set(id, { id, at, event: JSON.stringify(effect.event), ...(work ? { work } : undefined) });
			} else if (effect.type === "cancel") {
				timers.delete(effect.id);
			}
		}
		return timers.size > 0 ? timers : undefined;
	}
}

/** Deadlines of an initial state count from the first command. */
function from(timestamp: number, effect: Effect): Effect {
	return effect.type === "schedule" ? { ...effect, at: effect.at + timestamp } : effect;
}

function isTimer(effect: Effect): boolean {
	return effect.type === "schedule" || effect.type === "cancel";
}

/** The draft facts of a timer's record; read back when it fires. */
export function timerFacts(timer: StoredTimer): Readonly<Record<string, string>> {
	return { timer: timer.id, at: String(timer.at) };
}

export function timerEvent(timer: StoredTimer): Event {
	return JSON.parse(timer.event) as Event;
}
