/**
 * Log records as Kafka messages and back. Owns the mapping of keys, headers and offsets.
 */
import type { IHeaders, KafkaMessage, Message } from "kafkajs";
import type { LogRecord, NewRecord } from "./log.ts";

export function toMessage(record: NewRecord, partition: number): Message {
	const { key, value, headers, timestamp } = record;
	return {
		key,
		// A view, not a copy: kafkajs only reads it.
		value: Buffer.from(value.buffer, value.byteOffset, value.byteLength),
		headers: headers as IHeaders,
		timestamp: String(timestamp),
		partition,
	};
}

export function toRecord(message: KafkaMessage): LogRecord {
	const headers: Record<string, string> = {};
	for (const [name, value] of Object.entries(message.headers ?? {})) headers[name] = String(value);
	return {
		offset: Number(message.offset),
		timestamp: Number(message.timestamp),
		key: message.key?.toString("utf8") ?? "",
		headers,
		value: message.value ?? new Uint8Array(),
	};
}
