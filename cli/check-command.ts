/**
 * `mycelog check`: from a file with new machines to the actors that would not be what they are, and an exit code.
 * Owns how the answer reads; the folds are runtime/check.ts.
 */
import { MycelogError } from "../persistence/errors.ts";
import { type CheckedActor, type CheckReason, checkHistories } from "../runtime/check.ts";
import { readableJson } from "../runtime/readable-json.ts";
import { actorsIn } from "./actor-definitions.ts";
import { EXIT } from "./exit-codes.ts";
import { asking } from "./operator-commands.ts";
import type { Config } from "./options.ts";
import { print, printJson, timeText } from "./print.ts";

export interface CheckCommandOptions {
	/** This one or `actors`. */
	readonly machine?: string;
	readonly actors?: string;
	readonly against?: string;
	/** Milliseconds since 1970. */
	readonly since?: number;
	/** Most actors named. */
	readonly limit: number;
	readonly json?: boolean;
}

type Found = CheckedActor & { readonly finding: NonNullable<CheckedActor["finding"]> };

/** Exit code 1: an actor would fail, or be another one. */
export async function checkCommand(config: Config, options: CheckCommandOptions): Promise<number> {
	const { since, limit, json } = options;
	const { machine, actors: file = machine } = options;
	if (file === undefined) {
		throw new MycelogError("config.invalid-value", "which actors? Name their module with --machine <file>");
	}
	const behaviours = await actorsIn(file, machine === undefined ? "--actors" : "--machine");
	const against = options.against === undefined ? undefined : await actorsIn(options.against, "--against");
	const missing = against && [...behaviours.keys()].find((type) => !against.has(type));
	if (missing !== undefined) {
		const text = `--against ${options.against} has no actor type "${missing}" to compare with`;
		throw new MycelogError("config.invalid-value", text);
	}
	return asking(config, { unit: "records" }, async (parts, onProgress) => {
		const counts = { checked: 0, records: 0, compared: 0, found: 0 };
		const named: Found[] = [];
		const range = {
			...(since === undefined ? undefined : { since }),
			...(against ? { against } : undefined),
		};
		for await (const actor of checkHistories({ ...parts, behaviours }, { ...range, onProgress })) {
			counts.checked++;
			counts.records += actor.records;
			if (actor.compared) counts.compared++;
			if (!actor.finding) continue;
			counts.found++;
			if (named.length < limit) named.push(actor as Found);
		}
		if (counts.checked === 0 && since === undefined) {
			const text = `the log has no actor of type ${[...behaviours.keys()].join(", ")}: nothing was checked`;
			throw new MycelogError("actor.not-found", text);
		}
		if (json) await printJson({ ok: counts.found === 0, ...counts, actors: named.map(findingJson) });
		else await print(answer(counts, named));
		return counts.found === 0 ? EXIT.ok : EXIT.failure;
	});
}

function findingJson({ address, partition, finding }: Found): unknown {
	return { address, partition, ...finding };
}

const REASONS: Readonly<Record<CheckReason, string>> = {
	fails: "fails",
	differs: "differs",
	migration: "its stored state cannot be migrated",
	corrupt: "its stored state does not match its checksum",
};

function answer(
	counts: { checked: number; records: number; compared: number; found: number },
	named: readonly Found[],
): string {
	const { checked, records, compared, found } = counts;
	const lines = named.map(({ address, partition, finding }) => {
		const { reason, offset, timestamp, type, error, path, before, after } = finding;
		const place = `offset ${offset} of ${partition} (${type}, ${timeText(timestamp)})`;
		const what =
			reason === "differs"
				? `${path || "the whole"}: before ${readableJson(before) ?? "nothing"}, now ${readableJson(after) ?? "nothing"}`
				: error;
		return `${address}: ${REASONS[reason]} at ${place}${what === undefined ? "" : `\n  ${what}`}\n`;
	});
	const more = found > named.length ? `… and ${found - named.length} more (--limit)\n` : "";
	const isWhole = compared === checked;
	const good = isWhole
		? "all fold to what they were"
		: "none fails, and those compared fold to what they were";
	const verdict = found === 0 ? good : `${found} would not be what they are`;
	const states = isWhole ? "" : `, ${compared} of them had a state to compare with`;
	return `${lines.join("")}${more}${checked} actors checked${states}, ${records} messages folded: ${verdict}\n`;
}
