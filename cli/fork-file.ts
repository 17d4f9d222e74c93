/**
 * A fork as a file between `mycelog fork`, `dry-run` and `promote`: whose history, as of which message, changed how. Owns its
 * form and that of a file of edits; what a fork is stands in runtime/fork.ts.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { MycelogError } from "../persistence/errors.ts";
import type { Address } from "../runtime/address.ts";
import type { Edit, Fork } from "../runtime/fork.ts";

const FORMAT = "mycelog-fork";
const VERSION = 1;

export interface ForkFile extends Fork {
	readonly format: typeof FORMAT;
	readonly version: typeof VERSION;
	readonly address: Address;
	/** Offset of the actor's last message when the fork was made. */
	readonly base: number;
}

/** Throws `config.invalid-value` where the file is there already or cannot be written. */
export function writeFork(path: string, address: Address, base: number, fork: Fork): void {
	const file: ForkFile = { format: FORMAT, version: VERSION, address, base, ...fork };
	try {
		writeFileSync(path, `${JSON.stringify(file, undefined, 2)}\n`, { flag: "wx" });
	} catch (cause) {
		const text = `cannot write the fork to ${path}: ${(cause as Error).message}`;
		throw new MycelogError("config.invalid-value", text, { path }, { cause });
	}
}

/** Throws `config.invalid-value` where there is none, `recovery.invalid-file` where it is not one. */
export function readFork(path: string): ForkFile {
	const file = parse(read(path), path) as Partial<ForkFile>;
	if (file.format !== FORMAT || file.version !== VERSION) {
		throw invalid(`${path} is no ${FORMAT} file of version ${VERSION}`);
	}
	const isWhole =
		typeof file.address === "string" && Number.isSafeInteger(file.base) && Array.isArray(file.edits);
	if (isWhole && (file.to === undefined || Number.isSafeInteger(file.to))) return file as ForkFile;
	throw invalid(`${path} lacks address, base or edits`);
}

/** One edit a line: `{"drop": 7}`, `{"replace": 7, "event": {…}}`, `{"insert": 7, "event": {…}}`. */
export function readEdits(path: string): Edit[] {
	return read(path)
		.split("\n")
		.map((line, i) => ({ line: line.trim(), place: `${path}, line ${i + 1}` }))
		.filter(({ line }) => line !== "")
		.map(({ line, place }) => {
			const edit = parse(line, place) as Partial<Record<"drop" | "replace" | "insert", unknown>>;
			const kinds = ["drop", "replace", "insert"].filter((kind) => Object.hasOwn(edit, kind));
			if (kinds.length === 1) return edit as Edit;
			throw invalid(`${place}: an edit has one of drop, replace and insert`);
		});
}

function read(path: string): string {
	try {
		return readFileSync(path, "utf8");
	} catch (cause) {
		const text = `cannot read ${path}: ${(cause as Error).message}`;
		throw new MycelogError("config.invalid-value", text, { path }, { cause });
	}
}

function parse(text: string, place: string): object {
	try {
		const parsed: unknown = JSON.parse(text);
		if (typeof parsed === "object" && parsed !== null) return parsed;
	} catch {
		// Told below, with the place.
	}
	throw invalid(`${place} is no JSON object`);
}

function invalid(text: string): MycelogError {
	return new MycelogError("recovery.invalid-file", text);
}
