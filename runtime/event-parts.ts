/**
 * Events as messages: their facts, and large ones in parts that fit into records. Owns cutting and joining; parts of
 * one emitter come in order, those of several mixed.
 */
import type { EncodedData, EventDataKind } from "./event-data.ts";
import type { Message } from "./message.ts";

/** Bytes of one part: well below what any log takes as a record. */
export const EVENT_PART_BYTES_MAX = 512 * 1024;
/** Emitters whose event is not complete; past it the one heard of longest ago is given up. */
const INCOMPLETE_MAX = 1_000;

/** One event as it was sent. */
export interface Arrived extends EncodedData {
	/** Name of the node process that emitted it. */
	readonly node: string;
}

export interface Part {
	readonly facts: Readonly<Record<string, string>>;
	readonly body: Uint8Array;
}

/** `id` counts up at its emitter. */
export function partsOf(node: string, id: number, { kind, bytes }: EncodedData): readonly Part[] {
	const count = Math.max(Math.ceil(bytes.length / EVENT_PART_BYTES_MAX), 1);
	return Array.from({ length: count }, (_, index) => ({
		facts: { emitter: node, id: String(id), kind, part: String(index), parts: String(count) },
		body: bytes.subarray(index * EVENT_PART_BYTES_MAX, (index + 1) * EVENT_PART_BYTES_MAX),
	}));
}

interface Incomplete {
	readonly id: string;
	readonly bodies: Uint8Array[];
}

export class EventParts {
	readonly #incomplete = new Map<string, Incomplete>();

	/** The event whose last part this is; undefined: others have to come, or its first ones never did. */
	take({ facts = {}, body }: Message): Arrived | undefined {
		const { emitter: node = "", id = "", part = "0", parts = "1" } = facts;
		const kind = facts["kind"] as EventDataKind;
		if (parts === "1") return { node, kind, bytes: body };
		const before = this.#incomplete.get(node);
		this.#incomplete.delete(node);
		const bodies = part === "0" ? [] : before?.id === id ? before.bodies : undefined;
		if (bodies?.length !== Number(part)) return undefined;
		bodies.push(body);
		if (bodies.length === Number(parts)) return { node, kind, bytes: Buffer.concat(bodies) };
		this.#incomplete.set(node, { id, bodies });
		const [oldest] = this.#incomplete.keys();
		if (this.#incomplete.size > INCOMPLETE_MAX && oldest !== undefined) this.#incomplete.delete(oldest);
		return undefined;
	}
}
