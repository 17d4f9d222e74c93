/**
 * One HTTP request and its answer on uWebSockets.js: reads the body within a bound, answers once, and never after the
 * client has gone. Owns the library's rules of lifetime and the headers every answer has; routes are elsewhere.
 */

import type { HttpRequest, HttpResponse } from "uWebSockets.js";
import { STATUS_CODES } from "node:http";
import type { Bodies } from "./http-bodies.ts";
import { Upload } from "./http-upload.ts";

/** Bytes of a body; larger values belong on a WebSocket, which chunks them. */
export const BODY_BYTES_MAX = 16 * 1024 * 1024;
const CORS_METHODS = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT";
const CORS_HEADERS = "Accept, Authorization, Content-Type, Range, X-Requested-With";
/** What pages of other origins may read beside the body. */
const CORS_EXPOSED = "Retry-After";
const CORS_SECONDS = "600";

/** An answer that is an error, in upstream's form: `{success: false, detail}`. */
export class HttpError extends Error {
	override readonly name = "HttpError";
	readonly status: number;
	readonly headers: Readonly<Record<string, string>>;

	constructor(status: number, detail: string, headers: Readonly<Record<string, string>> = {}) {
		super(detail);
		this.status = status;
		this.headers = headers;
	}
}

/** The body of an answer that goes on. */
export interface Pipe {
	/** False: the piece is taken, and no more should be written before `writable`. */
	write(piece: Uint8Array): boolean;
	end(): void;
}

export class Exchange {
	readonly method: string;
	readonly path: string;
	readonly query: string;
	/** Address of the socket's other end. */
	readonly peer: string;
	readonly #headers: ReadonlyMap<string, string>;
	readonly #res: HttpResponse;
	#gone = false;
	#onGone: () => void = () => {};
	#forgetBody: () => void = () => {};
	#upload: Upload | undefined;

	/** Everything that may be asked of `req` is read here: it is only valid in the route's own turn. */
	constructor(res: HttpResponse, req: HttpRequest) {
		this.#res = res;
		this.method = req.getMethod().toUpperCase();
		this.path = req.getUrl();
		this.query = req.getQuery() ?? "";
		this.peer = Buffer.from(res.getRemoteAddressAsText()).toString("latin1");
		const headers = new Map<string, string>();
		req.forEach((name, value) => {
			headers.set(name, value);
		});
		this.#headers = headers;
		res.onAborted(() => {
			this.#gone = true;
			this.#forgetBody();
			this.#onGone();
		});
	}

	header(name: string): string | undefined {
		return this.#headers.get(name);
	}

	cookie(name: string): string | undefined {
		return this.cookies().find(([other]) => other === name)?.[1];
	}

	/** Names and values. */
	cookies(): readonly (readonly [string, string])[] {
		return (this.header("cookie") ?? "").split(";").map((pair) => {
			const at = pair.indexOf("=");
			return [pair.slice(0, at).trim(), decoded(pair.slice(at + 1).trim())] as const;
		});
	}

	/** The client has gone; nobody reads an answer. */
	get gone(): boolean {
		return this.#gone;
	}

