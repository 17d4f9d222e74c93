/**
 * Backups of a data directory while its node folds, and what restore says of those that are not whole.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
	cpSync,
	existsSync,
	readdirSync,
	readFileSync,
	rmSync,
	statSync,
	watch,
	writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import Database from "better-sqlite3";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { backUp } from "../../persistence/backup.ts";
import { MANIFEST_FILE } from "../../persistence/backup-manifest.ts";
import { SqliteLog } from "../../persistence/log-sqlite.ts";
import { restore } from "../../persistence/restore.ts";
import { SqliteSnapshots } from "../../persistence/snapshots-sqlite.ts";
import { behavioursByType } from "../../runtime/behaviour.ts";
import { encodeBody } from "../../runtime/message.ts";
import type { Node } from "../../runtime/node.ts";
import { replay } from "../../runtime/replay.ts";
import { verify } from "../../runtime/verify.ts";
import { endWithTests } from "../kit/children.ts";
import { counterBehaviour } from "../kit/counter.ts";
import { MAIN } from "../kit/node-process.ts";
import { startNode, temporaryDirectory } from "../kit/runtime-node.ts";

const COUNTERS = Array.from({ length: 8 }, (_, i) => `counter/${i}`);
const PARTITIONS = 4;

let directory: ReturnType<typeof temporaryDirectory>;
const at = (name: string) => join(directory.path, name);

beforeEach(() => {
	directory = temporaryDirectory();
});
afterEach(() => directory.remove());

function backedUp(to: string, from = "data") {
	return backUp({ from: at(from), to: at(to), also: ["node-id"], now: Date.now() });
}

/** A node that folded something and stopped. */
async function stoppedNode(name = "data"): Promise<void> {
	const { node } = await startNode(at(name), [counterBehaviour], { partitions: PARTITIONS });
	for (const to of COUNTERS)
		await node.ask(to, { type: "add", by: 1 }, { kind: "command", timeoutMs: 10_000 });
	await node.stop(5_000);
	writeFileSync(join(at(name), "node-id"), "n1\n");
}

/** Every counter's total as the log has it, each proven to equal its stored snapshot. */
async function verifiedTotals(name: string): Promise<number[]> {
	const log = new SqliteLog({ directory: at(name), readOnly: true });
	const snapshots = new SqliteSnapshots({ directory: at(name), readOnly: true });
	try {
		await log.open([]);
		const parts = {
			log,
			snapshots,
			behaviours: behavioursByType([counterBehaviour]),
			partitions: PARTITIONS,
		};
		const totals: number[] = [];
		for (const address of COUNTERS) {
			expect(await verify(parts, address)).toMatchObject({ address, ok: true });
			const { value } = await replay(parts, address);
			totals.push((value as { context: { total: number } }).context.total);
		}
		return totals;
	} finally {
		await log.close(1_000);
		snapshots.close();
	}
}

/** One after the other: whatever moment a file is copied at, the next checkpoint is near. */
async function checkpointing(node: Node, signal: AbortSignal): Promise<void> {
	while (!signal.aborted) {
		for (const partition of node.partitions) await partition.checkpoint();
		await setImmediate();
	}
}

