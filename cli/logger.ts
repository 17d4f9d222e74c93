/**
 * Logs of a node: pino to stderr, as JSON for programs or one short line for people. Owns only the form.
 */
import { type DestinationStream, type Logger, pino } from "pino";
import type { Config } from "./options.ts";

/** Fields that only programs want. */
const HIDDEN_FIELDS = new Set(["level", "time", "msg", "err"]);

export function createLogger({ logLevel, logFormat }: Pick<Config, "logLevel" | "logFormat">): Logger {
	// Written at once: what is logged before a crash must be there after it.
	const destination =
		logFormat === "json" ? pino.destination({ fd: 2, sync: true }) : prettyStream(process.stderr);
	return pino({ level: logLevel, base: null, timestamp: pino.stdTimeFunctions.isoTime }, destination);
}

function prettyStream(out: { write(text: string): unknown }): DestinationStream {
	return { write: (line: string) => out.write(prettyLine(line)) };
}

/** `12:34:56.789 WARN message key=value`, then the stack of an error. */
function prettyLine(line: string): string {
	const entry = JSON.parse(line) as Record<string, unknown> & { err?: { message?: string; stack?: string } };
	const level = (pino.levels.labels[Number(entry["level"])] ?? "?").toUpperCase().padEnd(5);
	const fields = Object.entries(entry)
		.filter(([key]) => !HIDDEN_FIELDS.has(key))
		.map(([key, value]) => ` ${key}=${typeof value === "string" ? value : JSON.stringify(value)}`);
	const stack = entry.err ? `\n${entry.err.stack ?? entry.err.message}` : "";
	return `${String(entry["time"]).slice(11, 23)} ${level} ${entry["msg"] ?? ""}${fields.join("")}${stack}\n`;
}
