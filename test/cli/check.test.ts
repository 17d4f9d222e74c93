/** `mycelog check` as a process, on the data directory of an embedded node: findings, JSON and exit codes. */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from "vitest";
import type { Log } from "../../persistence/log.ts";
import { KafkaLog } from "../../persistence/log-kafka.ts";
import { SqliteLog } from "../../persistence/log-sqlite.ts";
import { SqliteSnapshots } from "../../persistence/snapshots-sqlite.ts";
import type { ActorDefinition } from "../../runtime/define-actor.ts";
import { createNode } from "../../runtime/embedded-node.ts";
import { cardMachineFile } from "../kit/card-machine.ts";
import { mycelog } from "../kit/mycelog.ts";
import { collectingLogger, temporaryDirectory } from "../kit/runtime-node.ts";

const directory = temporaryDirectory();
const place = ["--data-dir", directory.path];

const machineFile = (name: string, points: string) => cardMachineFile(directory.path, name, points);

/** A node in `path` whose cards are scanned, stopped. */
async function history(log: Log, path: string): Promise<void> {
	const { card } = (await import(pathToFileURL(old).href)) as { card: ActorDefinition };
	const node = createNode({
		log,
		snapshots: new SqliteSnapshots({ directory: path }),
		actors: [card],
		partitions: 4,
		logger: collectingLogger(),
	});
	await node.start();
	for (const [id, points] of [
		["ann", 1],
		["ann", 5],
		["ann", 2],
		["ben", 1],
	] as const) {
		await node.ref("card", id).tell({ type: "scan", points } as never);
	}
	for (const id of ["ann", "ben"]) await node.ref("card", id).state();
	await node.stop();
}

let old: string;
beforeAll(async () => {
	old = machineFile("old.ts", "context.points + event.points");
	await history(new SqliteLog({ directory: directory.path }), directory.path);
});
afterAll(() => directory.remove());

test("machines that make the same of the histories end with 0", async () => {
	const same = machineFile("same.ts", "event.points + context.points");
	const { exitCode, stdout } = await mycelog(["check", "--machine", same, "--since", "7d", ...place]);
	expect([exitCode, stdout]).toEqual([
		0,
		"2 actors checked, 4 messages folded: all fold to what they were\n",
	]);
	const asJson = await mycelog(["check", "--machine", same, "--json", ...place]);
	expect(asJson.exitCode).toBe(0);
	expect(JSON.parse(asJson.stdout)).toEqual({
		ok: true,
		checked: 2,
		records: 4,
		compared: 2,
		found: 0,
		actors: [],
	});
});

test("one that differs ends with 1 and names actor, offset and place; with --against the first offset", async () => {
	const file = machineFile("new.ts", "context.points + (event.points === 5 ? 10 : event.points)");
	const { exitCode, stdout } = await mycelog(["check", "--machine", file, ...place]);
	expect(exitCode).toBe(1);
	expect(stdout).toMatch(/^card\/ann: differs at offset 2 of actors\/\d \(scan, .*Z\)\n/);
	expect(stdout).toContain("  state.machine.context.points: before 8, now 13\n");
	expect(stdout).toContain("2 actors checked, 4 messages folded: 1 would not be what they are\n");
	const { stdout: json } = await mycelog(["check", "--machine", file, "--against", old, "--json", ...place]);
	const { actors, ...counts } = JSON.parse(json) as { actors: unknown[] };
	expect(counts).toMatchObject({ ok: false, checked: 2, found: 1 });
	expect(actors).toEqual([
		expect.objectContaining({ address: "card/ann", reason: "differs", offset: 1, before: 6, after: 11 }),
	]);
});

test("histories on Kafka are checked too, with the snapshots of a node or without", async () => {
	const prefix = `test-${randomBytes(6).toString("hex")}`;
	const ofNode = temporaryDirectory();
	onTestFinished(() => ofNode.remove());
	const brokers = inject("kafkaBrokers");
	await history(new KafkaLog({ brokers: brokers.split(","), prefix, clientId: "node" }), ofNode.path);
	const file = machineFile("kafka.ts", "context.points + (event.points === 5 ? 10 : event.points)");
	const kafka = ["--kafka-uri", brokers, "--prefix", prefix];
	const { exitCode, stdout } = await mycelog([
		...["check", "--machine", file, "--json"],
		...["--data-dir", ofNode.path, ...kafka],
	]);
	expect(exitCode).toBe(1);
	const { actors, ...counts } = JSON.parse(stdout) as { actors: unknown[] };
	expect(counts).toMatchObject({ ok: false, checked: 2, records: 4, compared: 2, found: 1 });
	expect(actors).toEqual([expect.objectContaining({ address: "card/ann", before: 8, after: 13 })]);
	const without = await mycelog([
		...["check", "--machine", file],
		...["--data-dir", join(ofNode.path, "empty"), ...kafka],
	]);
	expect([without.exitCode, without.stdout]).toEqual([
		0,
		"2 actors checked, 0 of them had a state to compare with, 4 messages folded: " +
			"none fails, and those compared fold to what they were\n",
	]);
}, 60_000);

test("one that fails ends with 1 and shows the error", async () => {
	const file = machineFile("fails.ts", "{ throw new RangeError('no ' + event.points) }");
	const { exitCode, stdout } = await mycelog(["check", "--machine", file, "--limit", "1", ...place]);
	expect(exitCode).toBe(1);
	expect(stdout).toMatch(
		/^card\/(ann|ben): fails at offset \d of actors\/\d .*\n {2}RangeError: no 1\n… and 1 more/,
	);
});

test.each([
	[["--machine", "/nowhere/new.ts"], 2, "config.invalid-value", /cannot load --machine \/nowhere\/new\.ts/],
	[["--machine", "test/kit/metric.ts"], 2, "config.invalid-value", /exports no actor/],
	[["--machine", "test/kit/account.ts"], 1, "actor.not-found", /nothing was checked/],
	[["--machine", "new.ts", "--since", "soon"], 2, "config.invalid-value", /--since.*such as 7d/],
	[[], 2, "config.invalid-value", /--machine/],
])("check %j says what is wrong", async (args, code, error, words) => {
	const { exitCode, stderr } = await mycelog(["check", ...args, ...place]);
	expect([exitCode, stderr]).toEqual([code, expect.stringMatching(new RegExp(`\ncode: ${error}\n$`))]);
	expect(stderr).toMatch(words);
});
