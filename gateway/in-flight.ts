/**
 * What one connection has sent and the log or the manager has not taken yet. Owns the bound: the socket library cannot
 * stop reading, so a client that sends faster than the log takes, and does not wait for answers, has to go.
 */

/**
 * Bytes and frames of one connection. Above what one partition lets wait, so that an honest client in a hurry is told
 * by rejects first; below what all partitions let wait, so that one client cannot use up everybody's.
 */
export const IN_FLIGHT_BYTES_MAX = 96 * 1024 * 1024;
export const IN_FLIGHT_FRAMES_MAX = 50_000;

export class InFlight {
	#bytes = 0;
	#frames = 0;

	/** `taken` settles when the frame's bytes are not needed any more; it never rejects. */
	add(bytes: number, taken: Promise<void>): void {
		this.#bytes += bytes;
		this.#frames++;
		void taken.then(() => {
			this.#bytes -= bytes;
			this.#frames--;
		});
	}

	get tooMuch(): boolean {
		return this.#bytes > IN_FLIGHT_BYTES_MAX || this.#frames > IN_FLIGHT_FRAMES_MAX;
	}
}