test("backups under load are each of one moment: a node on the restored directory has every call answered before and verifies", async () => {
	const { node } = await startNode(at("data"), [counterBehaviour], { partitions: PARTITIONS });
	const answered = new Map<string, number>();
	const add = async (to: string) => {
		const total = await node.ask(to, { type: "add", by: 1 }, { kind: "command", timeoutMs: 30_000 });
		answered.set(to, total as number);
	};
	for (const to of COUNTERS) await add(to);
	let calling = true;
	const callers = COUNTERS.map(async (to) => {
		while (calling) await add(to);
	});
	for (const backup of ["b1", "b2"]) {
		const before = COUNTERS.map((to) => answered.get(to) ?? 0);
		await Promise.all(node.partitions.map((partition) => partition.checkpoint()));
		const under = new AbortController();
		const checkpoints = checkpointing(node, under.signal);
		const manifest = await backedUp(backup);
		under.abort();
		await checkpoints;
		const after = COUNTERS.map((to) => (answered.get(to) ?? 0) + 1);
		for (const { end, checkpoint = 0 } of manifest.partitions) expect(checkpoint).toBeLessThanOrEqual(end);
		expect(manifest.partitions.some(({ checkpoint = 0 }) => checkpoint > 0)).toBe(true);

		await restore({ from: at(backup), to: at(`${backup}-data`) });
		const restored = await startNode(at(`${backup}-data`), [counterBehaviour], { partitions: PARTITIONS });
		expect(restored.logger.lines.filter(({ level }) => level === "error")).toEqual([]);
		const asked = COUNTERS.map((to) =>
			restored.node.ask(to, { type: "total" }, { kind: "query", timeoutMs: 30_000 }),
		);
		const totals = (await Promise.all(asked)) as number[];
		await restored.node.stop(5_000);
		totals.forEach((total, i) => {
			expect(total).toBeGreaterThanOrEqual(before[i] as number);
			expect(total).toBeLessThanOrEqual(after[i] as number);
		});
		expect(await verifiedTotals(`${backup}-data`)).toEqual(totals);
	}
	const calls = [...answered.values()].reduce((sum, n) => sum + n, 0);
	calling = false;
	await Promise.all(callers);
	expect(calls).toBeGreaterThan(COUNTERS.length);
	await node.stop(5_000);
});

test("a backup without snapshots is whole too: the restored node folds everything from the log", async () => {
	await stoppedNode();
	rmSync(at("data/snapshots.db"));
	const { files } = await backedUp("backup");
	expect(files.map(({ name }) => name)).toEqual(["node-id", "log.db"]);
	await restore({ from: at("backup"), to: at("restored") });
	const { node } = await startNode(at("restored"), [counterBehaviour], { partitions: PARTITIONS });
	expect(await node.ask("counter/3", { type: "total" }, { kind: "query", timeoutMs: 10_000 })).toBe(1);
	await node.stop(5_000);
});

test("a backup and what is restored from it are for their owner's eyes only", async () => {
	await stoppedNode();
	await backedUp("backup");
	await restore({ from: at("backup"), to: at("restored") });
	const modes = ["backup", "restored", "restored/log.db"].map((name) => statSync(at(name)).mode & 0o077);
	expect(modes).toEqual([0, 0, 0]);
	expect(readFileSync(at("restored/node-id"), "utf8")).toBe("n1\n");
});

test("snapshots that belong to another log are not backed up as if they were right", async () => {
	await stoppedNode();
	await stoppedNode("other");
	const { node } = await startNode(at("data"), [counterBehaviour], { partitions: PARTITIONS });
	for (const to of COUNTERS)
		await node.ask(to, { type: "add", by: 1 }, { kind: "command", timeoutMs: 10_000 });
	await node.stop(5_000);
	cpSync(at("data/snapshots.db"), at("other/snapshots.db"));
	await expect(backedUp("backup", "other")).rejects.toMatchObject({ code: "backup.not-written" });
	expect(existsSync(at(`backup/${MANIFEST_FILE}`))).toBe(false);
});

