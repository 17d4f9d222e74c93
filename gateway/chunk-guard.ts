/**
 * Follows large messages that one client sends another in chunks (messages.md §8). The receiver puts them together
 * and believes what stands in them, so a claim could hide there that is refused in a message that comes whole.
 * Owns what each receiver has been given of which message, bound to its sender. It stands where frames leave for the
 * receiver's socket: there all of them come by in the receiver's order, whoever sent them and on which node.
 */
import type { Address } from "../runtime/address.ts";
import type { Message } from "../runtime/message.ts";
import { BUILT_IN_FACT, readBuiltInCall } from "./built-in-calls.ts";
import { ChunkScan } from "./chunk-scan.ts";

/** Chunks of one message, and their bytes: receivers hold it whole. */
export const CHUNKS_PER_MESSAGE_MAX = 8_192;
export const CHUNKED_MESSAGE_BYTES_MAX = 1024 * 1024 * 1024;
/**
 * Unfinished messages for one receiver: of all senders together, and of one. JavaScript clients forget the oldest
 * when they have 256.
 */
export const CHUNKED_PER_RECEIVER_MAX = 250;
export const CHUNKED_PER_SENDER_MAX = 128;
/** Bytes of chunks that came before their turn and wait for it: of one message, and of all. */
export const CHUNKS_EARLY_BYTES_MAX = 16 * 1024 * 1024;
export const CHUNKS_EARLY_BYTES_TOTAL_MAX = 128 * 1024 * 1024;
/** A message that got no chunk this long gives way to a new one, milliseconds. */
export const CHUNKED_IDLE_MS_MAX = 120_000;
/** Receivers whose messages are remembered; the one that got no chunk for the longest time is forgotten. */
export const CHUNK_RECEIVERS_MAX = 10_000;
/** Finished messages remembered for one receiver: after a cut they may be delivered again. */
const FINISHED_MAX = 64;

export type Checked =
	| { readonly ok: true; readonly bytes: Uint8Array }
	| { readonly ok: false; readonly reason: string };

interface Chunked {
	readonly sender: string;
	/** Mailbox offset of the call that began it. */
	readonly offset: number;
	readonly scan: ChunkScan;
	/** Mailbox offset of every chunk given to the receiver, by index. */
	readonly given: Map<number, number>;
	/** Chunks that cannot be read before others have come. */
	readonly early: Map<number, Uint8Array>;
	earlyBytes: number;
	/** Of all chunks given. */
	bytes: number;
	/** The next chunk to be read. */
	next: number;
	touchedAt: number;
	problem: string | undefined;
	/** Mailbox offset of the call that ended it; undefined: it goes on. */
	finishedAt: number | undefined;
}

export class ChunkGuards {
	/** The one used last stands last. */
	readonly #receivers = new Map<Address, Map<string, Chunked>>();
	readonly #now: () => number;
	#earlyBytes = 0;

	constructor(now: () => number) {
		this.#now = now;
	}

	/** Bytes held until their turn comes. */
	get earlyBytes(): number {
		return this.#earlyBytes;
	}

