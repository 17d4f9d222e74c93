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

/** Entries beyond one for each actor before the heap is made anew: none grows while an actor re-schedules. */
const HEAP_SLACK = 64;

export class Timers {
	readonly #clock: Clock;
	readonly #due: (address: Address) => void;
	/** Binary min-heap by `at`. Only the entry that `#watched` names counts; others of the same actor are left over. */
	#heap: Deadline[] = [];
	/** Earliest deadline watched for, by actor. */
	readonly #watched = new Map<Address, number>();
	#cancel: (() => void) | undefined;
	#armedAt = Number.POSITIVE_INFINITY;
	#stopped = false;

	/** `due` is called with each actor whose deadline was reached; it watches for the next one itself. */
	constructor(clock: Clock, due: (address: Address) => void) {
		this.#clock = clock;
		this.#due = due;
	}

	/** Entries held, for tests of the bound: at most twice the actors watched, and a few. */
	get size(): number {
		return this.#heap.length;
	}

	watch(address: Address, at: number): void {
		const known = this.#watched.get(address);
		if (this.#stopped || (known !== undefined && known <= at)) return;
		this.#watched.set(address, at);
		if (this.#heap.length > 2 * this.#watched.size + HEAP_SLACK) this.#rebuild();
		else this.#push({ at, address });
		this.#arm();
	}

	stop(): void {
		this.#stopped = true;
		this.#cancel?.();
		this.#heap = [];
		this.#watched.clear();
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
		while (this.#heap.length > 0 && (this.#heap[0] as Deadline).at <= now) {
			const { address, at } = this.#pop();
			if (this.#watched.get(address) !== at) continue;
			this.#watched.delete(address);
			this.#due(address);
		}
		this.#arm();
	}

	#rebuild(): void {
		this.#heap = [];
		for (const [address, at] of this.#watched) this.#push({ at, address });
	}

	#push(deadline: Deadline): void {
		const heap = this.#heap;
		let i = heap.push(deadline) - 1;
		while (i > 0) {
			const parent = (i - 1) >> 1;
			if ((heap[parent] as Deadline).at <= deadline.at) break;
			[heap[i], heap[parent]] = [heap[parent] as Deadline, heap[i] as Deadline];
			i = parent;
		}
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
