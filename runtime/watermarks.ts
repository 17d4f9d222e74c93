/**
 * Recognises repeated messages: the newest position seen of every source, per receiving partition.
 * Owns dedupe and its bound; where positions come from is told in message.ts (Origin).
 */
import type { Origin } from "./message.ts";

/**
 * Sources of node processes (one a start) are forgotten this long after their last record, milliseconds.
 * A repeat can only come from an append that is being retried, which ends within minutes.
 */
export const SOURCE_IDLE_MS_MAX = 3_600_000;

/** Encoded form of watermarks that have seen nothing. */
export const NOTHING_SEEN = "[]";

interface Mark {
	major: number;
	minor: number;
	/** Timestamp of the newest record of this source. */
	at: number;
}

export class Watermarks {
	/** Made with the first mark: there is one of these for every connection. */
	#marks: Map<string, Mark> | undefined;

	/** True if this origin was seen before; otherwise it becomes the newest of its source. */
	seen(origin: Origin, timestamp: number): boolean {
		this.#marks ??= new Map();
		const mark = this.#marks.get(origin.source);
		if (!mark) {
			this.#marks.set(origin.source, { major: origin.major, minor: origin.minor, at: timestamp });
			return false;
		}
		if (origin.major < mark.major || (origin.major === mark.major && origin.minor <= mark.minor)) return true;
		mark.major = origin.major;
		mark.minor = origin.minor;
		mark.at = timestamp;
		return false;
	}

	/** Partitions are sources for ever; node processes (marked by `~`) only while they are fresh. */
	encode(now: number): string {
		if (!this.#marks) return NOTHING_SEEN;
		for (const [source, mark] of this.#marks) {
			if (source.includes("~") && mark.at < now - SOURCE_IDLE_MS_MAX) this.#marks.delete(source);
		}
		return JSON.stringify([...this.#marks].map(([source, m]) => [source, m.major, m.minor, m.at]));
	}

	static decode(text: string): Watermarks {
		const watermarks = new Watermarks();
		if (text === NOTHING_SEEN) return watermarks;
		watermarks.#marks = new Map();
		for (const [source, major, minor, at] of JSON.parse(text) as [string, number, number, number][]) {
			watermarks.#marks.set(source, { major, minor, at });
		}
		return watermarks;
	}
}
