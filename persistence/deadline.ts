/**
 * Waiting no longer than one may. Owns the timer, which does not outlive the wait; late work goes on unheard.
 */

/** Whether `work` ended within `ms`. Rejects as it does, if it does so in time. */
export async function endsWithin(ms: number, work: Promise<unknown>): Promise<boolean> {
	const { promise: deadline, resolve } = Promise.withResolvers<boolean>();
	const timer = setTimeout(() => resolve(false), ms);
	try {
		return await Promise.race([work.then(() => true), deadline]);
	} finally {
		clearTimeout(timer);
	}
}
