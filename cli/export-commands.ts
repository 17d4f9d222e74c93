/**
 * `mycelog export` and `mycelog import history`: histories to a file of lines and from one. Owns files and streams; the form
 * is runtime/history-file.ts.
 */

import { once } from "node:events";
import { createReadStream, createWriteStream, rmSync } from "node:fs";
import { Readable } from "node:stream";
import { MycelogError } from "../persistence/errors.ts";
import type { Address } from "../runtime/address.ts";
import { exportHistories } from "../runtime/export.ts";
import { historyFileLines } from "../runtime/history-file-lines.ts";
import { type Imported, importHistories } from "../runtime/import.ts";
import { EXIT } from "./exit-codes.ts";
import { NodeClient, type NodeFlags } from "./node-client.ts";
import { type ActorsFileFlag, mustBeOfData } from "./operator-commands.ts";
import type { Config } from "./options.ts";
import { print, printJson, table } from "./print.ts";
import { type ReasonFlags, reasonOf, recovering } from "./recovery-data.ts";

export interface ExportCommandOptions extends NodeFlags, ActorsFileFlag {
	readonly type?: string;
	readonly under?: string;
	readonly out?: string;
}

/** To stdout, or a file that is there only when it is whole. */
export async function exportCommand(
	config: Config,
	address: Address | undefined,
	options: ExportCommandOptions,
): Promise<number> {
	const { type, under, out, actors } = options;
	const show = async (lines: AsyncIterable<string>) => {
		if (out === undefined) for await (const line of lines) await print(line);
		else await toFile(out, lines);
		return EXIT.ok;
	};
	const node = NodeClient.of(options, process.env);
	if (node) return show(withEnds(node.lines("export", { address, type, under })));
	return recovering(config, { unit: "records", actors }, (parts, onProgress) =>
		show(exportHistories(parts, { address, type, under, now: Date.now(), onProgress })),
	);
}

async function* withEnds(lines: AsyncIterable<string>): AsyncGenerator<string> {
	for await (const line of lines) yield `${line}\n`;
}

async function toFile(path: string, lines: AsyncIterable<string>): Promise<void> {
	const file = createWriteStream(path, { flags: "wx" });
	let opened = false;
	try {
		await once(file, "open");
		opened = true;
		for await (const line of lines) if (!file.write(line)) await once(file, "drain");
		file.end();
		await once(file, "finish");
	} catch (cause) {
		file.destroy();
		if (opened) rmSync(path, { force: true });
		if (MycelogError.is(cause)) throw cause;
		const text = `cannot write to ${path}: ${(cause as Error).message}`;
		throw new MycelogError("config.invalid-value", text, { path }, { cause });
	}
}

export interface ImportHistoryOptions extends NodeFlags, ReasonFlags, ActorsFileFlag {
	readonly into?: Address;
	readonly acceptDifferent?: boolean;
	readonly dryRun?: boolean;
	readonly json?: boolean;
}

export async function importHistoryCommand(
	config: Config,
	file: string,
	options: ImportHistoryOptions,
): Promise<number> {
	const { into, acceptDifferent, dryRun = false, json } = options;
	const opening = { unit: "messages", write: dryRun ? false : "records", actors: options.actors } as const;
	const node = NodeClient.of(options, process.env);
	const found = node
		? await byNode(node, file, options)
		: await recovering(config, opening, (parts, onProgress) =>
				importHistories(parts, () => linesIn(file), {
					...reasonOf(options),
					into,
					acceptDifferent,
					dryRun,
					onProgress,
				}),
			);
	if (json) await printJson({ dryRun, actors: found });
	else {
		const rows = found.map(({ address, messages, before }) => [
			address,
			String(messages),
			String(messages - before),
		]);
		await print(table(["ADDRESS", "MESSAGES", dryRun ? "WOULD BE WRITTEN" : "WRITTEN"], rows));
	}
	return EXIT.ok;
}

/** The node keeps the file until it has looked at all of it. */
async function byNode(
	node: NodeClient,
	file: string,
	{ why, by, into, acceptDifferent, dryRun }: ImportHistoryOptions,
): Promise<readonly Imported[]> {
	mustBeOfData({ by });
	const fields = `${JSON.stringify({ why, into, acceptDifferent, dryRun })}\n`;
	const body = Readable.from(withFile(fields, file), { objectMode: false });
	return (await node.upload<{ readonly actors: readonly Imported[] }>("import/history", body)).actors;
}

async function* withFile(fields: string, path: string): AsyncGenerator<string | Buffer> {
	yield fields;
	try {
		for await (const piece of createReadStream(path) as AsyncIterable<Buffer>) yield piece;
	} catch (cause) {
		throw unreadable(path, cause as Error);
	}
}

async function* linesIn(path: string): AsyncGenerator<string> {
	try {
		yield* historyFileLines(path);
	} catch (cause) {
		throw MycelogError.is(cause) ? cause : unreadable(path, cause as Error);
	}
}

function unreadable(path: string, cause: Error): MycelogError {
	const text = `cannot read ${path}: ${cause.message}`;
	return new MycelogError("config.invalid-value", text, { path }, { cause });
}
