/** Messages as a mailbox would give them, for tests that drive a behaviour's pure functions. */
import type { Event, Message, MessageKind, ReplyTo } from "../../runtime/message.ts";
import { encodeBody, messageOf, recordOf } from "../../runtime/message.ts";

export interface MessageOptions {
	readonly kind?: MessageKind;
	readonly from?: string;
	readonly replyTo?: ReplyTo;
	readonly offset?: number;
	/** Milliseconds since 1970. */
	readonly timestamp?: number;
	readonly facts?: Readonly<Record<string, string>>;
	/** Milliseconds since 1970. */
	readonly expiresAt?: number;
}

/** Through a real log record, so that only what msgpack carries arrives. */
export function message(to: string, event: Event, options: MessageOptions = {}): Message {
	const { kind = "command", from, replyTo, offset = 0, timestamp = 0, facts, expiresAt } = options;
	const draft = {
		to,
		kind,
		type: event.type,
		body: encodeBody(event),
		...(from === undefined ? undefined : { from }),
		...(replyTo === undefined ? undefined : { replyTo }),
		...(facts === undefined ? undefined : { facts }),
		...(expiresAt === undefined ? undefined : { expiresAt }),
	};
	const record = recordOf(draft, { source: "test", major: offset, minor: 0 }, timestamp);
	const read = messageOf({ ...record, offset } as Parameters<typeof messageOf>[0]);
	if ("unreadable" in read) throw new Error(read.unreadable);
	return read;
}
