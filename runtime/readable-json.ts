/** Any value as JSON that people and programs can read. Owns what becomes of bytes and large whole numbers. */

/** Bytes become `{"$bytes": base64}`, whole numbers beyond 2^53 text. */
export function readableJson(value: unknown, indent?: number): string {
	return JSON.stringify(value, (_, item) => plain(item), indent);
}

function plain(item: unknown): unknown {
	if (typeof item === "bigint") return item.toString();
	// Buffers come through their own toJSON, as { type: "Buffer", data }.
	if (isBufferJson(item)) return { $bytes: Buffer.from(item.data).toString("base64") };
	if (item instanceof Uint8Array) return { $bytes: Buffer.from(item).toString("base64") };
	return item;
}

function isBufferJson(item: unknown): item is { data: number[] } {
	if (typeof item !== "object" || item === null) return false;
	const { type, data } = item as { type?: unknown; data?: unknown };
	return type === "Buffer" && Array.isArray(data);
}
