/** The commands on data of an embedder, whose actors they learn from a file: `--actors`. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import Database from "better-sqlite3";
import { afterAll, beforeAll, expect, test } from "vitest";
import { SqliteLog } from "../../persistence/log-sqlite.ts";
import { SqliteSnapshots } from "../../persistence/snapshots-sqlite.ts";
import type { ActorDefinition } from "../../runtime/define-actor.ts";
import { createNode } from "../../runtime/embedded-node.ts";
import { mycelog } from "../kit/mycelog.ts";
import { collectingLogger, temporaryDirectory } from "../kit/runtime-node.ts";

const directory = temporaryDirectory();
const place = ["--data-dir", directory.path, "--json"];
const file = join(directory.path, "my-actors.ts");
const own = ["--actors", file];

/** Cards with points, of a node that has a read model of them, and stopped. */
beforeAll(async () => {
	writeFileSync(
		file,
		`import { assign, setup } from "${import.meta.resolve("xstate")}";
import { defineActor } from "${new URL("../../runtime/index.ts", import.meta.url).href}";
const machine = setup({
	types: { context: {} as { points: number }, events: {} as { type: "scan"; points: number } },
}).createMachine({
	context: { points: 0 },
	initial: "active",
	states: { active: { on: { scan: { actions: assign({ points: ({ context, event }) => context.points + event.points }) } } } },
});
export const actors = [defineActor({ type: "card", version: 1, machine })];
`,
	);
	const { actors } = (await import(pathToFileURL(file).href)) as { actors: ActorDefinition[] };
	const node = createNode({
		log: new SqliteLog({ directory: directory.path }),
		snapshots: new SqliteSnapshots({ directory: directory.path }),
		actors,
		partitions: 4,
		logger: collectingLogger(),
	});
	await node.start();
	for (const points of [1, 5]) await node.ref("card", "ann").tell({ type: "scan", points } as never);
	await node.project({ name: "seen", handler: () => {} }).caughtUp();
	await node.stop();
});
afterAll(() => directory.remove());

test("actors, history, replay, verify and check know the actors of a file", async () => {
	const [actors, history, replay, verify, check] = await Promise.all([
		mycelog(["actors", ...own, ...place]),
		mycelog(["history", "card/ann", ...own, ...place]),
		mycelog(["replay", "card/ann", ...own, ...place]),
		mycelog(["verify", "card/ann", ...own, ...place]),
		mycelog(["check", ...own, ...place]),
	]);
	for (const { exitCode, stderr } of [actors, history, replay, verify, check])
		expect(exitCode, stderr).toBe(0);
	const listed = JSON.parse(actors.stdout) as { address: string; state?: string }[];
	expect(listed[0]).toEqual({ address: "card/ann", state: "active", offset: expect.any(Number) });
	// The positions of read models are the product's own.
	expect(listed[1]?.address).toMatch(/^mycelog\.projection\/seen/);
	expect(listed.every(({ state }) => state !== undefined)).toBe(true);
	const entries = JSON.parse(history.stdout) as { type: string; event: { points: number } }[];
	expect(entries.map(({ type, event }) => [type, event.points])).toEqual([
		["scan", 1],
		["scan", 5],
	]);
	expect(JSON.parse(replay.stdout).value).toMatchObject({ machine: { context: { points: 6 } } });
	expect(JSON.parse(verify.stdout)).toMatchObject({ ok: true, snapshot: "equal", state: "active" });
	expect(JSON.parse(check.stdout)).toMatchObject({ ok: true, checked: 1, records: 2, compared: 1, found: 0 });
});

test("without the file they say which types they know; a file that is none is named, and check needs one", async () => {
	const [unknown, missing, twice, none] = await Promise.all([
		mycelog(["history", "card/ann", ...place]),
		mycelog(["replay", "card/ann", "--actors", join(directory.path, "nothing.ts"), ...place]),
		mycelog(["check", "--machine", file, ...own, ...place]),
		mycelog(["check", ...place]),
	]);
	expect([unknown.exitCode, unknown.stderr]).toEqual([
		2,
		expect.stringContaining('no actor type "card" here'),
	]);
	expect([missing.exitCode, missing.stderr]).toEqual([2, expect.stringContaining("cannot load --actors")]);
	expect([twice.exitCode, twice.stderr]).toEqual([2, expect.stringContaining("--machine")]);
	expect([none.exitCode, none.stderr]).toEqual([2, expect.stringContaining("--machine <file>")]);
});

test("verify --rebuild repairs a snapshot of the embedder's that was damaged", async () => {
	const database = new Database(join(directory.path, "snapshots.db"));
	const damage = "UPDATE snapshots SET state = replace(state, '6', '7') WHERE address = 'card/ann'";
	expect(database.prepare(damage).run().changes).toBe(1);
	database.close();
	const rebuilt = await mycelog(["verify", "card/ann", "--rebuild", ...own, ...place]);
	expect(JSON.parse(rebuilt.stdout)).toMatchObject({ reason: "corrupt", rebuilt: true });
	const { exitCode, stdout } = await mycelog(["verify", "card/ann", ...own, ...place]);
	expect([exitCode, JSON.parse(stdout).ok]).toEqual([0, true]);
});
