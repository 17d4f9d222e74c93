/**
 * Reads a Hypha message that comes in chunks (messages.md §8) as its receiver will, without decoding or keeping it:
 * two msgpack maps, of which only top-level keys, `type` and `method` are looked at.
 * Owns the walk over pieces; what is done about a problem is chunk-guard.ts.
 */
import { CHUNK_METHOD_PREFIX } from "./built-in-calls.ts";
import { mapHead, readHead, shortText, type ValueHead } from "./msgpack-skip.ts";
import { isForgeable, isServerType, serverTypeText } from "./reserved.ts";

/** Bytes; no key, type or method that matters is longer. */
const TEXT_BYTES_MAX = 512;

const NOTHING = new Uint8Array();

export class ChunkScan {
	/** Maps begun; the message has one or two. */
	#segments = 0;
	/** Pairs to come in the map under way. */
	#pairs = 0;
	/** Values to come until the pair is complete: more than one inside lists and maps. */
	#values = 0;
	/** Bytes to come that belong to the value under way. */
	#payload = 0;
	/** The key whose value comes next, if that value is looked at. */
	#watched: "type" | "method" | undefined;
	/** A head, key or short text that the last chunk cut. */
	#rest: Uint8Array = NOTHING;
	#problem: string | undefined;
	readonly #head: ValueHead = { bytes: 0, payload: 0, values: 0 };

	/** The next piece, in order. Returns what is wrong with the message so far. */
	push(chunk: Uint8Array): string | undefined {
		if (this.#problem) return this.#problem;
		const bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
		this.#rest = NOTHING;
		this.#problem = this.#walk(bytes);
		return this.#problem;
	}

	/** What is wrong if nothing more comes. */
	end(): string | undefined {
		if (this.#problem) return this.#problem;
		const whole = this.#pairs === 0 && this.#values === 0 && this.#payload === 0 && this.#rest.length === 0;
		return this.#segments > 0 && whole ? undefined : "ValueError: the message ends in its middle";
	}

	#walk(bytes: Uint8Array): string | undefined {
		let at = 0;
		while (at < bytes.length) {
			if (this.#payload > 0) {
				const passed = Math.min(this.#payload, bytes.length - at);
				this.#payload -= passed;
				at += passed;
				continue;
			}
			let next: number | string;
			if (this.#watched) next = this.#lookAtValue(bytes, at);
			else if (this.#values > 0) next = this.#passValues(bytes, at);
			else if (this.#pairs > 0) next = this.#key(bytes, at);
			else next = this.#segment(bytes, at);
			if (typeof next === "string") return next;
			if (next < 0) {
				this.#rest = new Uint8Array(bytes.subarray(at));
				return undefined;
			}
			at = next;
		}
		return undefined;
	}

	/** As the other steps: the position after it, -1 where the bytes end too early, or what is wrong. */
	#segment(bytes: Uint8Array, at: number): number | string {
		const map = mapHead(bytes, at);
		if (!map) {
			const begun = bytes[at] === 0xde || bytes[at] === 0xdf;
			return begun ? -1 : "ValueError: a segment of the message is no map";
		}
		if (++this.#segments > 2) return "ValueError: the message has a third segment";
		this.#pairs = map.size;
		return map.first;
	}

	#key(bytes: Uint8Array, at: number): number | string {
		const key = shortText(bytes, at, TEXT_BYTES_MAX);
		if (!key) return this.#isCut(bytes, at) ? -1 : "ValueError: a key of the message is no short text";
		if (this.#segments > 1 && isForgeable(key.text)) {
			return `PermissionError: the second segment must not hold "${key.text}"`;
		}
		this.#pairs--;
		this.#values = 1;
		const { text } = key;
		this.#watched = this.#segments === 1 && (text === "type" || text === "method") ? text : undefined;
		return key.end;
	}

	#lookAtValue(bytes: Uint8Array, at: number): number | string {
		const value = shortText(bytes, at, TEXT_BYTES_MAX);
		if (!value && this.#isCut(bytes, at)) return -1;
		const watched = this.#watched;
		this.#watched = undefined;
		// Anything but a short text is none of the words looked for.
		if (!value) return at;
		if (watched === "type" && isServerType(value.text)) return serverTypeText(value.text);
		if (watched === "method" && value.text.startsWith(CHUNK_METHOD_PREFIX)) {
			return "PermissionError: a message in chunks must not carry chunks";
		}
		this.#values = 0;
		return value.end;
	}

	#passValues(bytes: Uint8Array, at: number): number | string {
		let next = at;
		while (this.#values > 0 && next < bytes.length) {
			const byte = bytes[next] as number;
			if (byte <= 0x7f || byte >= 0xe0) {
				// Small numbers, of which there can be millions.
				this.#values--;
				next++;
				continue;
			}
			const head = this.#head;
			if (!readHead(bytes, next, head)) {
				if (byte === 0xc1) return "ValueError: the message is not msgpack";
				return next > at ? next : -1;
			}
			this.#values += head.values - 1;
			next += head.bytes;
			if (head.payload > 0) {
				this.#payload = head.payload;
				return next;
			}
		}
		return next;
	}

	/** A text of the length looked for that goes on in the next chunk. */
	#isCut(bytes: Uint8Array, at: number): boolean {
		const byte = bytes[at] as number;
		if (!((byte >= 0xa0 && byte <= 0xbf) || (byte >= 0xd9 && byte <= 0xdb))) return false;
		const head = this.#head;
		if (!readHead(bytes, at, head)) return true;
		return head.payload <= TEXT_BYTES_MAX && at + head.bytes + head.payload > bytes.length;
	}
}
