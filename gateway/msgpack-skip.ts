/**
 * Walks over msgpack values without decoding them: the hot path looks at heads and keys, never at payloads.
 * Owns the sizes of msgpack's formats; decoding is the library's work. Source: the msgpack specification.
 */

/** Values inside values; deeper nesting is refused instead of exhausting the stack. */
export const NESTING_MAX = 512;

/** End of the value that starts at `at`, or -1 where the bytes end before the value does. */
export function skipValue(bytes: Uint8Array, at: number, depth = 0): number {
	if (at >= bytes.length || depth > NESTING_MAX) return -1;
	const byte = bytes[at] as number;
	if (byte <= 0x7f || byte >= 0xe0) return at + 1;
	if (byte <= 0x8f) return skipValues(bytes, at + 1, 2 * (byte & 0x0f), depth);
	if (byte <= 0x9f) return skipValues(bytes, at + 1, byte & 0x0f, depth);
	if (byte <= 0xbf) return within(bytes, at + 1 + (byte & 0x1f));
	switch (byte) {
		case 0xc0:
		case 0xc2:
		case 0xc3:
			return at + 1;
		case 0xc4:
		case 0xd9:
			return sized(bytes, at + 1, 1, 0);
		case 0xc5:
		case 0xda:
			return sized(bytes, at + 1, 2, 0);
		case 0xc6:
		case 0xdb:
			return sized(bytes, at + 1, 4, 0);
		case 0xc7:
			return sized(bytes, at + 1, 1, 1);
		case 0xc8:
			return sized(bytes, at + 1, 2, 1);
		case 0xc9:
			return sized(bytes, at + 1, 4, 1);
		case 0xcc:
		case 0xd0:
			return within(bytes, at + 2);
		case 0xcd:
		case 0xd1:
			return within(bytes, at + 3);
		case 0xca:
		case 0xce:
		case 0xd2:
			return within(bytes, at + 5);
		case 0xcb:
		case 0xcf:
		case 0xd3:
			return within(bytes, at + 9);
		case 0xd4:
		case 0xd5:
		case 0xd6:
		case 0xd7:
		case 0xd8:
			return within(bytes, at + 2 + 2 ** (byte - 0xd4));
		case 0xdc:
		case 0xdd: {
			const width = byte === 0xdc ? 2 : 4;
			return skipValues(bytes, at + 1 + width, unsigned(bytes, at + 1, width), depth);
		}
		case 0xde:
		case 0xdf: {
			const width = byte === 0xde ? 2 : 4;
			return skipValues(bytes, at + 1 + width, 2 * unsigned(bytes, at + 1, width), depth);
		}
		default:
			return -1;
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
	return { text: Buffer.from(bytes.buffer, bytes.byteOffset + start, length).toString("utf8"), end };
}

function skipValues(bytes: Uint8Array, at: number, count: number, depth: number): number {
	let end = at;
	for (let i = 0; i < count && end >= 0; i++) end = skipValue(bytes, end, depth + 1);
	return end;
}

function sized(bytes: Uint8Array, at: number, width: number, extra: number): number {
	if (at + width > bytes.length) return -1;
	return within(bytes, at + width + extra + unsigned(bytes, at, width));
}

function unsigned(bytes: Uint8Array, at: number, width: number): number {
	let value = 0;
	for (let i = 0; i < width; i++) value = value * 256 + (bytes[at + i] ?? 0);
	return value;
}

function within(bytes: Uint8Array, end: number): number {
	return end <= bytes.length ? end : -1;
}
