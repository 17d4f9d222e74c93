/**
 * The body of a request that is too large to hold: as it comes, and no faster than it is read. Owns the library's rules of
 * it; bodies that are held whole are http-exchange.ts.
 */
import type { HttpResponse } from "uWebSockets.js";

export class Upload implements AsyncIterable<Buffer> {
	readonly #res: HttpResponse;
	/** What came before the sender was told to wait: about what one read of a socket gives. */
	#pieces: Buffer[] = [];
	#ended = false;
	#gone = false;
	#paused = false;
	#discarding = false;
	#wake = () => {};

	/** In the route's own turn. */
	constructor(res: HttpResponse) {
		this.#res = res;
		res.onData((part, isLast) => {
			this.#ended ||= isLast;
			if (!this.#discarding) {
				// The library takes its memory back after this call.
				this.#pieces.push(Buffer.from(new Uint8Array(part)));
				if (!isLast) this.#pause();
			}
			this.#wake();
		});
	}

	/** The client has gone: the request may not be touched any more. */
	gone(): void {
		this.#gone = true;
		this.#pieces = [];
		this.#wake();
	}

	/** Nobody reads it any more; call before the answer, as the library reads on behind it. */
	discard(): void {
		this.#discarding = true;
		this.#pieces = [];
		this.#resume();
	}

	/** Rejects where the client goes before the end. */
	async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
		for (;;) {
			const pieces = this.#pieces;
			this.#pieces = [];
			yield* pieces;
			if (this.#pieces.length > 0) continue;
			if (this.#gone) throw new Error("the client has gone in the middle of its request");
			if (this.#ended) return;
			this.#resume();
			await new Promise<void>((resolve) => {
				this.#wake = resolve;
			});
		}
	}

	#pause(): void {
		if (this.#paused || this.#gone) return;
		this.#paused = true;
		this.#res.pause();
	}

	#resume(): void {
		if (!this.#paused || this.#gone) return;
		this.#paused = false;
		this.#res.resume();
	}
}
