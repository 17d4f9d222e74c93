/**
 * The answer to one GET as a socket: frames with their length in front, as they come (http.md §5). Owns the form of the
 * stream, what waits while the client does not read, and the cursor; the life of the connection on it is connection.ts.
 *
 * HTTP clients answer no pings, but they keep the newest reconnection token they have read, and show it when they come
 * again. So the stream hands out tokens with the offset of what went before them: the one that is shown tells what
 * arrived, and the session goes on behind it.
 */
import { encode } from "@msgpack/msgpack";
import type { Clock } from "../runtime/clock.ts";
import type { Message } from "../runtime/message.ts";
import { type Exchange, HttpError, type Pipe } from "./http-exchange.ts";
import type { Socket } from "./socket.ts";

/** A stream without a word this long gets one, milliseconds: clients take silence of 30 seconds for a broken network. */
export const STREAM_PING_MS = 10_000;
/** At most so long after a frame a token with its offset follows, milliseconds: a cut may repeat what came in between. */
export const CURSOR_AFTER_MS = 250;
/** Between a reconnection token and its cursor; no token holds one. */
const CURSOR_MARK = "~";

const CONTENT_TYPE = "application/x-msgpack-stream";
const PING = framed(encode({ type: "ping" }));

export interface StreamOwner {
	/** The client is in; said before the first frame. Headers of the answer. */
	opened(): Readonly<Record<string, string>>;
	/** The client was wrong about who it is. What it is told where that was too often. */
	mistaken(): HttpError | undefined;
	/** What came by another node. False: it is not the client's. */
	posted(message: Message): boolean;
	/** It was asked for a sign of life, and the network still takes what is written. */
	alive(): void;
	/** The buffer has emptied. */
	drained(): void;
	/** The stream is no more, whoever ended it. */
	closed(): void;
}

export class StreamSocket implements Socket {
	readonly oneWay = true;
	readonly #exchange: Exchange;
	readonly #owner: StreamOwner;
	readonly #clock: Clock;
	#pipe: Pipe | undefined;
	#waiting: Uint8Array[] = [];
	#waitingBytes = 0;
	/** A sign of life is waited for. */
	#probed = false;
	/** The client's newest reconnection token, and the offset of the newest frame before here. */
	#token = "";
	#cursor = "";
	/** The network takes no more just now. */
	#full = false;
	#flushing = false;
	#open = true;
	/** Why the client is not let in. */
	#error = "";
	#tooOften: HttpError | undefined;
	#cancelPing = () => {};
	#cancelCursor: (() => void) | undefined;

	constructor(exchange: Exchange, owner: StreamOwner, clock: Clock) {
		this.#exchange = exchange;
		this.#owner = owner;
		this.#clock = clock;
		exchange.onGone(() => this.#closed());
	}

	send(bytes: Uint8Array): boolean {
		return this.#put(framed(bytes));
	}

	/** A control text: as msgpack like everything else. Before the first one there is no stream. */
	sendText(text: string): boolean {
		const message = JSON.parse(text) as {
			type?: unknown;
			message?: unknown;
			reconnection_token?: unknown;
		};
		if (typeof message.reconnection_token === "string") {
			this.#token = message.reconnection_token;
			message.reconnection_token = this.#tokenHere();
		}
		if (!this.#pipe && message.type === "error") {
			this.#error = String(message.message);
			return this.#open;
		}
		if (!this.#pipe && this.#open) {
			this.#pipe = this.#exchange.pipe(CONTENT_TYPE, this.#owner.opened(), () => this.#writable());
			this.#pingLater();
		}
		return this.#put(framed(encode(message)));
	}

	/** The payload is the offset of the last frame; without one, a sign of life is wanted. */
	ping(payload: string): void {
		if (payload === "") {
			this.#probed = true;
			this.#put(PING);
			return;
		}
		if (!/^\d+$/.test(payload)) return;
		this.#cursor = payload;
		this.#cancelCursor ??= this.#clock.after(CURSOR_AFTER_MS, () => {
			this.#cancelCursor = undefined;
			this.#put(framed(encode({ type: "reconnection_token", reconnection_token: this.#tokenHere() })));
		});
	}

	mistaken(): boolean {
		this.#tooOften = this.#owner.mistaken();
		return this.#tooOften !== undefined;
	}

	posted(message: Message): boolean {
		return this.#owner.posted(message);
	}

	bufferedBytes(): number {
		return this.#open ? this.#waitingBytes : 0;
	}

	close(code: number, reason: string): void {
		if (!this.#open) return;
		if (!this.#pipe) {
			this.#refuse(code, reason);
			return;
		}
		this.#waiting.push(framed(encode({ type: "error", message: reason })));
		this.#full = false;
		this.#flush();
		this.#pipe.end();
		this.#closed();
	}

	destroy(): void {
		if (!this.#open) return;
		this.#exchange.destroy();
		this.#closed();
	}

	/** Statuses that say whether the same client may come again: 503 only where it may. */
	#refuse(code: number, reason: string): void {
		const status =
			code === 1013 || this.#error === "" ? 503 : code === 1008 ? 401 : code === 1003 ? 400 : 403;
		this.#exchange.fail(this.#tooOften ?? new HttpError(status, this.#error || reason));
		this.#closed();
	}

	#put(bytes: Uint8Array): boolean {
		if (!this.#open) return false;
		this.#waiting.push(bytes);
		this.#waitingBytes += bytes.length;
		this.#flushSoon();
		return true;
	}

	/** What is written in one turn leaves in one piece. */
	#flushSoon(): void {
		if (this.#flushing) return;
		this.#flushing = true;
		queueMicrotask(() => {
			this.#flushing = false;
			this.#flush();
		});
	}

	#flush(): void {
		if (!this.#open || !this.#pipe || this.#full) return;
		if (this.#waiting.length > 0) {
			const piece =
				this.#waiting.length === 1 ? (this.#waiting[0] as Uint8Array) : Buffer.concat(this.#waiting);
			this.#waiting = [];
			this.#waitingBytes = 0;
			this.#full = !this.#pipe.write(piece);
			this.#pingLater();
		}
		if (this.#full || !this.#probed) return;
		this.#probed = false;
		this.#owner.alive();
	}

	#tokenHere(): string {
		return this.#cursor === "" ? this.#token : this.#token + CURSOR_MARK + this.#cursor;
	}

	/** The library says so before it has written what it holds itself: only a write tells whether it takes more. */
	#writable(): void {
		if (!this.#open || !this.#pipe) return;
		this.#waiting.unshift(PING);
		this.#full = false;
		this.#flush();
		if (!this.#full) this.#owner.drained();
	}

	#pingLater(): void {
		this.#cancelPing();
		this.#cancelPing = this.#clock.after(STREAM_PING_MS, () => {
			if (this.#full) this.#pingLater();
			else this.#put(PING);
		});
	}

	#closed(): void {
		if (!this.#open) return;
		this.#open = false;
		this.#waiting = [];
		this.#cancelPing();
		this.#cancelCursor?.();
		this.#owner.closed();
	}
}

/** A token that a client shows, apart: what it is, and the offset of what it came after. */
export function cursorOf(shown: string | null): {
	readonly token: string | null;
	readonly offset: number | undefined;
} {
	const [token = "", offset] = (shown ?? "").split(CURSOR_MARK, 2);
	return { token: token || null, offset: offset === undefined ? undefined : Number(offset) };
}

function framed(bytes: Uint8Array): Uint8Array {
	const piece = Buffer.allocUnsafe(4 + bytes.length);
	piece.writeUInt32BE(bytes.length);
	piece.set(bytes, 4);
	return piece;
}
