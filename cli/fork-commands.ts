/**
 * `mycelog fork`, `dry-run` and `promote`: an actor's history changed on paper, looked at, made true. Owns how the difference
 * reads; what it is stands in runtime/fork.ts and promote.ts.
 */

import type { Address } from "../runtime/address.ts";
import type { EffectAt } from "../runtime/effect-differences.ts";
import { type DryRun, dryRun, type Edit, type Fork } from "../runtime/fork.ts";
import { type Promotion, promote } from "../runtime/promote.ts";
import { readableJson } from "../runtime/readable-json.ts";
import { actorsIn } from "./actor-definitions.ts";
import { EXIT } from "./exit-codes.ts";
import { readEdits, readFork, writeFork } from "./fork-file.ts";
import { NodeClient, type NodeFlags } from "./node-client.ts";
import { type ActorsFileFlag, mustBeOfData } from "./operator-commands.ts";
import type { Config } from "./options.ts";
import { print, printJson } from "./print.ts";
import { mustBeSure, type ReasonFlags, reasonOf, recovering } from "./recovery-data.ts";

export interface ForkCommandOptions extends NodeFlags, ActorsFileFlag {
	readonly out: string;
	readonly to?: number;
	readonly drop?: readonly number[];
	readonly edits?: string;
	readonly json?: boolean;
}

export async function forkCommand(
	config: Config,
	address: Address,
	options: ForkCommandOptions,
): Promise<number> {
	const { out, to, drop = [], edits: file } = options;
	const edits: Edit[] = [
		...drop.map((offset) => ({ drop: offset })),
		...(file === undefined ? [] : readEdits(file)),
	];
	const fork: Fork = { edits, ...(to === undefined ? undefined : { to }) };
	const node = NodeClient.of(options, process.env);
	const run = node
		? await node.post<DryRun>("fork/dry-run", { address, ...fork })
		: await recovering(config, { unit: "records", actors: options.actors }, (parts, onProgress) =>
				dryRun(parts, address, fork, { onProgress }),
			);
	writeFork(out, address, run.base, fork);
	if (options.json) await printJson({ ...run, file: out });
	else await print(`${textOf(run)}written to ${out}; next: mycelog dry-run ${out}, mycelog promote ${out}\n`);
	return EXIT.ok;
}

export interface DryRunCommandOptions extends NodeFlags, ActorsFileFlag {
	readonly against?: string;
	readonly json?: boolean;
}

export async function dryRunCommand(
	config: Config,
	file: string,
	options: DryRunCommandOptions,
): Promise<number> {
	const { address, ...fork } = readFork(file);
	const against = options.against === undefined ? undefined : await actorsIn(options.against, "--against");
	const node = NodeClient.of(options, process.env);
	if (node) mustBeOfData({ against });
	const run = node
		? await node.post<DryRun>("fork/dry-run", { address, ...forkOf(fork) })
		: await recovering(config, { unit: "records", actors: options.actors }, (parts, onProgress) =>
				dryRun(parts, address, forkOf(fork), { onProgress, ...(against ? { against } : undefined) }),
			);
	const moved = run.base > fork.base;
	if (options.json) await printJson({ ...run, forkedAt: fork.base, moved });
	else {
		await print(textOf(run));
		if (moved)
			await print(
				`the actor had messages since the fork was made at offset ${fork.base}: they are in this\n`,
			);
	}
	return EXIT.ok;
}

export interface PromoteCommandOptions extends NodeFlags, ReasonFlags, ActorsFileFlag {
	readonly acceptNewer?: boolean;
	readonly yes?: boolean;
	readonly json?: boolean;
}

export async function promoteCommand(
	config: Config,
	file: string,
	options: PromoteCommandOptions,
): Promise<number> {
	const { address, base, ...rest } = readFork(file);
	mustBeSure(options.yes, `${address} gets the fork's state; what it sent is not taken back`);
	const { acceptNewer = false } = options;
	const fork = forkOf(rest);
	const node = NodeClient.of(options, process.env);
	if (node) mustBeOfData({ by: options.by });
	const { why } = options;
	const opening = { unit: "records", write: "records", actors: options.actors } as const;
	const { offset, run } = node
		? await node.post<Promotion>("fork/promote", { address, ...fork, base, acceptNewer, why })
		: await recovering(config, opening, (parts, onProgress) =>
				promote(parts, address, fork, { ...reasonOf(options), base, acceptNewer, onProgress }),
			);
	if (options.json) await printJson({ offset, ...run });
	else
		await print(`${textOf(run)}promoted: restored by the record at offset ${offset} of ${run.partition}\n`);
	return EXIT.ok;
}

function forkOf({ to, edits }: Fork): Fork {
	return { edits, ...(to === undefined ? undefined : { to }) };
}

function textOf(run: DryRun): string {
	const { address, partition, base, records, kept, before, after, differences } = run;
	const lines = [
		`${address} (${partition}) as of offset ${base}: ${records} messages, ${kept} in the fork`,
		...(before.state === after.state ? [] : [`  state  ${before.state} -> ${after.state}`]),
		...(after.failed > 0 ? [`  ${after.failed} messages fail in the fork (${before.failed} as it was)`] : []),
		...differences.map(
			({ path, left, right }) =>
				`  ${path}: ${readableJson(left) ?? "nothing"} -> ${readableJson(right) ?? "nothing"}`,
		),
		...(differences.length === 0 ? ["  no difference of state or timers"] : []),
		...effectLines("went out, would not have (it is not taken back)", run.onlyBefore),
		...effectLines("did not go out, would have (it is not sent)", run.onlyAfter),
	];
	return `${lines.join("\n")}\n`;
}

/** Effects shown; all are in `--json`. */
const EFFECTS_SHOWN = 20;

function effectLines(title: string, { told, count }: { told: readonly EffectAt[]; count: number }): string[] {
	if (count === 0) return [];
	const shown = told
		.slice(0, EFFECTS_SHOWN)
		.map(({ offset, effect }) => `    at ${offset}: ${readableJson(effect)}`);
	return [
		`  ${count} effects ${title}:`,
		...shown,
		...(count > shown.length ? [`    … and ${count - shown.length} more`] : []),
	];
}
