/**
 * Bodies of requests while they arrive: whoever sends one is not known yet. Owns how much memory they all may take on a
 * node together.
 */

/** Bytes of all bodies that are not complete; past it a request that brings more is answered 503. */
export const BODIES_BYTES_MAX = 256 * 1024 * 1024;

export class Bodies {
	readonly #bytesMax: number;
	#bytes = 0;

	constructor(bytesMax = BODIES_BYTES_MAX) {
		this.#bytesMax = bytesMax;
	}

	/** False: there is no room for so many more. */
	take(bytes: number): boolean {
		if (this.#bytes + bytes > this.#bytesMax) return false;
		this.#bytes += bytes;
		return true;
	}

	giveBack(bytes: number): void {
		this.#bytes -= bytes;
	}
}