	/** What the receiver's socket gets of a frame that calls a built-in service. */
	check(message: Message): Checked {
		if (message.facts?.[BUILT_IN_FACT] === undefined) return { ok: true, bytes: message.body };
		const call = readBuiltInCall(message.body);
		const sender = message.from ?? "";
		switch (call.kind) {
			case "refused":
				return { ok: false, reason: call.reason };
			case "other":
				return { ok: true, bytes: message.body };
			case "create":
				return verdict(this.#create(message, sender, call.key), call.bytes);
			case "set":
				return verdict(this.#set(message, sender, call.key, call.index, call.chunk), message.body);
			case "process":
				return verdict(this.#finish(message, sender, call.key), message.body);
			case "remove":
				return verdict(this.#remove(message.to, sender, call.key), message.body);
		}
	}

	/** The receiver is gone for good. */
	forget(receiver: Address): void {
		for (const chunked of this.#receivers.get(receiver)?.values() ?? []) this.#letGo(chunked);
		this.#receivers.delete(receiver);
	}

	#create({ to, offset }: Message, sender: string, key: string): string | undefined {
		const messages = this.#receiver(to);
		const before = messages.get(key);
		const again = before?.sender === sender && offset <= before.offset;
		if (before && !again && this.#isUnderWay(before)) {
			return `ValueError: a message with the key ${key.slice(0, 80)} is under way`;
		}
		if (before) this.#drop(messages, key, before);
		const problem = this.#quotaProblem(messages, sender);
		if (problem) return problem;
		messages.set(key, {
			sender,
			offset,
			scan: new ChunkScan(),
			given: new Map(),
			early: new Map(),
			earlyBytes: 0,
			bytes: 0,
			next: 0,
			touchedAt: this.#now(),
			problem: undefined,
			finishedAt: undefined,
		});
		return undefined;
	}

	#set(
		{ to, offset }: Message,
		sender: string,
		key: string,
		index: number,
		chunk: Uint8Array,
	): string | undefined {
		const chunked = this.#receiver(to).get(key);
		if (chunked?.sender !== sender) return unknownKey(key);
		const given = chunked.given.get(index);
		// Delivered again after a cut: it was read the first time.
		if (given === offset) return chunked.problem;
		if (given !== undefined) return `ValueError: chunk ${index} was sent before`;
		if (chunked.finishedAt !== undefined) return unknownKey(key);
		if (index >= CHUNKS_PER_MESSAGE_MAX) {
			return `ValueError: a chunk's index must be from 0 to ${CHUNKS_PER_MESSAGE_MAX - 1}`;
		}
		chunked.touchedAt = this.#now();
		chunked.bytes += chunk.length;
		if (chunked.bytes > CHUNKED_MESSAGE_BYTES_MAX) {
			chunked.problem ??= `ValueError: a message in chunks must not exceed ${CHUNKED_MESSAGE_BYTES_MAX} bytes`;
		}
		chunked.problem ??= this.#read(chunked, index, chunk);
		if (chunked.problem) this.#letGo(chunked);
		else chunked.given.set(index, offset);
		return chunked.problem;
	}

	/** In the order of their indexes, whatever the order they came in. */
	#read(chunked: Chunked, index: number, chunk: Uint8Array): string | undefined {
		if (index !== chunked.next) {
			const bytes = chunk.length;
			if (
				chunked.earlyBytes + bytes > CHUNKS_EARLY_BYTES_MAX ||
				this.#earlyBytes + bytes > CHUNKS_EARLY_BYTES_TOTAL_MAX
			) {
				return `RuntimeError: more than ${CHUNKS_EARLY_BYTES_MAX} bytes came before chunk ${chunked.next}`;
			}
			// A copy: the record it came in can be much larger, and must not stay in memory for it.
			chunked.early.set(index, new Uint8Array(chunk));
			chunked.earlyBytes += bytes;
			this.#earlyBytes += bytes;
			return undefined;
		}
		let problem = chunked.scan.push(chunk);
		for (chunked.next++; !problem; chunked.next++) {
			const early = chunked.early.get(chunked.next);
			if (!early) break;
			chunked.early.delete(chunked.next);
			chunked.earlyBytes -= early.length;
			this.#earlyBytes -= early.length;
			problem = chunked.scan.push(early);
		}
		return problem;
	}

	#finish({ to, offset }: Message, sender: string, key: string): string | undefined {
		const messages = this.#receiver(to);
		const chunked = messages.get(key);
		if (chunked?.sender !== sender) return unknownKey(key);
		if (chunked.finishedAt === offset) return undefined;
		if (chunked.finishedAt !== undefined) return unknownKey(key);
		const missing = chunked.early.size > 0 ? `ValueError: chunk ${chunked.next} is missing` : undefined;
		chunked.problem ??= missing ?? chunked.scan.end();
		// The receiver keeps the chunks of what it is not told to process: they go on counting against the sender.
		if (chunked.problem) return chunked.problem;
		chunked.finishedAt = offset;
		this.#letGo(chunked);
		// The newest stands last, so that the oldest are forgotten first.
		messages.delete(key);
		messages.set(key, chunked);
		this.#forgetFinished(messages);
		return undefined;
	}

	#remove(receiver: Address, sender: string, key: string): string | undefined {
		const messages = this.#receiver(receiver);
		const chunked = messages.get(key);
		if (chunked?.sender !== sender) return unknownKey(key);
		this.#drop(messages, key, chunked);
		return undefined;
	}

	#receiver(address: Address): Map<string, Chunked> {
		const messages = this.#receivers.get(address) ?? new Map<string, Chunked>();
		this.#receivers.delete(address);
		this.#receivers.set(address, messages);
		if (this.#receivers.size > CHUNK_RECEIVERS_MAX) {
			const [oldest] = this.#receivers.keys();
			this.forget(oldest as Address);
		}
		return messages;
	}

	#quotaProblem(messages: Map<string, Chunked>, sender: string): string | undefined {
		let all = 0;
		let own = 0;
		for (const [key, chunked] of messages) {
			if (chunked.finishedAt !== undefined) continue;
			if (!this.#isUnderWay(chunked)) {
				this.#drop(messages, key, chunked);
				continue;
			}
			all++;
			if (chunked.sender === sender) own++;
		}
		if (own < CHUNKED_PER_SENDER_MAX && all < CHUNKED_PER_RECEIVER_MAX) return undefined;
		return `RuntimeError: too many messages in chunks are under way (at most ${CHUNKED_PER_SENDER_MAX})`;
	}

	#isUnderWay(chunked: Chunked): boolean {
		return chunked.finishedAt === undefined && this.#now() - chunked.touchedAt < CHUNKED_IDLE_MS_MAX;
	}

	#forgetFinished(messages: Map<string, Chunked>): void {
		let finished = 0;
		for (const { finishedAt } of messages.values()) if (finishedAt !== undefined) finished++;
		for (const [key, { finishedAt }] of messages) {
			if (finished <= FINISHED_MAX) return;
			if (finishedAt === undefined) continue;
			messages.delete(key);
			finished--;
		}
	}

	#drop(messages: Map<string, Chunked>, key: string, chunked: Chunked): void {
		this.#letGo(chunked);
		messages.delete(key);
	}

	#letGo(chunked: Chunked): void {
		this.#earlyBytes -= chunked.earlyBytes;
		chunked.earlyBytes = 0;
		chunked.early.clear();
	}
}

function verdict(reason: string | undefined, bytes: Uint8Array): Checked {
	return reason === undefined ? { ok: true, bytes } : { ok: false, reason };
}

function unknownKey(key: string): string {
	return `KeyError: 'Message with key ${key.slice(0, 80)} does not exist: it ended, or the receiver reconnected'`;
}
