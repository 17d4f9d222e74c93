/**
 * WebSocket close codes of this gateway, each with what the published clients do about it (connection.md §8).
 * Owns the list; which case uses which code stands where the case is.
 */

export const CLOSE_CODES = {
	1001: { meaning: "refused, shed, superseded or the node is going away", temporary: true },
	1003: { meaning: "the first frame could not be understood", temporary: false },
	1008: { meaning: "not authenticated, over a limit or removed", temporary: false },
	1009: { meaning: "a frame is larger than the gateway accepts", temporary: false },
	1013: { meaning: "the node is busy", temporary: true },
} as const;

/** Bytes of a close frame's reason (RFC 6455: 125 with the code). A longer one would make the frame invalid. */
export const CLOSE_REASON_BYTES_MAX = 123;

export function closeReason(text: string): string {
	const bytes = Buffer.from(text, "utf8");
	if (bytes.length <= CLOSE_REASON_BYTES_MAX) return text;
	let end = CLOSE_REASON_BYTES_MAX;
	while (end > 0 && ((bytes[end] as number) & 0xc0) === 0x80) end--;
	return bytes.subarray(0, end).toString("utf8");
}
