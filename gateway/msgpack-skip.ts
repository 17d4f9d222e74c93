/**
 * Walks over msgpack values without decoding them: the hot path looks at heads and keys, never at payloads.
 * Owns the sizes of msgpack's formats; decoding is the library's work. Source: the msgpack specification.
 */

/** Values inside values; deeper nesting is refused instead of exhausting the stack. */
export const NESTING_MAX = 512;

/** What a value's first bytes say of it. */
export interface ValueHead {
	/** Bytes of the head itself. */
	bytes: number;
	/** Bytes of text, bin, number or extension that follow. */
	payload: number;
	/** Values that follow: items of a list, keys and values of a map. */
	values: number;
}

/** JavaScript clients refuse this key with an exception. */
const REFUSED_KEY = "__proto__";
const UNDERSCORE = 0x5f;

/** One for all calls of `skipValue`: it is read before the next call, and the hot path allocates nothing. */
const HEAD: ValueHead = { bytes: 0, payload: 0, values: 0 };

/**
 * End of the value that starts at `at`, or -1 where there is none that every client can decode. What one of them
 * throws at must not be passed on: the exception ends a program that uses the JavaScript client.
 */
export function skipValue(bytes: Uint8Array, at: number, depth = 0): number {
	const byte = bytes[at] ?? 0xc1;
	if (byte <= 0x7f || byte >= 0xe0) return at + 1;
	// Short texts are most of what there is: keys, ids, addresses.
	if (byte >= 0xa0 && byte <= 0xbf) {
		const end = at + 1 + (byte & 0x1f);
		return end <= bytes.length ? end : -1;
	}
	if (depth > NESTING_MAX) return -1;
	let end = at + 1;
	let values = byte <= 0x8f ? 2 * (byte & 0x0f) : byte & 0x0f;
	if (byte > 0x9f) {
		if (!readHead(bytes, at, HEAD)) return -1;
		end = at + HEAD.bytes + HEAD.payload;
		values = HEAD.values;
		if (HEAD.payload > 0 && isBadTimestamp(bytes, at, HEAD)) return -1;
	}
	const isMap = byte <= 0x8f || byte === 0xde || byte === 0xdf;
	for (let i = 0; i < values && end >= 0; i++) {
		if (isMap && (i & 1) === 0 && !isKey(bytes, end)) return -1;
		end = skipValue(bytes, end, depth + 1);
	}
	return end <= bytes.length ? end : -1;
}

/** A text or a number that JavaScript clients take for a key of a map. */
function isKey(bytes: Uint8Array, at: number): boolean {
	const byte = bytes[at] ?? 0xc1;
	const isText = (byte >= 0xa0 && byte <= 0xbf) || (byte >= 0xd9 && byte <= 0xdb);
	if (!isText) return byte <= 0x7f || byte >= 0xe0 || (byte >= 0xca && byte <= 0xd3);
	// Any text that short might be the one that is refused; longer ones are not.
	const start = byte <= 0xbf ? at + 1 : at + 1 + 2 ** (byte - 0xd9);
	return bytes[start] !== UNDERSCORE || shortText(bytes, at, REFUSED_KEY.length)?.text !== REFUSED_KEY;
}

/** Extension -1 of a length that no timestamp has. */
function isBadTimestamp(bytes: Uint8Array, at: number, head: ValueHead): boolean {
	const byte = bytes[at] as number;
	const isExtension = (byte >= 0xc7 && byte <= 0xc9) || (byte >= 0xd4 && byte <= 0xd8);
	// The type stands before the data and counts as payload.
	if (!isExtension || bytes[at + head.bytes] !== 0xff) return false;
	return ![5, 9, 13].includes(head.payload);
}

