/** The part of pino's logger that the runtime uses; embedders pass their own. Owns nothing else. */

type LogLine = (fields: Readonly<Record<string, unknown>>, message: string) => void;

export interface Logger {
	readonly debug: LogLine;
	readonly info: LogLine;
	readonly warn: LogLine;
	readonly error: LogLine;
}
