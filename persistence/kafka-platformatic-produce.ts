/**
 * Produce requests for @platformatic/kafka. Owns their encoding, version 9 of the request with batches of version 2.
 *
 * Why not the library's: it writes the distance between two timestamps of a batch in 32 bits, so that records more than
 * 24 days apart came back with other times (@platformatic/dynamic-buffer 0.3.1, `int64ZigZagEncode`).
 */
import type * as Library from "@platformatic/kafka";
import type { ProduceBatch, ProducerIdentity } from "./kafka-cluster.ts";
import { HEADERS, nullIfEmpty } from "./kafka-records.ts";
import type { NewRecord } from "./log.ts";

const PRODUCE = 0;
const VERSION = 9;
const ALL_REPLICAS = -1;
const MAGIC = 2;
const HEADERS_BYTES = Buffer.from(HEADERS);

export type ProduceApi = Library.API<
	[producer: ProducerIdentity, batches: readonly ProduceBatch[], timeoutMs: number],
	Library.produceV9.ProduceResponse
>;

export function produceApi(library: typeof Library): ProduceApi {
	const { createAPI, produceV9 } = library;
	const createRequest = (
		producer: ProducerIdentity,
		batches: readonly ProduceBatch[],
		timeoutMs: number,
	): Library.Writer => {
		const byTopic = [...Map.groupBy(batches, ({ topic }) => topic)];
		return library.Writer.create()
			.appendString(null)
			.appendInt16(ALL_REPLICAS)
			.appendInt32(timeoutMs)
			.appendArray(byTopic, (writer, [topic, of]) => {
				writer.appendString(topic).appendArray(of, (writer, batch) => {
					const encoded = batchOf(library, producer, batch);
					writer
						.appendInt32(batch.partition)
						.appendUnsignedVarInt(encoded.length + 1)
						.appendFrom(encoded);
				});
			})
			.appendTaggedFields();
	};
	return createAPI(PRODUCE, VERSION, createRequest, produceV9.parseResponse);
}

function batchOf(
	{ Writer, crc32c }: typeof Library,
	{ id, epoch }: ProducerIdentity,
	{ records, sequence }: ProduceBatch,
): Library.Writer {
	const first = records[0]?.timestamp ?? 0;
	const newest = records.reduce((most, { timestamp }) => Math.max(most, timestamp), first);
	const writer = Writer.create()
		.appendInt16(0)
		.appendInt32(records.length - 1)
		.appendInt64(BigInt(first))
		.appendInt64(BigInt(newest))
		.appendInt64(BigInt(id))
		.appendInt16(epoch)
		.appendInt32(sequence)
		.appendInt32(records.length);
	for (const [i, record] of records.entries()) writer.appendFrom(recordOf(Writer, record, i, first));
	return writer
		.appendUnsignedInt32(crc32c(writer.dynamicBuffer), false)
		.appendInt8(MAGIC, false)
		.appendInt32(0, false)
		.prependLength()
		.appendInt64(0n, false);
}

function recordOf(
	writers: typeof Library.Writer,
	{ key, value, headers, timestamp }: NewRecord,
	index: number,
	first: number,
): Library.Writer {
	return writers
		.create()
		.appendInt8(0)
		.append(varint(timestamp - first))
		.appendVarInt(index)
		.appendVarIntBytes(Buffer.from(key))
		.appendVarIntBytes(nullIfEmpty(value))
		.appendVarInt(1)
		.appendVarIntBytes(HEADERS_BYTES)
		.appendVarIntBytes(Buffer.from(JSON.stringify(headers)))
		.prependVarIntLength();
}

/** Zigzag, seven bits a byte. */
function varint(value: number): Buffer {
	let rest = BigInt.asUintN(64, (BigInt(value) << 1n) ^ (BigInt(value) >> 63n));
	const bytes: number[] = [];
	while (rest > 127n) {
		bytes.push(Number(rest & 127n) | 128);
		rest >>= 7n;
	}
	bytes.push(Number(rest));
	return Buffer.from(bytes);
}
