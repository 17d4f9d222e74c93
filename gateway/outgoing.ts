/**
 * What a mailbox message looks like on the wire. Owns the translation of structured frames (system events,
 * rejects of the runtime) to Hypha frames, and the refusal of chunks; other frames from clients pass as they are.
 */
import type { Address } from "../runtime/address.ts";
import { eventOf, type Message } from "../runtime/message.ts";
import type { Node } from "../runtime/node.ts";
import type { ChunkGuards } from "./chunk-guard.ts";
import type { GatewayMetrics } from "./metrics.ts";
import { eventFrame, rejectFrame } from "./rpc-value.ts";

/** Types of frame records in a client's mailbox. */
export const FRAME = "frame";
const EVENT = "event";
const UNDELIVERABLE = "undeliverable";

export interface OutgoingParts {
	readonly node: Pick<Node, "answer">;
	readonly guards: ChunkGuards;
	readonly metrics: Pick<GatewayMetrics, "refusedFrames">;
	/** A frame of the server's own to a client. */
	readonly post: (to: Address, frame: Uint8Array) => void;
}

export class Outgoing {
	readonly #parts: OutgoingParts;

	constructor(parts: OutgoingParts) {
		this.#parts = parts;
	}

	/** Bytes for the socket. Undefined: nothing, because it was refused or its type is not known here. */
	bytes(message: Message): Uint8Array | undefined {
		if (message.type !== FRAME) return translated(message);
		const checked = this.#parts.guards.check(message);
		if (checked.ok) return checked.bytes;
		this.#parts.metrics.refusedFrames.inc({ reason: "chunk" });
		this.#refuse(message, checked.reason);
		return undefined;
	}

	/** What the server itself asked in a frame that is not for the socket. */
	answer({ replyTo }: Message, value: unknown): void {
		if (replyTo) this.#parts.node.answer(replyTo, { ok: true, value });
	}

	/** The client is gone for good. */
	forget(receiver: Address): void {
		this.#parts.guards.forget(receiver);
	}

	#refuse({ from, facts, replyTo }: Message, error: string): void {
		if (replyTo) this.#parts.node.answer(replyTo, { ok: false, error });
		const session = facts?.["session"];
		if (!from || !session) return;
		const to = from.slice("client/".length);
		this.#parts.post(from, rejectFrame({ session, from: facts["target"] ?? "", to, message: error }));
	}
}

function translated(message: Message): Uint8Array | undefined {
	switch (message.type) {
		case EVENT: {
			const { event, data } = eventOf(message);
			return eventFrame(String(event), data);
		}
		case UNDELIVERABLE: {
			const { peer, target, session } = eventOf(message);
			const to = message.to.slice("client/".length);
			const text = `Target peer ${peer} is not connected`;
			return rejectFrame({ session: String(session), from: String(target), to, message: text });
		}
		default:
			return undefined;
	}
}
