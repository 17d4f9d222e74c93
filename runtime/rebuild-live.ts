/**
 * Asks the owners of actors to fold them anew, and waits for it: on a live node or cluster, from any process that can append.
 * Owns asking and the answer; the fold is live-rebuilds.ts. On stopped data it is `rebuild` in verify.ts.
 */
import type { PartitionId } from "../persistence/log.ts";
import { partitionName } from "../persistence/log.ts";
import { pause } from "./abort.ts";
import type { Address } from "./address.ts";
import { FOLLOW_EVERY_MS, SCAN_PAGE_RECORDS } from "./fold.ts";
import { messageOf } from "./message.ts";
import { mailboxOf, type ScanProgress, type WritableParts } from "./operator.ts";
import { mustSayWhy, type Reason } from "./reason.ts";
import { REBUILT, rebuildDraft, rebuiltIn } from "./recovery-records.ts";

/** Actors asked for that are not answered yet, at most: so long is the list to wait for. */
export const REBUILDS_UNDER_WAY_MAX = 1_000;

/** Appended at once. */
const REBUILDS_ASKED_TOGETHER = 100;

/** What became of one actor. */
export interface LiveRebuild {
	readonly address: Address;
	/** Of the record that asks. */
	readonly request: number;
	/** Of the record at which the actor was exchanged. */
	readonly offset: number;
	/** Why it was not; undefined: it was. */
	readonly refused: string | undefined;
}

/** By whom, why, and for how long to wait. */
export interface LiveRebuildOptions extends Reason {
	/** From the stored snapshot on, as far as one is usable. Default: from the first message. */
	readonly fromSnapshot?: boolean | undefined;
	/** Ends the waiting, not the rebuilding: it rejects with the reason. */
	readonly signal?: AbortSignal;
	readonly onProgress?: (progress: ScanProgress) => void;
}

/** In the order in which they are done. Each is asked for by a record of its own, which no crash loses. */
export async function* rebuildLive(
	parts: WritableParts,
	addresses: Iterable<Address> | AsyncIterable<Address>,
	{ signal, onProgress, by, why, fromSnapshot }: LiveRebuildOptions,
): AsyncGenerator<LiveRebuild> {
	mustSayWhy({ by, why });
	const never = new AbortController().signal;
	const waiting = new Waiting(parts);
	let done = 0;
	const answers = async function* (most: number): AsyncGenerator<LiveRebuild> {
		while (waiting.size > most) {
			for (const answer of await waiting.look()) {
				onProgress?.({ scanned: ++done, total: done + waiting.size });
				yield answer;
			}
			if (waiting.size > most) await pause(FOLLOW_EVERY_MS, signal ?? never);
		}
	};
	let group: Address[] = [];
	const ask = async (): Promise<void> => {
		const asked = group;
		group = [];
		// Together: they leave in few batches, and their owners fold them in one pass.
		const request = { by, why, ...(fromSnapshot ? { snapshot: true } : undefined) };
		const offsets = await Promise.all(asked.map((to) => parts.append(rebuildDraft(to, request))));
		for (const [i, to] of asked.entries()) {
			waiting.add(mailboxOf(parts, to).partition, to, offsets[i] as number);
		}
	};
	for await (const address of addresses) {
		signal?.throwIfAborted();
		mailboxOf(parts, address);
		if (group.push(address) < REBUILDS_ASKED_TOGETHER) continue;
		await ask();
		yield* answers(REBUILDS_UNDER_WAY_MAX);
	}
	await ask();
	yield* answers(0);
}

/** The requests that are not answered, by partition, and how far each mailbox was read for answers. */
class Waiting {
	readonly #parts: WritableParts;
	readonly #mailboxes = new Map<string, { id: PartitionId; next: number; requests: Map<Address, number> }>();
	size = 0;

	constructor(parts: WritableParts) {
		this.#parts = parts;
	}

	add(id: PartitionId, address: Address, offset: number): void {
		const name = partitionName(id);
		const mailbox = this.#mailboxes.get(name) ?? { id, next: offset + 1, requests: new Map() };
		this.#mailboxes.set(name, mailbox);
		if (!mailbox.requests.has(address)) this.size++;
		mailbox.requests.set(address, offset);
	}

	async look(): Promise<LiveRebuild[]> {
		const found: LiveRebuild[] = [];
		for (const mailbox of this.#mailboxes.values()) {
			const { id, requests } = mailbox;
			if (requests.size === 0) continue;
			const limit = { maxRecords: SCAN_PAGE_RECORDS, waitMs: 0 };
			for (const record of await this.#parts.log.read(id, mailbox.next, limit)) {
				mailbox.next = record.offset + 1;
				const request = requests.get(record.key);
				if (request === undefined || record.headers["~t"] !== REBUILT) continue;
				const message = messageOf(record);
				if ("unreadable" in message || message.from !== undefined) continue;
				const { request: answered, refused } = rebuiltIn(message);
				if (answered < request) continue;
				requests.delete(record.key);
				this.size--;
				found.push({ address: record.key, request, offset: record.offset, refused });
			}
		}
		return found;
	}
}
