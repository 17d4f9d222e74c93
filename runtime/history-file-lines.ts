/** The lines of a history file on a disk, one in memory at a time. Owns how long one may be; what they say is history-file.ts. */
import { createReadStream } from "node:fs";
import { MycelogError } from "../persistence/errors.ts";

/** Bytes of one line: of a record and its decoded event, or of an actor's whole state. */
export const HISTORY_LINE_BYTES_MAX = 64 * 1024 * 1024;

const NEWLINE = 0x0a;

/** Without their ends. Rejects with `recovery.invalid-file` for a line that is too long, and with the error of the disk. */
export async function* historyFileLines(path: string): AsyncGenerator<string> {
	let pieces: Buffer[] = [];
	let bytes = 0;
	const line = (last: Buffer) => {
		const text = (pieces.length === 0 ? last : Buffer.concat([...pieces, last])).toString("utf8");
		pieces = [];
		bytes = 0;
		// As a system that ends lines so has written it down.
		return text.endsWith("\r") ? text.slice(0, -1) : text;
	};
	for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
		let from = 0;
		for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
			yield line(chunk.subarray(from, end));
			from = end + 1;
		}
		bytes += chunk.length - from;
		if (bytes > HISTORY_LINE_BYTES_MAX) {
			const text = `a line has more than ${HISTORY_LINE_BYTES_MAX} bytes`;
			throw new MycelogError("recovery.invalid-file", text);
		}
		if (from < chunk.length) pieces.push(chunk.subarray(from));
	}
	if (pieces.length > 0) yield line(Buffer.alloc(0));
}
