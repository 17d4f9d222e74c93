/**
 * A piece of an actor's history around the place that is looked at: pages before and behind it as they are needed, so
 * that a long history costs what is seen of it. Owns which entries are held.
 */
import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Api } from "./api.ts";
import type { Entry, HistoryPage } from "./api-types.ts";

const PAGE_ENTRIES = 100;
/** Entries held at once; past it the far end is let go, and asked for again when somebody comes there. */
const ENTRIES_MAX = 1_000;

export interface HistoryWindow {
	/** In mailbox order, without gaps. */
	readonly entries: readonly Entry[];
	/** Offsets of the mailbox's partition that are kept: the first one, and the one behind the last. */
	readonly start: number;
	readonly end: number;
	/** Whether there are older and newer entries than those held. */
	readonly hasOlder: boolean;
	readonly hasNewer: boolean;
	readonly loading: boolean;
	readonly error: Error | undefined;
	/** The entry at the offset, or the last one before it. */
	readonly seek: (offset: number) => Promise<Entry | undefined>;
	readonly older: () => Promise<void>;
	readonly newer: () => Promise<void>;
	/** The newest ones, whatever was held. */
	readonly newest: () => Promise<Entry | undefined>;
}

interface Held {
	readonly entries: readonly Entry[];
	readonly start: number;
	readonly end: number;
	readonly hasOlder: boolean;
	readonly hasNewer: boolean;
}

const NOTHING: Held = { entries: [], start: 0, end: 0, hasOlder: false, hasNewer: false };

export function useHistory(api: Api, address: string, everything: boolean): HistoryWindow {
	const [held, setHeld] = useState<Held>(NOTHING);
	const [loading, setLoading] = useState(false);
	const [error, setError] = useState<Error>();
	const latest = useRef(held);
	/** One request at a time: a page joins what was held when it was asked for. */
	const turn = useRef<Promise<unknown>>(Promise.resolve());

	const change = useCallback(<T>(work: () => Promise<T>): Promise<T | undefined> => {
		const done = turn.current.then(async () => {
			setLoading(true);
			try {
				const result = await work();
				setError(undefined);
				return result;
			} catch (reason) {
				setError(reason as Error);
				return undefined;
			} finally {
				setLoading(false);
			}
		});
		turn.current = done;
		return done;
	}, []);

	const actions = useMemo(() => {
		const page = (query: { before?: number; from?: number }) =>
			api.get<HistoryPage>("history", {
				address,
				limit: PAGE_ENTRIES,
				all: everything || undefined,
				...query,
			});
		const hold = (next: Held) => {
			latest.current = next;
			setHeld(next);
		};
		const newest = () =>
			change(async () => {
				const { entries, next, start, end } = await page({});
				hold({ entries: ordered(entries), start, end, hasOlder: next !== undefined, hasNewer: false });
				return latest.current.entries.at(-1);
			});
		const before = async (offset: number) => {
			const { entries, next, start, end } = await page({ before: offset + 1 });
			const found = ordered(entries);
			hold({ entries: found, start, end, hasOlder: next !== undefined, hasNewer: offset < end - 1 });
			return found.at(-1);
		};
		const older = () =>
			change(async () => {
				const { entries, hasOlder, hasNewer } = latest.current;
				const [first] = entries;
				if (!first || !hasOlder) return;
				const { entries: found, next, start, end } = await page({ before: first.offset });
				const all = [...ordered(found), ...entries];
				const kept = all.slice(0, ENTRIES_MAX);
				const letGo = kept.length < all.length;
				hold({ entries: kept, start, end, hasOlder: next !== undefined, hasNewer: hasNewer || letGo });
			});
		const newer = () =>
			change(async () => {
				const { entries, hasOlder } = latest.current;
				const from = (entries.at(-1)?.offset ?? -1) + 1;
				const { entries: found, start, end } = await page({ from });
				const all = [...entries, ...ordered(found)];
				const kept = all.slice(-ENTRIES_MAX);
				const letGo = kept.length < all.length;
				hold({
					entries: kept,
					start,
					end,
					hasOlder: hasOlder || letGo,
					hasNewer: found.length >= PAGE_ENTRIES,
				});
			});
		const seek = (offset: number) => {
			const { entries, hasOlder, hasNewer } = latest.current;
			const found = entries.findLast((entry) => entry.offset <= offset);
			const isLast = found !== undefined && found === entries.at(-1);
			if (found && (!isLast || !hasNewer || found.offset === offset)) return Promise.resolve(found);
			if (!found && entries.length > 0 && !hasOlder) return Promise.resolve(entries[0]);
			return change(() => before(offset)).then((one) => one ?? undefined);
		};
		return { seek, older, newer, newest };
	}, [api, address, everything, change]);

	useEffect(() => {
		latest.current = NOTHING;
		setHeld(NOTHING);
	}, [actions]);
	return { ...held, ...actions, loading, error } as HistoryWindow;
}

function ordered(entries: readonly Entry[]): readonly Entry[] {
	return [...entries].sort((left, right) => left.offset - right.offset);
}
