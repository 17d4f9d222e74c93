/**
 * The frame of an answer, however long its list is. Owns encoding long lists a part at a time, so that other clients are
 * served in between; how the frame leaves (whole or in chunks) is its sender's.
 */
import { encode } from "@msgpack/msgpack";
import { writeFrame } from "./frame.ts";
import { type Fields, frameOf } from "./rpc-value.ts";

/** Items of a list that are encoded in one turn of the event loop. */
export const ITEMS_A_TURN_MAX = 100;

/** `{"args": [` and the head of a list of 32-bit length, in msgpack. */
const ARGS_HEAD = Uint8Array.of(0x81, 0xa4, 0x61, 0x72, 0x67, 0x73, 0x91, 0xdd);

export async function replyFrame(main: Fields, value: unknown): Promise<Uint8Array> {
	if (!Array.isArray(value) || value.length <= ITEMS_A_TURN_MAX) return frameOf(main, { args: [value] });
	const length = new Uint8Array(4);
	new DataView(length.buffer).setUint32(0, value.length);
	const parts: Uint8Array[] = [ARGS_HEAD, length];
	for (let i = 0; i < value.length; i += ITEMS_A_TURN_MAX) {
		const items = value.slice(i, i + ITEMS_A_TURN_MAX);
		parts.push(Buffer.concat(items.map((item) => encode(item, { ignoreUndefined: true }))));
		await new Promise((resolve) => setImmediate(resolve));
	}
	return writeFrame(encode(main, { ignoreUndefined: true }), Buffer.concat(parts));
}
