/** A logger for jobs: what a node complains about makes the measurement worthless, so it ends it. */
import type { Logger } from "../runtime/logger.ts";

const fail = (fields: Readonly<Record<string, unknown>>, message: string) => {
	throw new Error(`the measured node says: ${message} ${JSON.stringify(fields)}`);
};

export const failingLogger: Logger = { debug: () => {}, info: () => {}, warn: fail, error: fail };
