/**
 * `mycelog rebuild`: from a choice of actors to folds in the place of what is stored, and an exit code. Owns which way is
 * gone: records to the owners of a cluster, snapshots of stopped embedded data.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { MycelogError } from "../persistence/errors.ts";
import { SqliteSnapshots } from "../persistence/snapshots-sqlite.ts";
import { mustExist } from "../runtime/actor-exists.ts";
import { actors, type ListedActor } from "../runtime/actor-list.ts";
import type { Address } from "../runtime/address.ts";
import type { OperatorParts, ScanProgress, WritableParts } from "../runtime/operator.ts";
import type { Reason } from "../runtime/reason.ts";
import { type LiveRebuild, rebuildLive } from "../runtime/rebuild-live.ts";
import { rebuildFromSnapshots } from "../runtime/rebuild-snapshots.ts";
import { rebuildMany } from "../runtime/verify-many.ts";
import { EXIT } from "./exit-codes.ts";
import { NodeClient, type NodeFlags } from "./node-client.ts";
import { type ActorsFileFlag, mustBeOfData } from "./operator-commands.ts";
import { mustHaveSnapshots } from "./operator-data.ts";
import type { Config } from "./options.ts";
import { print, printJson } from "./print.ts";
import { mustBeSure, type ReasonFlags, reasonOf, recovering } from "./recovery-data.ts";

export interface RebuildCommandOptions extends NodeFlags, ReasonFlags, ActorsFileFlag {
	readonly type?: string;
	readonly under?: string;
	readonly all?: boolean;
	readonly fromSnapshot?: boolean;
	/** Directory of a backup. */
	readonly snapshots?: string;
	readonly yes?: boolean;
	readonly json?: boolean;
	/** Milliseconds to wait for the owners. */
	readonly waitMs: number;
}

/** Actors that a node lists, and rebuilds, in one request. */
const ACTORS_A_REQUEST = 1_000;
const REBUILDS_A_REQUEST = 100;

/** As a node answers. */
interface Asked {
	readonly rebuilt: readonly LiveRebuild[];
	readonly waiting: number;
}

interface Done {
	readonly rebuilt: { readonly address: Address; readonly offset: number }[];
	readonly refused: { readonly address: Address; readonly reason: string }[];
}

/** Exit code 1: one could not be rebuilt, or was not in time. */
export async function rebuildCommand(
	config: Config,
	addresses: readonly Address[],
	options: RebuildCommandOptions,
): Promise<number> {
	const { type, under, all, yes, json } = options;
	if (addresses.length === 0 && type === undefined && under === undefined && !all) {
		throw new MycelogError("config.invalid-value", "which actors? Name addresses, --type, --under or --all");
	}
	if (addresses.length === 0)
		mustBeSure(yes, "many actors get the state that the machines of now make of their histories");
	const reason = reasonOf(options);
	if (options.snapshots !== undefined && (config.kafkaUri || options.node)) {
		const text = "--snapshots is for stopped embedded data: owners go on from what they have stored";
		throw new MycelogError("config.invalid-value", text);
	}
	const startedAt = performance.now();
	const { kafkaUri } = config;
	const opening = {
		unit: kafkaUri ? "actors" : "records",
		write: kafkaUri ? "records" : true,
		actors: options.actors,
	} as const;
	const node = NodeClient.of(options, process.env);
	const { rebuilt, refused } = node
		? await byNode(node, addresses, options)
		: await recovering(config, opening, (parts, onProgress) =>
				kafkaUri
					? byOwners(parts, addresses, options, reason, onProgress)
					: byHand(parts, config, addresses, options, reason, onProgress),
			);
	const seconds = (performance.now() - startedAt) / 1_000;
	if (json) await printJson({ ok: refused.length === 0, rebuilt, refused });
	else {
		for (const one of refused) await print(`${one.address}: not rebuilt: ${one.reason}\n`);
		if (addresses.length > 0)
			for (const { address, offset } of rebuilt) await print(`${address}: rebuilt as of offset ${offset}\n`);
		await print(`${rebuilt.length} rebuilt, ${refused.length} not, in ${seconds.toFixed(1)} s\n`);
	}
	return refused.length === 0 ? EXIT.ok : EXIT.failure;
}

