/**
 * A WebSocket client that costs little, for load generators: no masking work (the mask is zero), frames made in one
 * piece, one write a turn. Owns opening, framing and answering pings; a server that fragments is refused.
 */
import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";

const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PONG = 10;
const FIN = 0x80;
const MASKED = 0x80;
/** Bytes of a client frame's header with a 16-bit length: two, the length, the mask. */
const HEADER_BYTES = 8;
const PAYLOAD_BYTES_MAX = 0xffff;

export class LeanSocket {
	/** A binary frame's payload lies in `buffer` from `start` to `end`, valid during the call. */
	onFrame: (buffer: Buffer, start: number, end: number) => void = () => {};
	readonly #socket: Socket;
	#rest: Buffer | undefined;
	#outgoing: Buffer[] = [];
	#onText: ((text: string) => void) | undefined;
	/** Told how the server ended the connection; without it that is fatal. */
	#onEnd: ((error: Error) => void) | undefined;

	private constructor(socket: Socket) {
		this.#socket = socket;
	}

	/** `path` of a server at an `http:` URL. */
	static async open(url: string): Promise<LeanSocket> {
		const { hostname, port, host, pathname } = new URL(url);
		const socket = connect({ host: hostname, port: Number(port), noDelay: true });
		await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
		const lean = new LeanSocket(socket);
		const upgraded = lean.#upgrade();
		socket.write(
			`GET ${pathname} HTTP/1.1\r\nHost: ${host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
				`Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString("base64")}\r\n\r\n`,
		);
		await upgraded;
		return lean;
	}

	/** Hypha's handshake: say hello, hear who we are. Rejects with the node's own words. */
	async hello(clientId: string, token?: string): Promise<{ readonly workspace: string }> {
		const answer = new Promise<string>((resolve, reject) => {
			this.#onText = resolve;
			this.#onEnd = reject;
		});
		this.send(frameOf(Buffer.from(JSON.stringify({ client_id: clientId, token })), TEXT));
		const text = await answer;
		this.#onEnd = undefined;
		const info = JSON.parse(text) as { type: string; message?: string; workspace: string };
		if (info.type !== "connection_info") throw new Error(`handshake refused: ${info.message}`);
		return info;
	}

	/** A whole frame, as `frameOf` makes it. Leaves with all others of this turn in one write. */
	send(frame: Buffer): void {
		if (this.#outgoing.push(frame) > 1) return;
		setImmediate(() => {
			const frames = this.#outgoing;
			this.#outgoing = [];
			this.#socket.write(frames.length === 1 ? (frames[0] as Buffer) : Buffer.concat(frames));
		});
	}

	close(): void {
		this.#socket.removeAllListeners("close");
		this.#socket.destroy();
	}

	#upgrade(): Promise<void> {
		return new Promise((resolve, reject) => {
			let head = Buffer.alloc(0);
			const failed = () => reject(new Error(`no WebSocket: ${head.toString("latin1").slice(0, 200)}`));
			const hear = (chunk: Buffer) => {
				head = Buffer.concat([head, chunk]);
				const end = head.indexOf("\r\n\r\n");
				if (end < 0) return;
				if (!head.toString("latin1", 0, end).startsWith("HTTP/1.1 101")) {
					failed();
					return;
				}
				this.#socket.off("data", hear).off("close", failed);
				this.#socket.on("data", (bytes: Buffer) => this.#bytes(bytes));
				this.#socket.on("close", () => this.#ended("without a close frame"));
				resolve();
				if (head.length > end + 4) this.#bytes(head.subarray(end + 4));
			};
			this.#socket.on("data", hear).on("close", failed);
		});
	}

	#bytes(chunk: Buffer): void {
		const bytes = this.#rest ? Buffer.concat([this.#rest, chunk]) : chunk;
		let at = 0;
		while (at + 2 <= bytes.length) {
			const short = (bytes[at + 1] as number) & 0x7f;
			const start = at + (short < 126 ? 2 : short === 126 ? 4 : 10);
			if (start > bytes.length) break;
			const length =
				short < 126
					? short
					: short === 126
						? bytes.readUInt16BE(at + 2)
						: Number(bytes.readBigUInt64BE(at + 2));
			if (start + length > bytes.length) break;
			this.#frame(bytes[at] as number, bytes, start, start + length);
			at = start + length;
		}
		this.#rest = at < bytes.length ? bytes.subarray(at) : undefined;
	}

	#frame(first: number, bytes: Buffer, start: number, end: number): void {
		if ((first & FIN) === 0) throw new Error("the server sent a fragmented frame");
		switch (first & 0x0f) {
			case BINARY:
				this.onFrame(bytes, start, end);
				break;
			case PING:
				this.send(frameOf(bytes.subarray(start, end), PONG));
				break;
			case TEXT:
				this.#onText?.(bytes.toString("utf8", start, end));
				break;
			case CLOSE:
				this.#ended(bytes.toString("utf8", start + 2, end));
				break;
		}
	}

	#ended(how: string): void {
		const error = new Error(`the server closed the connection: ${how}`);
		if (!this.#onEnd) throw error;
		this.#onEnd(error);
	}
}

/** A client frame with a zero mask. */
export function frameOf(payload: Uint8Array, opcode = BINARY): Buffer {
	if (payload.length > PAYLOAD_BYTES_MAX) throw new Error(`frames here hold ${PAYLOAD_BYTES_MAX} bytes`);
	// A control frame must use the short length.
	const short = payload.length < 126;
	const header = short ? HEADER_BYTES - 2 : HEADER_BYTES;
	const frame = Buffer.alloc(header + payload.length);
	frame[0] = FIN | opcode;
	frame[1] = MASKED | (short ? payload.length : 126);
	if (!short) frame.writeUInt16BE(payload.length, 2);
	frame.set(payload, header);
	return frame;
}
