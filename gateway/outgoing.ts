/**
 * What a mailbox message looks like on the wire. Owns the translation of structured frames (system events,
 * rejects of the runtime) to Hypha frames; frames from clients pass as they are.
 */
import { eventOf, type Message } from "../runtime/message.ts";
import { eventFrame, rejectFrame } from "./rpc-value.ts";

/** Types of frame records in a client's mailbox. */
export const FRAME = "frame";
export const EVENT = "event";
export const UNDELIVERABLE = "undeliverable";

/** Bytes for the socket, or undefined for a type this version does not know. */
export function wireBytes(message: Message): Uint8Array | undefined {
	switch (message.type) {
		case FRAME:
			return message.body;
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
