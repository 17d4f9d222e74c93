/**
 * Log records as Kafka messages and back: what is the same for every client library. Owns the names and forms.
 */
import type { RecordHeaders } from "./log.ts";

/**
 * All headers of a record travel in this one, as JSON: kafkajs makes and zeroes a buffer of 512 bytes for each header
 * it writes, which with the envelope's eight was a third of an append's processor time.
 */
export const HEADERS = "mycelog";

/** Null removes the key from a compacted topic. Else a view, not a copy: client libraries only read it. */
export function nullIfEmpty(value: Uint8Array): Buffer | null {
	return value.length === 0 ? null : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}

export function toHeaders(found: unknown): RecordHeaders {
	return found === undefined ? {} : JSON.parse(String(found));
}
