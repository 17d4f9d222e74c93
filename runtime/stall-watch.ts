/**
 * Partitions that stand still although there are records to fold: the node looks healthy and does not consume. Owns naming
 * the record one stands on, and one line of the log when it stops and when it goes on; the judgement is progress.ts.
 */
import { endsWithin } from "../persistence/deadline.ts";
import type { Log, PartitionId } from "../persistence/log.ts";
import type { Logger } from "./logger.ts";
import { messageOf } from "./message.ts";
import type { Stall, Wait } from "./progress.ts";

/** Between two looks, milliseconds. */
export const STALL_LOOK_EVERY_MS = 2_500;
/** For reading the record of a log that may itself be the trouble, milliseconds; past it its place is told alone. */
const READ_MS_MAX = 1_000;

/** The record that a partition does not get past. */
export interface StalledOn {
	readonly offset: number;
	/** Milliseconds since 1970. */
	readonly since: number;
	/** Of the actor. Undefined: the record could not be read. */
	readonly address?: string;
	readonly kind?: string;
	readonly type?: string;
	/** Undefined: it is not known, as when the driver gives it nothing. */
	readonly waitsFor?: Wait;
}

export async function stalledOn(
	log: Pick<Log, "read">,
	{ name, offset, since, waitsFor }: Stall,
): Promise<StalledOn> {
	const found: { record?: Omit<StalledOn, "offset" | "since"> } = {};
	const reading = log.read(partitionOf(name), offset, { maxRecords: 1, waitMs: 0 }).then(([record]) => {
		if (!record) return;
		const message = messageOf(record);
		if ("unreadable" in message) found.record = { address: record.key };
		else found.record = { address: message.to, kind: message.kind, type: message.type };
	});
	// A log that does not answer is told of as such.
	await endsWithin(
		READ_MS_MAX,
		reading.catch(() => {}),
	);
	return { offset, since, ...found.record, ...(waitsFor ? { waitsFor } : undefined) };
}

function partitionOf(name: string): PartitionId {
	const slash = name.lastIndexOf("/");
	return { topic: name.slice(0, slash), partition: Number(name.slice(slash + 1)) };
}

export class StallWatch {
	readonly #node: { readonly stalls: readonly Stall[]; readonly log: Log };
	readonly #logger: Logger;
	readonly #told = new Map<string, Stall>();
	#looking: NodeJS.Timeout | undefined;

	constructor(node: { readonly stalls: readonly Stall[]; readonly log: Log }, logger: Logger) {
		this.#node = node;
		this.#logger = logger;
	}

	start(): void {
		this.#looking = setInterval(() => void this.look(), STALL_LOOK_EVERY_MS).unref();
	}

	stop(): void {
		clearInterval(this.#looking);
	}

	async look(): Promise<void> {
		const stalls = new Map(this.#node.stalls.map((stall) => [stall.name, stall]));
		for (const [name, { offset }] of this.#told) {
			if (stalls.get(name)?.offset === offset) continue;
			this.#told.delete(name);
			this.#logger.info({ partition: name, offset }, "a partition that stood still goes on");
		}
		for (const [name, stall] of stalls) {
			if (this.#told.has(name)) continue;
			this.#told.set(name, stall);
			const record = await stalledOn(this.#node.log, stall);
			this.#logger.warn({ partition: name, ...record }, "a partition stands still on a record");
		}
	}
}