describe("a restore", () => {
	const made = temporaryDirectory();
	beforeAll(async () => {
		directory = made;
		await stoppedNode();
		await backedUp("backup");
	});
	beforeEach(() => cpSync(made.path, directory.path, { recursive: true }));
	afterAll(() => made.remove());

	/** It fails so, and the target is as it was: not there, and nothing beside it. */
	async function refused(code: string, text: string | RegExp): Promise<void> {
		const before = readdirSync(directory.path).sort();
		await expect(restore({ from: at("backup"), to: at("restored") })).rejects.toMatchObject({
			code,
			message: expect.stringMatching(text),
		});
		expect(readdirSync(directory.path).sort()).toEqual(before);
	}

	test.each(["log.db", "snapshots.db"])(
		"refuses a backup with one changed byte in %s, by its checksum",
		async (name) => {
			const path = at(`backup/${name}`);
			const bytes = readFileSync(path);
			const place = Math.floor(bytes.length / 2);
			bytes[place] = (bytes[place] as number) ^ 0x01;
			writeFileSync(path, bytes);
			await refused("backup.damaged", `${name} is not what was backed up`);
		},
	);

	test("refuses a database that SQLite finds damaged, whatever its checksum says", async () => {
		const path = at("backup/log.db");
		const bytes = readFileSync(path);
		bytes.fill(0xff, 8_192, 16_384);
		writeFileSync(path, bytes);
		const { describeFile } = await import("../../persistence/backup-manifest.ts");
		const manifest = JSON.parse(readFileSync(at(`backup/${MANIFEST_FILE}`), "utf8"));
		const changed = await describeFile(at("backup"), "log.db");
		manifest.files = manifest.files.map((file: { name: string }) =>
			file.name === "log.db" ? changed : file,
		);
		writeFileSync(at(`backup/${MANIFEST_FILE}`), JSON.stringify(manifest));
		await refused("backup.damaged", "log.db");
	});

	test("refuses a backup that lacks a file, or its manifest, and names it", async () => {
		rmSync(at("backup/snapshots.db"));
		await refused("backup.incomplete", "snapshots.db is missing");
		rmSync(at(`backup/${MANIFEST_FILE}`));
		await refused("backup.incomplete", MANIFEST_FILE);
	});

	test.each([
		["cut", "{"],
		["of a later version", '{"version":99}'],
		[
			"one that leads out of the backup",
			'{"version":1,"madeAt":"x","partitions":[],"files":[{"name":"../log.db","bytes":1,"sha256":"x"}]}',
		],
	])("refuses a manifest that is %s", async (_, text) => {
		writeFileSync(at(`backup/${MANIFEST_FILE}`), text);
		await refused("backup.damaged", MANIFEST_FILE);
	});

	test("refuses a directory that holds anything, and names a node that lives in it", async () => {
		const into = (name: string) => restore({ from: at("backup"), to: at(name) });
		await expect(into("data")).rejects.toMatchObject({ code: "backup.target-not-empty" });
		const { node } = await startNode(at("data"), [counterBehaviour], { partitions: PARTITIONS });
		await expect(into("data")).rejects.toMatchObject({ code: "log.in-use" });
		await node.stop(5_000);
		await expect(backedUp("backup")).rejects.toMatchObject({ code: "backup.target-not-empty" });
	});
});

test("kill -9 in the middle of a backup leaves what restore refuses, and the data as it was", async () => {
	await stoppedNode();
	fatten(at("data/log.db"));
	const child = spawn(process.execPath, [MAIN, "backup", at("backup"), "--data-dir", at("data")], {
		stdio: "ignore",
	});
	endWithTests(child);
	const ended = once(child, "close");
	await appears(directory.path, "backup");
	await appears(at("backup"), "log.db");
	child.kill("SIGKILL");
	const [code, signal] = await ended;
	expect({ code, signal }).toEqual({ code: null, signal: "SIGKILL" });
	expect(existsSync(at("backup/log.db"))).toBe(true);
	await expect(restore({ from: at("backup"), to: at("restored") })).rejects.toMatchObject({
		code: "backup.incomplete",
	});
	expect(existsSync(at("restored"))).toBe(false);
	expect(await verifiedTotals("data")).toEqual(COUNTERS.map(() => 1));
});

/** So large that copying, checking and reading it take longer than noticing that it has begun. */
function fatten(path: string): void {
	const database = new Database(path);
	const value = Buffer.alloc(900_000, encodeBody({ type: "x" }));
	const insert = database.prepare("INSERT INTO records VALUES (2, 0, ?, 0, 'client/w/c', '{}', ?)");
	database.transaction(() => {
		for (let offset = 0; offset < 40; offset++) insert.run(offset, value);
	})();
	database.close();
}

async function appears(parent: string, name: string): Promise<void> {
	const watcher = watch(parent);
	try {
		while (!existsSync(join(parent, name))) await once(watcher, "change");
	} finally {
		watcher.close();
	}
}
