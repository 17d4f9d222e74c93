/**
 * A piece of an actor's history around the place that is looked at: pages before and behind it as they are needed, so
 * that a long history costs what is seen of it. Owns which entries are held.
 */
import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { type Api, mayPass } from "./api.ts";
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
	/** While it loads, too: what may pass by itself is asked for again. */
	readonly error: Error | undefined;
	/** The entry at the offset, or the last one before it. */
	readonly seek: (offset: number) => Promise<Entry | undefined>;
	readonly older: () => Promise<void>;
	readonly newer: () => Promise<void>;
	/** The first ones, and the newest ones, whatever was held. */
	readonly oldest: () => Promise<Entry | undefined>;
	readonly newest: () => Promise<Entry | undefined>;
}

/** After a failure that may pass by itself, as of a node that still folds a long history; milliseconds. */
const AGAIN_MS = 500;
/** Milliseconds that a page is given to draw what it has. */
const DRAWING_MS = 300;

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
				if ((reason as Error).name !== "AbortError") setError(reason as Error);
				return undefined;
			} finally {
				setLoading(false);
			}
		});
		turn.current = done;
		return done;
	}, []);

	const actions = useMemo(() => {
		const left = new AbortController();
		const page = async (query: { before?: number; from?: number; states?: false }) => {
			const limit = PAGE_ENTRIES;
			const asked = { address, limit, all: everything || undefined, ...query };
			for (;;) {
				try {
					return await api.get<HistoryPage>("history", asked, left.signal);
				} catch (reason) {
					if (left.signal.aborted || !mayPass(reason)) throw reason;
					setError(reason as Error);
					await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
				}
			}
		};
		const hold = (next: Held) => {
			latest.current = next;
			setHeld(next);
		};
		const begin = async () => {
			const { entries, next, start, end } = await page({ from: latest.current.start });
			hold({ entries: ordered(entries), start, end, hasOlder: false, hasNewer: next !== undefined });
			return latest.current.entries[0];
		};
		/** The messages as soon as they are there, what they did when it is known. */
		const fill = async (before: number) => {
			const show = ({ entries, next, start, end }: HistoryPage) => {
				const hasNewer = before < end;
				hold({ entries: ordered(entries), start, end, hasOlder: next !== undefined, hasNewer });
				return latest.current.entries.at(-1);
			};
			const messages = await page({ before, states: false });
			// Messages of other actors may be the first ones of the partition.
			if (messages.entries.length === 0) return begin();
			show(messages);
			// The node has one thread: what is there of a long history is drawn before it folds.
			if (messages.next !== undefined) await new Promise((resolve) => setTimeout(resolve, DRAWING_MS));
			return show(await page({ before }));
		};
		const newest = () => change(() => fill(Number.MAX_SAFE_INTEGER));
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
				const { entries: found, next, start, end } = await page({ from });
				const all = [...entries, ...ordered(found)];
				const kept = all.slice(-ENTRIES_MAX);
				const letGo = kept.length < all.length;
				hold({
					entries: kept,
					start,
					end,
					hasOlder: hasOlder || letGo,
					hasNewer: next !== undefined,
				});
			});
		const seek = (offset: number) => {
			const { entries, hasOlder, hasNewer } = latest.current;
			const found = entries.findLast((entry) => entry.offset <= offset);
			const isLast = found !== undefined && found === entries.at(-1);
			if (found && (!isLast || !hasNewer || found.offset === offset)) return Promise.resolve(found);
			if (!found && entries.length > 0 && !hasOlder) return Promise.resolve(entries[0]);
			return change(() => fill(offset + 1));
		};
		const oldest = () => {
			const { entries, hasOlder } = latest.current;
			return entries.length > 0 && !hasOlder ? Promise.resolve(entries[0]) : change(begin);
		};
		return { seek, older, newer, newest, oldest, leave: () => left.abort() };
	}, [api, address, everything, change]);

	useEffect(() => {
		latest.current = NOTHING;
		setHeld(NOTHING);
		return actions.leave;
	}, [actions]);
	return { ...held, ...actions, loading, error } as HistoryWindow;
}

function ordered(entries: readonly Entry[]): readonly Entry[] {
	return [...entries].sort((left, right) => left.offset - right.offset);
}
