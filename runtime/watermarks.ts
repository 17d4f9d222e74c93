/**
 * Recognises repeated messages: the newest position seen of every source, per receiving partition.
 * Owns dedupe and its bound; where positions come from is told in message.ts (Origin).
 *
 * What is remembered follows from the records alone, never from a clock: a fold of the log at any later time must
 * drop exactly what the live loop dropped. (Were sources forgotten by age, a broker that is away for longer than that
 * would make the retry of an unacknowledged append count twice, and no re-fold would agree.)
 */
import type { Origin } from "./message.ts";

/**
 * Node processes (one a start) remembered as sources; past it the one heard of longest ago is forgotten. A repeat can
 * only come from a process that still retries, so it would have to sit out this many starts of nodes.
 */
export const PROCESS_SOURCES_MAX = 256;

/** Encoded form of watermarks that have seen nothing. */
export const NOTHING_SEEN = "[]";

interface Mark {
	major: number;
	minor: number;
	/** Where the newest record of this source lies: its offset, or anything else that rises with it. */
	at: number;
}

export class Watermarks {
	/** Made with the first mark: there is one of these for every connection. */
	#marks: Map<string, Mark> | undefined;
	#processes = 0;

	/** True if this origin was seen before. */
	isRepeat({ source, major, minor }: Origin): boolean {
		const mark = this.#marks?.get(source);
		return mark !== undefined && (major < mark.major || (major === mark.major && minor <= mark.minor));
	}

	/** True if this origin was seen before; otherwise it becomes the newest of its source. */
	seen({ source, major, minor }: Origin, at: number): boolean {
		this.#marks ??= new Map();
		const mark = this.#marks.get(source);
		if (!mark) {
			this.#add(source, { major, minor, at });
			return false;
		}
		if (major < mark.major || (major === mark.major && minor <= mark.minor)) return true;
		mark.major = major;
		mark.minor = minor;
		mark.at = at;
		return false;
	}

	encode(): string {
		if (!this.#marks) return NOTHING_SEEN;
		return JSON.stringify([...this.#marks].map(([source, m]) => [source, m.major, m.minor, m.at]));
	}

	static decode(text: string): Watermarks {
		const watermarks = new Watermarks();
		if (text === NOTHING_SEEN) return watermarks;
		watermarks.#marks = new Map();
		for (const [source, major, minor, at] of JSON.parse(text) as [string, number, number, number][]) {
			watermarks.#add(source, { major, minor, at });
		}
		return watermarks;
	}

	/** Partitions are sources for ever: their number is fixed. */
	#add(source: string, mark: Mark): void {
		this.#marks?.set(source, mark);
		if (isProcess(source) && ++this.#processes > PROCESS_SOURCES_MAX) this.#forgetOldest();
	}

	#forgetOldest(): void {
		let oldest: string | undefined;
		let oldestAt = Number.POSITIVE_INFINITY;
		for (const [source, { at }] of this.#marks ?? []) {
			if (!isProcess(source) || at >= oldestAt) continue;
			oldest = source;
			oldestAt = at;
		}
		if (oldest === undefined) return;
		this.#marks?.delete(oldest);
		this.#processes--;
	}
}

/** `id~boot`, while a partition's name is `topic/number`. */
function isProcess(source: string): boolean {
	return source.includes("~");
}
