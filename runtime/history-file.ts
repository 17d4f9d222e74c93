/**
 * Histories as a file of JSON Lines: a header, a line for each message, a line for each actor's state at the end, and a last
 * line with their number and checksum. Owns the form, writing and checked reading; what is written is export.ts.
 */
import { createHash } from "node:crypto";
import { MycelogError } from "../persistence/errors.ts";
import type { StoredTimer } from "../persistence/snapshots.ts";
import type { Address } from "./address.ts";

export const HISTORY_FORMAT = "mycelog-history";
export const HISTORY_FORMAT_VERSION = 1;

export interface HeaderLine {
	readonly format: typeof HISTORY_FORMAT;
	readonly version: number;
	/** What was asked for. */
	readonly of: unknown;
	/** Of the log it comes from. */
	readonly source: { readonly driver: string; readonly partitions: number };
	/** ISO 8601. */
	readonly exportedAt: string;
}

export interface MessageLine {
	readonly address: Address;
	/** `topic/partition` and offset in the log it comes from. */
	readonly partition: string;
	readonly offset: number;
	/** ISO 8601. */
	readonly time: string;
	readonly headers: Readonly<Record<string, string>>;
	/** Base64. */
	readonly body: string;
	/** Decoded, for people; an import does not look at it. */
	readonly event: unknown;
	/** A restore that was refused. */
	readonly inert?: true;
}

export interface StateLine {
	/** The actor at the end, as its machine there made it: an import compares. */
	readonly state: {
		readonly address: Address;
		readonly messages: number;
		readonly version: number;
		readonly state: string;
		readonly timers: readonly StoredTimer[];
	};
}

interface LastLine {
	readonly messages: number;
	readonly lines: number;
	readonly sha256: string;
}

export type HistoryLine = HeaderLine | MessageLine | StateLine;

/** Lines as they are asked for; the last one by `end`. */
export class HistoryFileWriter {
	readonly #hash = createHash("sha256");
	#lines = 0;
	messages = 0;

	line(line: HistoryLine): string {
		const text = `${JSON.stringify(line)}\n`;
		this.#hash.update(text);
		this.#lines++;
		if ("body" in line) this.messages++;
		return text;
	}

	end(): string {
		const last: LastLine = { messages: this.messages, lines: this.#lines, sha256: this.#hash.digest("hex") };
		return `${JSON.stringify(last)}\n`;
	}
}

/**
 * Every line but the last, which is checked; resolves to the file's checksum at the end. Whoever reads must not act on a
 * line before that: only the end tells that the file is whole. Rejects with `recovery.invalid-file`.
 */
export async function* linesOf(text: AsyncIterable<string>): AsyncGenerator<HistoryLine, string> {
	const hash = createHash("sha256");
	let lines = 0;
	let messages = 0;
	let held: string | undefined;
	for await (const line of text) {
		if (held !== undefined) {
			hash.update(`${held}\n`);
			const parsed = parse(held, ++lines);
			if (lines === 1) mustBeHeader(parsed as HeaderLine);
			if ("body" in (parsed as object)) messages++;
			yield parsed as HistoryLine;
		}
		held = line;
	}
	if (held === undefined) throw invalid("the file is empty");
	const last = parse(held, lines + 1) as Partial<LastLine>;
	if (typeof last.sha256 !== "string")
		throw invalid(`the file is cut off: line ${lines + 1} is not the last one`);
	const found = hash.digest("hex");
	if (last.lines !== lines || last.messages !== messages || last.sha256 !== found) {
		const text = `the checksum is not that of the file: ${last.lines} lines with sha256 ${last.sha256} were written, ${lines} with ${found} are here`;
		throw invalid(text);
	}
	return found;
}

function mustBeHeader({ format, version }: Partial<HeaderLine>): void {
	if (format !== HISTORY_FORMAT) throw invalid(`line 1 is no header of a ${HISTORY_FORMAT} file`);
	if (version === HISTORY_FORMAT_VERSION) return;
	throw invalid(
		`the file has version ${version} of its format; this version of Mycelog reads ${HISTORY_FORMAT_VERSION}`,
	);
}

function parse(text: string, line: number): unknown {
	try {
		const parsed: unknown = JSON.parse(text);
		if (typeof parsed === "object" && parsed !== null) return parsed;
	} catch {
		// Told below, with the line.
	}
	throw invalid(`line ${line} is no JSON object`);
}

function invalid(text: string): MycelogError {
	return new MycelogError("recovery.invalid-file", text);
}
