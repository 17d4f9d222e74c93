/**
 * Answers of operators' routes that are long, or have no end: lines of JSON, as fast as they are read. Owns their form: what
 * fails before the first line decides the status, what fails later is the last line.
 */
import { MycelogError } from "../persistence/errors.ts";
import type { Exchange } from "./http-exchange.ts";

export const LINES_TYPE = "application/x-ndjson";

/** Bytes of lines that go out in one piece: between two, sockets and partitions have their turn. */
const PIECE_BYTES = 64 * 1024;
/** An answer that is followed says so often that it is still there, milliseconds: by an empty line. */
export const FOLLOW_PING_MS = 10_000;
/** Time for a question to be refused with a status, milliseconds. */
const FIRST_PING_MS = 1_000;

/** Rejects with what failed before the first line. */
export async function sendLines(exchange: Exchange, lines: AsyncGenerator<string>): Promise<void> {
	const first = await lines.next();
	await exchange.stream(LINES_TYPE, fromFirst(first, lines));
}

async function* fromFirst(
	first: IteratorResult<string>,
	lines: AsyncGenerator<string>,
): AsyncGenerator<string> {
	try {
		for (let next = first; !next.done; next = await lines.next()) yield next.value;
	} catch (error) {
		yield errorLine(error as Error);
	} finally {
		await lines.return(undefined);
	}
}

/** No other line begins so. */
function errorLine(error: Error): string {
	const code = MycelogError.is(error) ? error.code : undefined;
	return `${JSON.stringify({ error: { code, detail: error.message } })}\n`;
}

/** Many lines in one piece. */
export async function* inPieces(lines: AsyncIterable<string>): AsyncGenerator<string> {
	let piece: string[] = [];
	let bytes = 0;
	for await (const line of lines) {
		piece.push(line);
		bytes += line.length;
		if (bytes < PIECE_BYTES) continue;
		yield piece.join("");
		piece = [];
		bytes = 0;
		await new Promise((resolve) => setImmediate(resolve));
	}
	if (piece.length > 0) yield piece.join("");
}

/** Lines as they come; empty ones where none does. `follow` begins them, and ends where the signal says so. */
export async function* withPings(
	follow: (signal: AbortSignal) => AsyncIterable<string>,
): AsyncGenerator<string> {
	const ended = new AbortController();
	const lines = follow(ended.signal)[Symbol.asyncIterator]();
	let next = lines.next();
	// Heard below, or by nobody where the reader has gone.
	next.catch(() => {});
	let waitMs = FIRST_PING_MS;
	try {
		for (;;) {
			const line = await within(next, waitMs);
			waitMs = FOLLOW_PING_MS;
			if (line === undefined) yield "\n";
			else if (line.done) return;
			else {
				yield line.value;
				next = lines.next();
				next.catch(() => {});
			}
		}
	} finally {
		ended.abort();
	}
}

async function within<Value>(value: Promise<Value>, ms: number): Promise<Value | undefined> {
	let timer: NodeJS.Timeout | undefined;
	const late = new Promise<undefined>((resolve) => {
		timer = setTimeout(resolve, ms, undefined);
	});
	try {
		return await Promise.race([value, late]);
	} finally {
		clearTimeout(timer);
	}
}
