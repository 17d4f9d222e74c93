/**
 * `mycelog export` and `mycelog import history`: histories to a file of lines and from one. Owns files and streams; the form
 * is runtime/history-file.ts.
 */

import { once } from "node:events";
import { createReadStream, createWriteStream, rmSync } from "node:fs";
import { createInterface } from "node:readline";
import { MycelogError } from "../persistence/errors.ts";
import type { Address } from "../runtime/address.ts";
import { exportHistories } from "../runtime/export.ts";
import { importHistories } from "../runtime/import.ts";
import { EXIT } from "./exit-codes.ts";
import type { ActorsFileFlag } from "./operator-commands.ts";
import type { Config } from "./options.ts";
import { print, printJson, table } from "./print.ts";
import { type ReasonFlags, reasonOf, recovering } from "./recovery-data.ts";

export interface ExportCommandOptions extends ActorsFileFlag {
	readonly type?: string;
	readonly under?: string;
	readonly out?: string;
}

/** To stdout, or a file that is there only when it is whole. */
export async function exportCommand(
	config: Config,
	address: Address | undefined,
	{ type, under, out, actors }: ExportCommandOptions,
): Promise<number> {
	return recovering(config, { unit: "records", actors }, async (parts, onProgress) => {
		const lines = exportHistories(parts, { address, type, under, now: Date.now(), onProgress });
		if (out === undefined) for await (const line of lines) await print(line);
		else await toFile(out, lines);
		return EXIT.ok;
	});
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

export interface ImportHistoryOptions extends ReasonFlags, ActorsFileFlag {
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
	const found = await recovering(config, opening, (parts, onProgress) =>
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

async function* linesIn(path: string): AsyncGenerator<string> {
	const stream = createReadStream(path, "utf8");
	try {
		await once(stream, "open");
	} catch (cause) {
		const text = `cannot read ${path}: ${(cause as Error).message}`;
		throw new MycelogError("config.invalid-value", text, { path }, { cause });
	}
	yield* createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY });
}
