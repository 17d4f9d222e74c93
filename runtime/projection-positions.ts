/**
 * How far a projection is: its place in one partition, in a form that can be stored anywhere, and the actor that stores
 * it where the projection's handler does not. Owns both forms; reading and handling is projection.ts.
 */
import { type Address, addressOf } from "./address.ts";
import type { Behaviour } from "./behaviour.ts";
import { eventOf } from "./message.ts";
import type { Node } from "./node.ts";
import { ACTORS_TOPIC } from "./topics.ts";
import { Watermarks } from "./watermarks.ts";

const POSITION_TYPE = "mycelog.projection";
/** How long the actor of a position may take to answer, milliseconds. */
const POSITION_TIMEOUT_MS = 10_000;

/** Behind the last record that was handled. */
export interface Place {
	readonly next: number;
	/** So that a message that is in the log twice is handed on once. */
	readonly watermarks: Watermarks;
}

export function positionText({ next, watermarks }: Place): string {
	return `${next} ${watermarks.encode()}`;
}

/** Throws a TypeError for what no projection has written. */
export function placeOf(position: string): Place {
	const [, next, seen] = /^(\d+) (\[.*\])$/.exec(position) ?? [];
	if (next === undefined || seen === undefined) throw new TypeError(`"${position}" is no position`);
	return { next: Number(next), watermarks: Watermarks.decode(seen) };
}

interface Stored {
	/** Counts resets: who has begun before one does not know of it. */
	readonly generation: number;
	readonly position?: string;
}

interface Moved {
	readonly generation: number;
	/** Undefined: a reset. */
	readonly position?: string;
}

/** Positions only rise, except by a reset: whoever lost the partition may still write of it. */
export const positionBehaviour: Behaviour<Stored> = {
	type: POSITION_TYPE,
	version: 1,
	topic: ACTORS_TOPIC,
	initial: () => ({ state: { generation: 0 }, effects: [] }),
	command(state, message) {
		const { generation, position } = eventOf(message) as unknown as Moved;
		let next = state;
		if (position === undefined) next = { generation: state.generation + 1 };
		else if (generation === state.generation && isAhead(position, state.position)) {
			next = { generation, position };
		}
		const { replyTo } = message;
		const result = { ok: true, value: next.generation } as const;
		return { state: next, effects: replyTo ? [{ type: "reply", to: replyTo, result }] : [] };
	},
	query: (state) => ({ ok: true, value: state }),
	describe: ({ position }) => (position === undefined ? "new" : `next ${placeOf(position).next}`),
	encode: (state) => JSON.stringify(state),
	decode: (text) => JSON.parse(text) as Stored,
};

function isAhead(position: string, than: string | undefined): boolean {
	return than === undefined || placeOf(position).next >= placeOf(than).next;
}

/** The stored positions of one projection. All reject as `ask` does. */
export class StoredPositions {
	readonly #node: Node;
	readonly #name: string;
	readonly #generations = new Map<number, number>();

	constructor(node: Node, name: string) {
		this.#node = node;
		this.#name = name;
	}

	async load(partition: number): Promise<string | undefined> {
		const query = { type: "position" };
		const options = { kind: "query", timeoutMs: POSITION_TIMEOUT_MS } as const;
		const stored = (await this.#node.ask(this.#address(partition), query, options)) as Stored;
		this.#generations.set(partition, stored.generation);
		return stored.position;
	}

	/** False: it was reset since it was loaded. */
	async store(partition: number, position: string): Promise<boolean> {
		const generation = this.#generations.get(partition);
		return generation === (await this.#tell(partition, { type: "moved", generation, position }));
	}

	async reset(partition: number): Promise<void> {
		await this.#tell(partition, { type: "reset" });
	}

	#tell(
		partition: number,
		event: { readonly type: string; readonly [field: string]: unknown },
	): Promise<unknown> {
		const options = { kind: "command", timeoutMs: POSITION_TIMEOUT_MS } as const;
		return this.#node.ask(this.#address(partition), event, options);
	}

	#address(partition: number): Address {
		return addressOf(POSITION_TYPE, `${this.#name}/${partition}`);
	}
}
