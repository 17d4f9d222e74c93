/**
 * The log as operators' questions read it: sockets and partitions have their turn between two pages, and a log that does not
 * answer is said, not waited for. Owns that bound; what is read is the questions' own.
 */
import { endsWithin } from "../persistence/deadline.ts";
import { MycelogError } from "../persistence/errors.ts";
import type { Log } from "../persistence/log.ts";
import { refusalOf } from "../persistence/log-health.ts";

/** For one page, or the ends of a partition, milliseconds: partitions wait for a log as long as it takes, people do not. */
export const OPERATOR_READ_MS_MAX = 5_000;

const READS: ReadonlySet<unknown> = new Set(["read", "readAt", "bounds"]);

/** Reads reject with `log.unavailable` at once while nothing gets anywhere, with `log.unreachable` past the bound. */
export function operatorLog(log: Log): Log {
	return new Proxy(log, {
		get(target, name) {
			const value: unknown = Reflect.get(target, name, target);
			if (typeof value !== "function") return value;
			if (!READS.has(name)) return value.bind(target);
			return (...asked: unknown[]) => inTime(target, () => value.apply(target, asked));
		},
	});
}

async function inTime(log: Log, read: () => Promise<unknown>): Promise<unknown> {
	await new Promise((resolve) => setImmediate(resolve));
	const refusal = refusalOf(log);
	if (refusal) throw refusal;
	const reading = read();
	if (await endsWithin(OPERATOR_READ_MS_MAX, reading)) return reading;
	reading.catch(() => {
		// Whoever asked has gone.
	});
	const { addresses } = log;
	const text = `the log at ${addresses.join(", ")} did not answer within ${OPERATOR_READ_MS_MAX} ms`;
	throw new MycelogError("log.unreachable", text, { addresses, elapsedMs: OPERATOR_READ_MS_MAX });
}
