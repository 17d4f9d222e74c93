/**
 * Frames of clients as parts of traces. The protocol has no field for one, so a trace begins where a frame is received,
 * and a callee's answer is known by the session of its call. Owns which calls are under way in a trace.
 */
import { SpanKind } from "@opentelemetry/api";
import type { Address } from "../runtime/address.ts";
import type { Message } from "../runtime/message.ts";
import type { Tracing } from "../runtime/tracing.ts";
import type { Main } from "./frame.ts";

/** Calls delivered in a trace and not answered; past it the oldest is forgotten, and its answer is in no trace. */
export const TRACED_CALLS_MAX = 10_000;
const ANSWER = /^(.+)\.(resolve|reject|heartbeat)$/;

export class FrameTraces {
	readonly #tracing: Tracing;
	/** By callee and session. */
	readonly #calls = new Map<string, string>();

	constructor(tracing: Tracing) {
		this.#tracing = tracing;
	}

	/** From a frame's arrival until it is in the log, refused or, of a call to the server itself, answered. */
	received(
		from: Address,
		{ method }: Main,
		to: string,
		take: (trace: string | undefined) => Promise<void> | undefined,
	): Promise<void> | undefined {
		const name = typeof method === "string" ? method : "";
		const [, session, outcome] = ANSWER.exec(name) ?? [];
		const key = session === undefined ? undefined : `${from}\n${session}`;
		const parent = key === undefined ? undefined : this.#calls.get(key);
		// An answer to what nobody traced begins no trace.
		if (key !== undefined && parent === undefined) return take(undefined);
		if (key !== undefined && outcome !== "heartbeat") this.#calls.delete(key);
		const attributes = {
			"mycelog.client": from,
			"mycelog.target": to,
			"mycelog.method": outcome ?? name.slice(0, 200),
		};
		return this.#tracing.around({ name: "receive frame", kind: SpanKind.SERVER, attributes, parent }, take);
	}

	/** A message was written to its client's socket. */
	delivered(message: Message): void {
		const trace = this.#tracing.mark("deliver", message);
		const session = message.facts?.["session"];
		if (trace === undefined || session === undefined) return;
		this.#calls.set(`${message.to}\n${session}`, trace);
		if (this.#calls.size <= TRACED_CALLS_MAX) return;
		for (const oldest of this.#calls.keys()) {
			this.#calls.delete(oldest);
			return;
		}
	}
}
