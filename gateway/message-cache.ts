/**
 * Messages that arrive in chunks at the manager (messages.md §8). Owns the parts until they are complete, with
 * bounds on their count, size and age; entries belong to their sender and nobody else can touch them.
 */

/** Entries of all senders together, and of one. */
export const CACHED_MESSAGES_MAX = 1_000;
export const CACHED_MESSAGES_PER_SENDER_MAX = 16;
/** Bytes of one message, and of all together. */
export const CACHED_MESSAGE_BYTES_MAX = 64 * 1024 * 1024;
export const CACHED_BYTES_MAX = 512 * 1024 * 1024;
/** An entry that got no chunk this long is dropped, milliseconds. */
export const CACHED_IDLE_MS_MAX = 120_000;
/** Chunks of one message. */
const CHUNKS_MAX = 4_096;

/** Bytes of a chunk, and how much larger a message must be to be chunked (the clients' values). */
export const CHUNK_BYTES = 262_144;
export const UNCHUNKED_BYTES_MAX = CHUNK_BYTES + 1024;

interface Entry {
	readonly sender: string;
	readonly chunks: Map<number, Uint8Array>;
	bytes: number;
	touchedAt: number;
}

export class MessageCache {
	readonly #entries = new Map<string, Entry>();
	readonly #now: () => number;
	#bytes = 0;

	constructor(now: () => number) {
		this.#now = now;
	}

	get size(): number {
		return this.#entries.size;
	}

	get bytes(): number {
		return this.#bytes;
	}

	create(sender: string, key: string): void {
		this.#dropIdle();
		this.remove(sender, key);
		const own = [...this.#entries.values()].filter((entry) => entry.sender === sender).length;
		if (own >= CACHED_MESSAGES_PER_SENDER_MAX || this.#entries.size >= CACHED_MESSAGES_MAX) {
			throw new Error(
				`RuntimeError: too many chunked messages under way (at most ${CACHED_MESSAGES_PER_SENDER_MAX})`,
			);
		}
		this.#entries.set(nameOf(sender, key), { sender, chunks: new Map(), bytes: 0, touchedAt: this.#now() });
	}

	set(sender: string, key: string, index: number, chunk: unknown): void {
		const entry = this.#entry(sender, key);
		if (!(chunk instanceof Uint8Array)) throw new Error("TypeError: a chunk must be bytes");
		if (!Number.isSafeInteger(index) || index < 0 || index >= CHUNKS_MAX) {
			throw new Error(`ValueError: a chunk's index must be from 0 to ${CHUNKS_MAX - 1}`);
		}
		const grown = chunk.length - (entry.chunks.get(index)?.length ?? 0);
		if (entry.bytes + grown > CACHED_MESSAGE_BYTES_MAX || this.#bytes + grown > CACHED_BYTES_MAX) {
			this.remove(sender, key);
			throw new Error(`ValueError: a chunked message must not exceed ${CACHED_MESSAGE_BYTES_MAX} bytes`);
		}
		// A view into the frame would keep the whole frame alive and change with its buffer.
		entry.chunks.set(index, new Uint8Array(chunk));
		entry.bytes += grown;
		this.#bytes += grown;
		entry.touchedAt = this.#now();
	}

	append(sender: string, key: string, chunk: unknown): void {
		this.set(sender, key, this.#entry(sender, key).chunks.size, chunk);
	}

	/** The whole message; its entry is gone afterwards. */
	take(sender: string, key: string): Uint8Array {
		const { chunks } = this.#entry(sender, key);
		this.remove(sender, key);
		const ordered = Array.from({ length: chunks.size }, (_, index) => {
			const chunk = chunks.get(index);
			if (!chunk) throw new Error(`ValueError: chunk ${index} of ${chunks.size} is missing`);
			return chunk;
		});
		return Buffer.concat(ordered);
	}

	remove(sender: string, key: string): void {
		const name = nameOf(sender, key);
		this.#bytes -= this.#entries.get(name)?.bytes ?? 0;
		this.#entries.delete(name);
	}

	#entry(sender: string, key: string): Entry {
		const entry = this.#entries.get(nameOf(sender, key));
		if (entry) return entry;
		throw new Error(`KeyError: no chunked message with key ${key.slice(0, 80)} is under way`);
	}

	#dropIdle(): void {
		const before = this.#now() - CACHED_IDLE_MS_MAX;
		for (const [name, entry] of this.#entries) {
			if (entry.touchedAt >= before) continue;
			this.#bytes -= entry.bytes;
			this.#entries.delete(name);
		}
	}
}

export function chunksOf(bytes: Uint8Array): Uint8Array[] {
	const count = Math.ceil(bytes.length / CHUNK_BYTES);
	return Array.from({ length: count }, (_, i) => bytes.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES));
}

function nameOf(sender: string, key: string): string {
	return `${sender}\n${key}`;
}