	/**
	 * Must be called in the route's own turn. Rejects with HttpError 413, or 503 where all bodies together are too much, and
	 * never settles for a client that goes.
	 */
	body(bodies: Bodies): Promise<Buffer> {
		return new Promise((resolve, reject) => {
			let chunks: Buffer[] = [];
			let bytes = 0;
			let held = 0;
			let refusal: HttpError | undefined;
			const forget = () => {
				bodies.giveBack(held);
				held = 0;
				chunks = [];
			};
			this.#forgetBody = forget;
			this.#res.onData((part, isLast) => {
				bytes += part.byteLength;
				if (bytes > BODY_BYTES_MAX) {
					refusal ??= new HttpError(413, `the body has more than ${BODY_BYTES_MAX} bytes`);
				} else if (!refusal && !bodies.take(part.byteLength)) {
					refusal = new HttpError(503, "too many bodies arrive at once, try again", { "retry-after": "1" });
				}
				if (refusal) {
					forget();
					if (isLast) reject(refusal);
					return;
				}
				held += part.byteLength;
				// The library takes its memory back after this call.
				chunks.push(Buffer.from(new Uint8Array(part)));
				if (!isLast) return;
				resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks));
				forget();
			});
		});
	}

	/** Instead of `body`, for one of any length; first called in the route's own turn. */
	upload(): Upload {
		const upload = this.#upload ?? new Upload(this.#res);
		this.#upload = upload;
		this.#forgetBody = () => upload.gone();
		return upload;
	}

	send(
		status: number,
		contentType: string,
		body: string | Uint8Array,
		headers: Readonly<Record<string, string>> = {},
	): void {
		if (this.#gone) return;
		this.#upload?.discard();
		this.#gone = true;
		this.#res.cork(() => {
			this.#head(status, contentType, headers);
			this.#res.end(body);
		});
	}

	json(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): void {
		this.send(status, "application/json", JSON.stringify(value), headers);
	}

	/** Of a preflight request. */
	allow(): void {
		this.send(200, "text/plain", "OK", {
			"access-control-allow-methods": CORS_METHODS,
			"access-control-allow-headers": CORS_HEADERS,
			"access-control-max-age": CORS_SECONDS,
		});
	}

	fail(error: unknown): void {
		const { status, headers } = error instanceof HttpError ? error : { status: 500, headers: {} };
		const detail = error instanceof Error ? error.message : String(error);
		this.json(status, { success: false, detail }, headers);
	}

	/** Of a client that goes before it is answered, or while it is: called once. */
	onGone(heard: () => void): void {
		this.#onGone = heard;
	}

	/** An answer without an end of its own. `writable`: the library takes more; it may hold some of the last piece yet. */
	pipe(contentType: string, headers: Readonly<Record<string, string>>, writable: () => void): Pipe {
		const res = this.#res;
		res.cork(() => this.#head(200, contentType, { "cache-control": "no-cache", ...headers }));
		res.onWritable(() => {
			writable();
			return true;
		});
		return {
			write: (piece) => {
				let taken = true;
				if (!this.#gone) {
					res.cork(() => {
						taken = res.write(piece);
					});
				}
				return taken;
			},
			end: () => {
				if (this.#gone) return;
				this.#gone = true;
				res.cork(() => void res.end());
			},
		};
	}

	/** Drop the connection without an answer, or in the middle of one. */
	destroy(): void {
		if (!this.#gone) this.#res.close();
	}

	/** An answer in pieces, as they come; `items` is ended early for a client that goes or does not read. */
	async stream(contentType: string, items: AsyncIterable<string | Uint8Array>): Promise<void> {
		if (this.#gone) return;
		this.#res.cork(() => this.#head(200, contentType, { "cache-control": "no-cache" }));
		for await (const item of items) {
			if (this.#gone) return;
			let taken = true;
			this.#res.cork(() => {
				taken = this.#res.write(item);
			});
			if (!taken) await this.#writable();
		}
		if (this.#gone) return;
		this.#gone = true;
		this.#res.cork(() => void this.#res.end());
	}

	/** Resolves when the socket takes more, or the client has gone: at most one item waits for a slow reader. */
	#writable(): Promise<void> {
		return new Promise((resolve) => {
			this.#onGone = resolve;
			this.#res.onWritable(() => {
				resolve();
				return true;
			});
		});
	}

	#head(status: number, contentType: string, headers: Readonly<Record<string, string>>): void {
		this.#res.writeStatus(`${status} ${STATUS_CODES[status] ?? ""}`);
		this.#res.writeHeader("content-type", contentType);
		const origin = this.header("origin");
		if (origin) {
			this.#res.writeHeader("access-control-allow-origin", origin);
			this.#res.writeHeader("access-control-allow-credentials", "true");
			this.#res.writeHeader("access-control-expose-headers", CORS_EXPOSED);
			this.#res.writeHeader("vary", "Origin");
		}
		for (const [name, value] of Object.entries(headers)) this.#res.writeHeader(name, value);
	}
}

function decoded(text: string): string {
	try {
		return decodeURIComponent(text);
	} catch {
		return text;
	}
}
