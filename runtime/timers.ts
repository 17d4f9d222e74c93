/**
 * Deadlines of the actors of one partition: when reached, a timer record goes to the actor's own mailbox.
 * Owns the heap and one running clock timer; the deadlines themselves belong to the actors' states.
 */
import type { Address } from "./address.ts";
import type { Clock } from "./clock.ts";

interface Deadline {
	readonly at: number;
	readonly address: Address;
}

export class Timers {
	readonly #clock: Clock;
	readonly #due: (address: Address) => void;
	/** Binary min-heap by `at`. An actor may stand in it more than once; early visits find nothing due. */
	readonly #heap: Deadline[] = [];
	#cancel: (() => void) | undefined;
	#armedAt = Number.POSITIVE_INFINITY;
	#stopped = false;

	/** `due` is called with each actor whose deadline was reached. */
	constructor(clock: Clock, due: (address: Address) => void) {
		this.#clock = clock;
		this.#due = due;
	}

	watch(address: Address, at: number): void {
		const heap = this.#heap;
		let i = heap.push({ at, address }) - 1;
		while (i > 0) {
			const parent = (i - 1) >> 1;
			if ((heap[parent] as Deadline).at <= at) break;
			[heap[i], heap[parent]] = [heap[parent] as Deadline, heap[i] as Deadline];
			i = parent;
		}
		this.#arm();
	}

	stop(): void {
		this.#stopped = true;
		this.#cancel?.();
		this.#heap.length = 0;
	}

	#arm(): void {
		const first = this.#heap[0];
		if (this.#stopped || !first || first.at >= this.#armedAt) return;
		this.#cancel?.();
		this.#armedAt = first.at;
		this.#cancel = this.#clock.after(first.at - this.#clock.now(), () => {
			this.#armedAt = Number.POSITIVE_INFINITY;
			this.#cancel = undefined;
			this.#fire();
		});
	}

	#fire(): void {
		const now = this.#clock.now();
		while (this.#heap.length > 0 && (this.#heap[0] as Deadline).at <= now) this.#due(this.#pop().address);
		this.#arm();
	}

	#pop(): Deadline {
		const heap = this.#heap;
		const top = heap[0] as Deadline;
		const last = heap.pop() as Deadline;
		if (heap.length > 0) {
			heap[0] = last;
			let i = 0;
			for (;;) {
				const left = 2 * i + 1;
				const right = left + 1;
				let least = i;
				if (left < heap.length && (heap[left] as Deadline).at < (heap[least] as Deadline).at) least = left;
				if (right < heap.length && (heap[right] as Deadline).at < (heap[least] as Deadline).at) least = right;
				if (least === i) break;
				[heap[i], heap[least]] = [heap[least] as Deadline, heap[i] as Deadline];
				i = least;
			}
		}
		return top;
	}
}
