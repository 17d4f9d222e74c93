/** Asking the API from a page: what is known, whether it is being asked, why it failed. Owns when to ask again. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { mayPass } from "./api.ts";

/** After a failure that may pass by itself, milliseconds. */
const AGAIN_MS = 3_000;

export interface Loaded<T> {
	/** The newest answer; it stays while the next one is on its way, and when that fails. */
	readonly value: T | undefined;
	readonly error: Error | undefined;
	readonly loading: boolean;
	/** It is asked again without anybody's doing. */
	readonly again: boolean;
	readonly reload: () => void;
}

/** `key`: what is asked for; with another one the old answer is forgotten. `everyMs`: ask again while it is seen. */
export function useLoad<T>(
	key: string,
	ask: (signal: AbortSignal) => Promise<T>,
	everyMs?: number,
): Loaded<T> {
	const [answer, setAnswer] = useState<{ key: string; value?: T; error?: Error }>({ key });
	const [loading, setLoading] = useState(true);
	const [turn, setTurn] = useState(0);
	const latest = useRef(ask);
	latest.current = ask;
	const reload = useCallback(() => setTurn((count) => count + 1), []);

	// `turn` is how `reload` starts it anew.
	useEffect(() => {
		const stop = new AbortController();
		let timer: ReturnType<typeof setTimeout> | undefined;
		const next = (afterMs: number | undefined) => {
			if (afterMs === undefined || stop.signal.aborted) return;
			timer = setTimeout(() => (document.hidden ? next(afterMs) : run()), afterMs);
		};
		const run = async () => {
			setLoading(true);
			let afterMs = everyMs;
			try {
				const value = await latest.current(stop.signal);
				if (stop.signal.aborted) return;
				setAnswer({ key, value });
			} catch (error) {
				if (stop.signal.aborted) return;
				if (mayPass(error)) afterMs ??= AGAIN_MS;
				setAnswer((before) => ({ ...(before.key === key ? before : { key }), error: error as Error }));
			}
			setLoading(false);
			next(afterMs);
		};
		run();
		return () => {
			stop.abort();
			clearTimeout(timer);
		};
	}, [key, everyMs, turn]);

	const current = answer.key === key ? answer : undefined;
	const error = current?.error;
	const again = everyMs !== undefined || mayPass(error);
	return { value: current?.value, error, loading, again, reload };
}
