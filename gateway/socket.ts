/**
 * One uWebSockets.js socket as a connection uses it. Owns the library's quirks: a closed socket must not be
 * touched, and what is written in one turn leaves in one system call.
 */
import type { WebSocket } from "uWebSockets.js";
import type { Message } from "../runtime/message.ts";
import type { Wire } from "./session.ts";

export interface Socket extends Wire {
	sendText(text: string): boolean;
	close(code: number, reason: string): void;
	/** Drop without a close frame. */
	destroy(): void;
	/** The client was wrong about who it is. True: its address has been so too often. */
	mistaken(): boolean;
	/** What came for the client by another node. False: it is somebody else's. */
	posted?(message: Message): boolean;
}

/**
 * Bytes that wait for the end of the turn. More are written at once: a session that finds its socket full waits for
 * it to empty, and the library tells of that only for what it has been given.
 */
const CORKED_BYTES_MAX = 64 * 1024;

type Outgoing = { readonly bytes: Uint8Array } | { readonly text: string } | { readonly ping: string };

export class UwsSocket<Data> implements Socket {
	readonly #ws: WebSocket<Data>;
	readonly mistaken: () => boolean;
	#outgoing: Outgoing[] = [];
	#waitingBytes = 0;
	#open = true;

	constructor(ws: WebSocket<Data>, mistaken: () => boolean) {
		this.#ws = ws;
		this.mistaken = mistaken;
	}

	send(bytes: Uint8Array): boolean {
		this.#waitingBytes += bytes.length;
		const open = this.#put({ bytes });
		if (this.#waitingBytes > CORKED_BYTES_MAX) this.#flush();
		return open;
	}

	sendText(text: string): boolean {
		return this.#put({ text });
	}

	ping(payload: string): void {
		this.#put({ ping: payload });
	}

	bufferedBytes(): number {
		return this.#open ? this.#waitingBytes + this.#ws.getBufferedAmount() : 0;
	}

	close(code: number, reason: string): void {
		if (!this.#open) return;
		this.#flush();
		this.#ws.end(code, reason);
	}

	destroy(): void {
		if (this.#open) this.#ws.close();
	}

	/** The library says that the socket has ended; from now on it is not touched. */
	ended(): void {
		this.#open = false;
		this.#outgoing = [];
	}

	#put(outgoing: Outgoing): boolean {
		if (!this.#open) return false;
		if (this.#outgoing.push(outgoing) === 1) queueMicrotask(() => this.#flush());
		return true;
	}

	#flush(): void {
		const batch = this.#outgoing;
		if (!this.#open || batch.length === 0) return;
		this.#outgoing = [];
		this.#waitingBytes = 0;
		this.#ws.cork(() => {
			for (const outgoing of batch) {
				if ("bytes" in outgoing) this.#ws.send(outgoing.bytes, true);
				else if ("text" in outgoing) this.#ws.send(outgoing.text, false);
				else this.#ws.ping(outgoing.ping);
			}
		});
	}
}
