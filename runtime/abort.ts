/** Waits that an AbortSignal ends. Owns the listening, so that none is left behind. */
import { setTimeout } from "node:timers/promises";

/** Resolves after `ms`; rejected with the signal's reason as soon as it is aborted. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
	try {
		await setTimeout(ms, undefined, { signal });
	} catch (error) {
		// Its own error only wraps the reason.
		signal.throwIfAborted();
		throw error;
	}
}

/** As `work`, or rejected with the signal's reason as soon as it is aborted; the work itself goes on. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
	return signal ? untilAborted(work, signal) : work;
}

async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
	// Told to nobody where the signal came first.
	work.catch(() => {});
	signal.throwIfAborted();
	const { promise, reject } = Promise.withResolvers<never>();
	const abort = () => reject(signal.reason);
	signal.addEventListener("abort", abort, { once: true });
	try {
		return await Promise.race([work, promise]);
	} finally {
		signal.removeEventListener("abort", abort);
	}
}
