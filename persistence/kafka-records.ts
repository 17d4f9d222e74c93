/**
 * Log records as Kafka messages and back. Owns the mapping of keys, headers and offsets.
 */
import type { KafkaMessage, Message } from "kafkajs";
import type { LogRecord, NewRecord } from "./log.ts";

/**
 * All headers of a record travel in this one, as JSON: kafkajs makes and zeroes a buffer of 512 bytes for each header
 * it writes, which with the envelope's eight was a third of an append's processor time.
 */
const HEADERS = "mycelog";

export function toMessage(record: NewRecord, partition: number): Message {
	const { key, value, headers, timestamp } = record;
	return {
		key,
		// Null removes the key from a compacted topic. Else a view, not a copy: kafkajs only reads it.
		value: value.length === 0 ? null : Buffer.from(value.buffer, value.byteOffset, value.byteLength),
		headers: { [HEADERS]: JSON.stringify(headers) },
		timestamp: String(timestamp),
		partition,
	};
}

export function toRecord(message: KafkaMessage): LogRecord {
	const headers = message.headers?.[HEADERS];
	return {
		offset: Number(message.offset),
		timestamp: Number(message.timestamp),
		key: message.key?.toString("utf8") ?? "",
		headers: headers === undefined ? {} : JSON.parse(String(headers)),
		value: message.value ?? new Uint8Array(),
	};
}
