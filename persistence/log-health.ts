/**
 * What follows from a log's health for those who use it. Owns the refusal of messages while nothing gets anywhere.
 */
import { MycelogError } from "./errors.ts";
import type { Log, LogHealth } from "./log.ts";

/** False: nothing would come of new clients now. */
export function takesNewWork(health: LogHealth): boolean {
	return health.status === "healthy" || (health.status === "degraded" && !health.stuck);
}

/** Why a message from outside is refused at once; undefined: it is not. */
export function refusalOf(log: Log): MycelogError | undefined {
	const health = log.health();
	if (health.status !== "unavailable" || !health.retry) return undefined;
	const { addresses } = log;
	const { cause, retry } = health;
	const { attempts } = retry;
	const elapsedMs = Math.round(health.sinceMs);
	const nextTryMs = Math.round(retry.nextTryMs);
	const text =
		`the log at ${addresses.join(", ")} has not answered for ${elapsedMs} ms (${attempts} attempts, ` +
		`the next in ${nextTryMs} ms): ${cause}`;
	return new MycelogError("log.unavailable", text, { addresses, cause, attempts, elapsedMs, nextTryMs });
}