/** Fills `head`. False: the bytes end inside the head, or it is none (0xc1). */
export function readHead(bytes: Uint8Array, at: number, head: ValueHead): boolean {
	if (at >= bytes.length) return false;
	const byte = bytes[at] as number;
	if (byte <= 0x7f || byte >= 0xe0) return fill(head, 1, 0, 0);
	if (byte <= 0x8f) return fill(head, 1, 0, 2 * (byte & 0x0f));
	if (byte <= 0x9f) return fill(head, 1, 0, byte & 0x0f);
	if (byte <= 0xbf) return fill(head, 1, byte & 0x1f, 0);
	switch (byte) {
		case 0xc0:
		case 0xc2:
		case 0xc3:
			return fill(head, 1, 0, 0);
		case 0xc4:
		case 0xd9:
			return sized(bytes, at, 1, 0, head);
		case 0xc5:
		case 0xda:
			return sized(bytes, at, 2, 0, head);
		case 0xc6:
		case 0xdb:
			return sized(bytes, at, 4, 0, head);
		case 0xc7:
			return sized(bytes, at, 1, 1, head);
		case 0xc8:
			return sized(bytes, at, 2, 1, head);
		case 0xc9:
			return sized(bytes, at, 4, 1, head);
		case 0xcc:
		case 0xd0:
			return fill(head, 1, 1, 0);
		case 0xcd:
		case 0xd1:
			return fill(head, 1, 2, 0);
		case 0xca:
		case 0xce:
		case 0xd2:
			return fill(head, 1, 4, 0);
		case 0xcb:
		case 0xcf:
		case 0xd3:
			return fill(head, 1, 8, 0);
		case 0xd4:
		case 0xd5:
		case 0xd6:
		case 0xd7:
		case 0xd8:
			return fill(head, 1, 1 + 2 ** (byte - 0xd4), 0);
		case 0xdc:
		case 0xdd: {
			const width = byte === 0xdc ? 2 : 4;
			if (at + 1 + width > bytes.length) return false;
			return fill(head, 1 + width, 0, unsigned(bytes, at + 1, width));
		}
		case 0xde:
		case 0xdf: {
			const width = byte === 0xde ? 2 : 4;
			if (at + 1 + width > bytes.length) return false;
			return fill(head, 1 + width, 0, 2 * unsigned(bytes, at + 1, width));
		}
		default:
			return false;
	}
}

/** Number of pairs and first key's position of the map at `at`; undefined where there is no map. */
export function mapHead(bytes: Uint8Array, at: number): { size: number; first: number } | undefined {
	const byte = bytes[at] ?? 0xc1;
	if (byte >= 0x80 && byte <= 0x8f) return { size: byte & 0x0f, first: at + 1 };
	if (byte === 0xde && at + 3 <= bytes.length) return { size: unsigned(bytes, at + 1, 2), first: at + 3 };
	if (byte === 0xdf && at + 5 <= bytes.length) return { size: unsigned(bytes, at + 1, 4), first: at + 5 };
	return undefined;
}

/** The text at `at` and its end; undefined where there is none or it is longer than `lengthMax` bytes. */
export function shortText(
	bytes: Uint8Array,
	at: number,
	lengthMax: number,
): { text: string; end: number } | undefined {
	const byte = bytes[at] ?? 0xc1;
	let length: number;
	let start: number;
	if (byte >= 0xa0 && byte <= 0xbf) {
		length = byte & 0x1f;
		start = at + 1;
	} else if (byte >= 0xd9 && byte <= 0xdb) {
		const width = 2 ** (byte - 0xd9);
		if (at + 1 + width > bytes.length) return undefined;
		length = unsigned(bytes, at + 1, width);
		start = at + 1 + width;
	} else {
		return undefined;
	}
	const end = start + length;
	if (length > lengthMax || end > bytes.length) return undefined;
	return { text: asBuffer(bytes).toString("utf8", start, end), end };
}

function sized(bytes: Uint8Array, at: number, width: number, extra: number, head: ValueHead): boolean {
	if (at + 1 + width > bytes.length) return false;
	return fill(head, 1 + width, extra + unsigned(bytes, at + 1, width), 0);
}

function fill(head: ValueHead, bytes: number, payload: number, values: number): boolean {
	head.bytes = bytes;
	head.payload = payload;
	head.values = values;
	return true;
}

function unsigned(bytes: Uint8Array, at: number, width: number): number {
	let value = 0;
	for (let i = 0; i < width; i++) value = value * 256 + (bytes[at + i] ?? 0);
	return value;
}

/** Buffers read their texts in place; a view of them for every key cost more than the reading. */
function asBuffer(bytes: Uint8Array): Buffer {
	return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
