/**
 * The door: how many clients are being let in at once, the others in the order in which they came. A thousand that come
 * back in one moment are let in no sooner by being looked at all at once, and everybody else would wait for them.
 */

/** Handshakes that ask the actors at the same time. How many may wait is bounded where sockets are accepted. */
export const ADMISSIONS_AT_ONCE_MAX = 32;

export class Admission {
	#underWay = 0;
	readonly #waiting: (() => void)[] = [];

	/** Resolves when it is this one's turn, which it must end with `done`. */
	async turn(): Promise<void> {
		if (this.#underWay < ADMISSIONS_AT_ONCE_MAX) {
			this.#underWay++;
			return;
		}
		await new Promise<void>((resolve) => this.#waiting.push(resolve));
	}

	done(): void {
		const next = this.#waiting.shift();
		if (next) next();
		else this.#underWay--;
	}
}
