/**
 * A file of histories on its way into the log over the operator's routes: kept on this node's disk until it is there as a
 * whole, as nothing may be written before. Owns the spooled file; reading and writing it is runtime/import.ts.
 */
import { randomUUID } from "node:crypto";
import { createWriteStream, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { historyFileLines } from "../runtime/history-file-lines.ts";
import { type Imported, type ImportOptions, importHistories } from "../runtime/import.ts";
import type { WritableParts } from "../runtime/operator.ts";
import { HttpError } from "./http-exchange.ts";
import type { Upload } from "./http-upload.ts";
import { Fields } from "./operator-input.ts";

/** Bytes of one file: it lies on the node's disk meanwhile. */
export const IMPORT_BYTES_MAX = 4 * 1024 * 1024 * 1024;

const FIELDS = ["why", "into", "acceptDifferent", "dryRun"] as const;

export class ImportSpool {
	readonly #directory: string;

	/** What a process that died left there goes. */
	constructor(dataDir: string) {
		this.#directory = join(dataDir, "imports");
		rmSync(this.#directory, { recursive: true, force: true });
	}

	/** The body: a line of fields, as other commands have them, and the file's own lines. */
	async import(parts: WritableParts, upload: Upload, by: string): Promise<unknown> {
		mkdirSync(this.#directory, { recursive: true });
		const path = join(this.#directory, `${randomUUID()}.jsonl`);
		try {
			// Histories hold secrets.
			await pipeline(bounded(upload), createWriteStream(path, { flags: "wx", mode: 0o600 }));
			const { dryRun, ...options } = await optionsIn(path, by);
			const actors = await importHistories(parts, () => fileIn(path), { ...options, dryRun });
			return { dryRun, actors: actors satisfies readonly Imported[] };
		} finally {
			rmSync(path, { force: true });
		}
	}
}

async function* bounded(upload: Upload): AsyncGenerator<Buffer> {
	let bytes = 0;
	for await (const piece of upload) {
		bytes += piece.length;
		if (bytes > IMPORT_BYTES_MAX) {
			const text = `the file has more than ${IMPORT_BYTES_MAX} bytes: export fewer actors at a time`;
			throw new HttpError(413, text);
		}
		yield piece;
	}
}

async function optionsIn(path: string, by: string): Promise<ImportOptions & { readonly dryRun: boolean }> {
	for await (const line of historyFileLines(path)) {
		const fields = Fields.of(Buffer.from(line), FIELDS, "the first line of the body");
		return {
			by,
			why: fields.why(),
			into: fields.text("into"),
			acceptDifferent: fields.flag("acceptDifferent"),
			dryRun: fields.flag("dryRun"),
		};
	}
	throw new HttpError(400, "the body is empty: a line of fields and the lines of a file are needed");
}

async function* fileIn(path: string): AsyncGenerator<string> {
	let isFirst = true;
	for await (const line of historyFileLines(path)) {
		if (!isFirst) yield line;
		isFirst = false;
	}
}
