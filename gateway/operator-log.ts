/**
 * The log as operators' questions read it: sockets and partitions have their turn between two pages, and a log that does not
 * answer is said, not waited for. Owns that bound; what is read is the questions' own.
 */
import { endsWithin } from "../persistence/deadline.ts";
import { MycelogError } from "../persistence/errors.ts";
import type { Log, ReadableLog } from "../persistence/log.ts";
import { refusalOf } from "../persistence/log-health.ts";

/** For one page, or the ends of a partition, milliseconds: partitions wait for a log as long as it takes, people do not. */
export const OPERATOR_READ_MS_MAX = 5_000;

/** Reads reject with `log.unavailable` at once while nothing gets anywhere, with `log.unreachable` past the bound. */
export function operatorLog(log: Log): ReadableLog {
	const { driver, maxRecordBytes } = log;
	const readAt = log.readAt?.bind(log);
	return {
		driver,
		maxRecordBytes,
		read: (...page) => inTime(log, () => log.read(...page)),
		bounds: (partition) => inTime(log, () => log.bounds(partition)),
		...(readAt ? { readAt: (...places) => inTime(log, () => readAt(...places)) } : undefined),
	};
}

async function inTime<Answer>(log: Log, read: () => Promise<Answer>): Promise<Answer> {
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