/** It asks the owners; what they have not done in time they do behind it. */
async function byNode(
	node: NodeClient,
	addresses: readonly Address[],
	{ type, under, why, by, fromSnapshot }: RebuildCommandOptions,
): Promise<Done> {
	mustBeOfData({ by });
	const chosen: Address[] = [...addresses];
	if (addresses.length === 0) {
		const page = { items: "actors", on: "after", limit: Number.MAX_SAFE_INTEGER, page: ACTORS_A_REQUEST };
		for await (const { address, problem } of node.list<ListedActor>("actors", { type, under }, page))
			if (problem !== "unknown-type") chosen.push(address);
	}
	const done: Done = { rebuilt: [], refused: [] };
	let waiting = 0;
	for (let i = 0; i < chosen.length; i += REBUILDS_A_REQUEST) {
		const some = chosen.slice(i, i + REBUILDS_A_REQUEST);
		const answer = await node.post<Asked>("rebuild", { addresses: some, why, fromSnapshot });
		for (const one of answer.rebuilt) sort(one, done);
		waiting += answer.waiting;
	}
	if (waiting === 0) return done;
	const text = `${done.rebuilt.length} were rebuilt in time; ${waiting} are asked for in the log, and their owners do them when they come to it`;
	throw new MycelogError("recovery.not-answered", text);
}

/** Each owner folds beside its work, and exchanges the actor at a record. */
async function byOwners(
	parts: WritableParts,
	addresses: readonly Address[],
	options: RebuildCommandOptions,
	{ by, why }: Reason,
	onProgress: (progress: ScanProgress) => void,
): Promise<Done> {
	for (const address of addresses) await mustExist(parts, address);
	const chosen = addresses.length > 0 ? addresses : addressesOf(parts, options);
	const signal = AbortSignal.timeout(options.waitMs);
	const done: Done = { rebuilt: [], refused: [] };
	try {
		const { fromSnapshot } = options;
		for await (const answer of rebuildLive(parts, chosen, { by, why, fromSnapshot, signal, onProgress }))
			sort(answer, done);
	} catch (error) {
		if ((error as Error).name !== "TimeoutError") throw error;
		const text = `${done.rebuilt.length} were rebuilt in ${options.waitMs} ms; for the others it is asked for in the log, and their owners do it when they come to it`;
		throw new MycelogError("recovery.not-answered", text);
	}
	return done;
}

function sort({ address, offset, refused }: LiveRebuild, done: Done): void {
	if (refused === undefined) done.rebuilt.push({ address, offset });
	else done.refused.push({ address, reason: refused });
}

async function* addressesOf(
	parts: OperatorParts,
	{ type, under }: RebuildCommandOptions,
): AsyncGenerator<Address> {
	const filter = { ...(type ? { type } : undefined), ...(under ? { prefix: under } : undefined) };
	for await (const { address, problem } of actors(parts, filter))
		if (problem !== "unknown-type") yield address;
}

function snapshotsIn(directory: string): SqliteSnapshots {
	if (existsSync(join(directory, "snapshots.db"))) return new SqliteSnapshots({ directory, readOnly: true });
	const text = `there is no snapshots.db in ${directory}: --snapshots is the directory of a backup`;
	throw new MycelogError("config.invalid-value", text, { directory });
}

/** The next start finds the snapshots. */
async function byHand(
	found: WritableParts,
	config: Config,
	addresses: readonly Address[],
	{ type, under, fromSnapshot, snapshots }: RebuildCommandOptions,
	reason: Reason,
	onProgress: (progress: ScanProgress) => void,
): Promise<Done> {
	const parts = { ...found, ...mustHaveSnapshots(found, config), append: found.append };
	for (const address of addresses) await mustExist(parts, address);
	const only = addresses.length > 0 ? { addresses } : {};
	const done: Done = { rebuilt: [], refused: [] };
	const filter = { type, under, ...only, onProgress };
	if (fromSnapshot) {
		const earlier = snapshots === undefined ? undefined : snapshotsIn(snapshots);
		try {
			for await (const one of rebuildFromSnapshots(parts, earlier ?? parts.snapshots, filter, reason)) {
				if ("reason" in one) done.refused.push(one);
				else done.rebuilt.push(one);
			}
		} finally {
			earlier?.close();
		}
		return done;
	}
	for await (const one of rebuildMany(parts, filter, reason)) {
		if ("address" in one) done.rebuilt.push(one);
		else
			done.refused.push({ address: one.skipped, reason: `the log keeps it from offset ${one.start} only` });
	}
	return done;
}
