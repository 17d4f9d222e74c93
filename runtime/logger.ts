/** The part of pino's logger that the runtime uses; embedders pass their own. Owns nothing else. */
import { type Kind, withMethods } from "./option-checks.ts";

/** Fields first, then words. */
export type LogLine = (fields: Readonly<Record<string, unknown>>, message: string) => void;

/** Where a node writes what happens: fields first, as pino takes them. Fields hold no secrets. */
export interface Logger {
	readonly debug: LogLine;
	readonly info: LogLine;
	readonly warn: LogLine;
	readonly error: LogLine;
}

export const aLogger: Kind = withMethods("a logger", "debug", "info", "warn", "error");
