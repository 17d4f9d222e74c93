/**
 * Fetched records and errors of @platformatic/kafka as those of the port. Owns no connections.
 */
import type * as Library from "@platformatic/kafka";
import type { FetchedPartition } from "./kafka-cluster.ts";
import { HEADERS, toHeaders } from "./kafka-records.ts";
import type { LogRecord } from "./log.ts";

const CONTROL_BATCH = 1 << 5;
const HEADERS_BYTES = Buffer.from(HEADERS);

export function fetchedOf(
	topic: string,
	partition: number,
	batches: readonly Library.RecordsBatch[],
	from: number,
	end: number,
): FetchedPartition {
	const recordsFrom = (first: number) => {
		const records: LogRecord[] = [];
		for (const { firstOffset, firstTimestamp, attributes, records: found } of batches) {
			if (attributes & CONTROL_BATCH) continue;
			const base = Number(firstOffset);
			const since = Number(firstTimestamp);
			for (const record of found) {
				if (base + record.offsetDelta >= first) records.push(toRecord(record, base, since));
			}
		}
		return records;
	};
	const last = batches.at(-1);
	const next = last ? Number(last.firstOffset) + last.lastOffsetDelta + 1 : from;
	return { topic, partition, recordsFrom, next, end };
}

function toRecord(
	{ offsetDelta, timestampDelta, key, value, headers }: Library.KafkaRecord,
	base: number,
	since: number,
): LogRecord {
	const own = headers.find(([name]) => name?.equals(HEADERS_BYTES))?.[1];
	return {
		offset: base + offsetDelta,
		timestamp: since + Number(timestampDelta),
		key: key?.toString("utf8") ?? "",
		headers: toHeaders(own ?? undefined),
		value: value ?? new Uint8Array(),
	};
}

/** The answer that came with an error of the protocol. Throws the error where none came. */
export function partialAnswer<Answer>(error: Error): Answer {
	const { response } = (error.cause ?? {}) as { response?: Answer };
	if (!response) throw error;
	return response;
}

interface LibraryError extends Error {
	readonly apiId?: string;
	readonly canRetry?: boolean;
	readonly errors?: readonly LibraryError[];
}

/** With the port's `type` and `retriable`; the library's own error is its cause. */
export function toError(error: unknown): Error & { type?: string; retriable?: boolean } {
	const innermost = innermostOf(error as LibraryError);
	const type =
		innermost.apiId ?? (innermost.name === "AuthenticationError" ? "SASL_AUTHENTICATION_FAILED" : undefined);
	if (type === undefined) return new Error(innermost.message, { cause: error });
	return protocolError(type, innermost.message, innermost.canRetry !== false, error);
}

function innermostOf(error: LibraryError): LibraryError {
	if (error.apiId !== undefined) return error;
	const inner = (error.errors?.[0] ?? error.cause) as LibraryError | undefined;
	return inner instanceof Error ? innermostOf(inner) : error;
}

export function protocolError(type: string, message: string, retriable: boolean, cause?: unknown) {
	return Object.assign(new Error(message, { cause }), { type, retriable });
}
