/** The recovery commands: on stopped embedded data, beside a live node, and on Kafka beside nodes that serve. */
import { randomBytes } from "node:crypto";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from "vitest";
import type { Log } from "../../persistence/log.ts";
import { KafkaLog } from "../../persistence/log-kafka.ts";
import { SqliteLog } from "../../persistence/log-sqlite.ts";
import { SqliteSnapshots } from "../../persistence/snapshots-sqlite.ts";
import { partitionOf } from "../../runtime/address.ts";
import type { ActorDefinition } from "../../runtime/define-actor.ts";
import { createNode, type EmbeddedNode } from "../../runtime/embedded-node.ts";
import { cardMachineFile } from "../kit/card-machine.ts";
import { commandInProcess as mycelog } from "../kit/command-in-process.ts";
import { collectingLogger, temporaryDirectory } from "../kit/runtime-node.ts";

const directory = temporaryDirectory();
const place = ["--data-dir", directory.path];
const WHY = ["--why", "points were counted twice", "--by", "ada"];

const machineFile = (name: string, points: string) => cardMachineFile(directory.path, name, points);

const mistaken = machineFile("mistaken.ts", "context.points + event.points * 2");
const mended = machineFile("mended.ts", "context.points + event.points");

async function started(file: string, log: Log, path: string): Promise<EmbeddedNode> {
	const { card } = (await import(pathToFileURL(file).href)) as { card: ActorDefinition };
	const snapshots = new SqliteSnapshots({ directory: path });
	const node = createNode({ log, snapshots, actors: [card], partitions: 4, logger: collectingLogger() });
	await node.start();
	return node;
}

function embedded(file: string, path = directory.path): Promise<EmbeddedNode> {
	return started(file, new SqliteLog({ directory: path }), path);
}

async function scan(node: EmbeddedNode, id: string, ...points: number[]): Promise<void> {
	for (const one of points) await node.ref("card", id).tell({ type: "scan", points: one } as never);
	await node.ref("card", id).state();
}

async function pointsOf(node: EmbeddedNode, id: string): Promise<unknown> {
	return ((await node.ref("card", id).state()).context as { points: number }).points;
}

async function json<Answer>(args: readonly string[], exitCode = 0): Promise<Answer> {
	const found = await mycelog([...args, "--json", "--actors", mended, ...place]);
	expect([found.exitCode, found.error]).toEqual([exitCode, ""]);
	return JSON.parse(found.stdout) as Answer;
}

interface Entry {
	readonly offset: number;
	readonly timestamp: number;
	readonly type: string;
}

beforeAll(async () => {
	const node = await embedded(mistaken);
	await scan(node, "ann", 1, 5, 2);
	await scan(node, "ben", 1);
	await node.stop();
});
afterAll(() => directory.remove());

describe("on stopped data, in order: looked at, rebuilt, forked, promoted, moved", () => {
	test("history goes backwards and filtered, replay goes to a time", async () => {
		const backwards = await json<Entry[]>(["history", "card/ann", "--newest-first", "--limit", "2"]);
		const all = await json<Entry[]>(["history", "card/ann", "--type", "scan", "--from-actor", "-"]);
		expect(backwards).toEqual(all.toReversed().slice(0, 2));
		expect(await json(["history", "card/ann", "--outcome", "failed"])).toEqual([]);
		const at = new Date((all[1] as Entry).timestamp).toISOString();
		const then = await json<{ offset: number }>(["replay", "card/ann", "--at", at]);
		expect(then.offset).toBeGreaterThanOrEqual((all[1] as Entry).offset);
		const past = await mycelog(["replay", "card/ann", "--to", "999", "--actors", mended, ...place]);
		expect([past.exitCode, past.error]).toEqual([
			undefined,
			expect.stringMatching(/offset 999 is not in partition .*keeps 0 to/),
		]);
	});

	test("verify --all names every actor that is not what the mended machine makes of it; rebuild mends them", async () => {
		const wrong = await json<{ checked: number; wrong: number; actors: { address: string }[] }>(
			["verify", "--all"],
			1,
		);
		expect(wrong).toMatchObject({ checked: 2, wrong: 2 });
		expect(wrong.actors.map(({ address }) => address).sort()).toEqual(["card/ann", "card/ben"]);
		const unsure = await mycelog(["rebuild", "--type", "card", ...WHY, "--actors", mended, ...place]);
		expect([unsure.exitCode, unsure.error]).toEqual([undefined, expect.stringContaining("say --yes")]);
		const one = await json<{ rebuilt: object[] }>(["rebuild", "card/ann", ...WHY]);
		expect(one.rebuilt).toHaveLength(1);
		expect(await json(["verify", "--under", "card/a"])).toMatchObject({ ok: true, checked: 1 });
		await json(["rebuild", "--type", "card", "--yes", ...WHY]);
		const right = await mycelog(["verify", "--type", "card", "--actors", mended, ...place]);
		expect([right.exitCode, right.stdout]).toEqual([
			0,
			expect.stringContaining("every snapshot equals the log"),
		]);
		const node = await embedded(mended);
		expect([await pointsOf(node, "ann"), await pointsOf(node, "ben")]).toEqual([8, 1]);
		await node.stop();
	});

	test("fork, dry-run and promote change one actor from a record on, and the audit tells who and why", async () => {
		const [, five] = await json<Entry[]>(["history", "card/ann", "--type", "scan"]);
		const edits = join(directory.path, "edits.jsonl");
		writeFileSync(
			edits,
			`${JSON.stringify({ replace: five?.offset, event: { type: "scan", points: 50 } })}\n`,
		);
		const fork = join(directory.path, "fork.json");
		const forked = ["fork", "card/ann", "--edits", edits, "--out", fork, "--actors", mended, ...place];
		const text = await mycelog(forked);
		expect([text.exitCode, text.error]).toEqual([0, ""]);
		expect(text.stdout).toContain("state.machine.context.points: 8 -> 53");
		expect((await mycelog(forked)).error).toMatch(/cannot write the fork to .*EEXIST/);
		expect(await json(["dry-run", fork])).toMatchObject({
			moved: false,
			differences: [{ left: 8, right: 53 }],
		});
		const unsure = await mycelog(["promote", fork, ...WHY, "--actors", mended, ...place]);
		expect(unsure.error).toContain("say --yes");
		const live = await embedded(mended);
		const refused = await mycelog(["promote", fork, "--yes", ...WHY, "--actors", mended, ...place]);
		expect([refused.exitCode, refused.error]).toEqual([undefined, expect.stringContaining("log.in-use:")]);
		await scan(live, "ann", 3);
		await live.stop();
		const moved = await mycelog(["promote", fork, "--yes", ...WHY, "--actors", mended, ...place]);
		expect([moved.exitCode, moved.error]).toEqual([
			undefined,
			expect.stringContaining("recovery.actor-moved"),
		]);
		const { offset } = await json<{ offset: number }>(["promote", fork, "--yes", "--accept-newer", ...WHY]);
		const node = await embedded(mended);
		expect(await pointsOf(node, "ann")).toBe(56);
		await node.stop();
		const audit = await json<object[]>(["audit", "card/ann"]);
		expect(audit[0]).toMatchObject({
			offset,
			what: "restore",
			by: "ada",
			why: "points were counted twice",
			outcome: "done",
		});
		expect(audit[1]).toMatchObject({ what: "rebuild", outcome: "done" });
		writeFileSync(fork, "{}");
		expect((await mycelog(["dry-run", fork, ...place])).error).toContain("recovery.invalid-file");
	});

	test("export and import move a history into another data directory; a damaged file changes nothing there", async () => {
		const other = temporaryDirectory();
		onTestFinished(() => other.remove());
		const file = join(directory.path, "ann.jsonl");
		const exported = await mycelog(["export", "card/ann", "--out", file, "--actors", mended, ...place]);
		expect([exported.exitCode, exported.error]).toEqual([0, ""]);
		const toStdout = await mycelog(["export", "card/ann", "--actors", mended, ...place]);
		expect(toStdout.stdout.split("\n").slice(1, -2)).toEqual(
			readFileSync(file, "utf8").split("\n").slice(1, -2),
		);
		await (await embedded(mended, other.path)).stop();
		const into = ["--actors", mended, "--data-dir", other.path, ...WHY];
		const damaged = join(directory.path, "damaged.jsonl");
		writeFileSync(damaged, readFileSync(file, "utf8").replace('"points":5', '"points":6'));
		const refused = await mycelog(["import", "history", damaged, ...into]);
		expect([refused.exitCode, refused.error]).toEqual([
			undefined,
			expect.stringContaining("recovery.invalid-file"),
		]);
		for (const written of [8, 8, 0]) {
			const dry = written === 8 ? ["--dry-run"] : [];
			const args = written === 0 ? [] : dry;
			const found = await mycelog(["import", "history", file, "--json", ...args, ...into]);
			expect([found.exitCode, found.error]).toEqual([0, ""]);
		}
		const node = await embedded(mended, other.path);
		expect(await pointsOf(node, "ann")).toBe(56);
		await scan(node, "ann", 4);
		expect(await pointsOf(node, "ann")).toBe(60);
		await node.stop();
		const again = await mycelog(["import", "history", file, "--json", ...into]);
		const [{ messages, before }] = JSON.parse(again.stdout).actors;
		expect(before).toBe(messages);
	});
});

test("a snapshot without a history is named by verify --all, and what verify --rebuild mends stands in the audit", async () => {
	const data = temporaryDirectory();
	onTestFinished(() => data.remove());
	const node = await embedded(mistaken, data.path);
	await scan(node, "ann", 4);
	await node.stop();
	const ran = async (...args: string[]) => {
		const found = await mycelog([...args, "--json", "--actors", mended, "--data-dir", data.path]);
		return JSON.parse(found.stdout);
	};
	const snapshots = new SqliteSnapshots({ directory: data.path });
	const { partition } = await ran("verify", "card/ann");
	const [topic, number] = partition.split("/");
	const id = { topic, partition: Number(number) };
	const [checkpoint, stored] = [snapshots.checkpoint(id), snapshots.load("card/ann")];
	// In the same partition as ann's: only one that was looked at says what is not there.
	const ghost = Array.from({ length: 100 }, (_, i) => `card/ghost-${i}`).find(
		(address) => partitionOf(address, 4) === id.partition,
	) as string;
	if (checkpoint && stored) snapshots.save(checkpoint, [{ ...stored, address: ghost }]);
	snapshots.close();
	const all = await ran("verify", "--all");
	const wrong = all.actors.map(({ address, reason }: Record<string, string>) => [address, reason]);
	expect(wrong).toEqual([
		["card/ann", "differs"],
		[ghost, "no-history"],
	]);
	expect(await ran("verify", ghost, "--rebuild")).toMatchObject({ ok: false, reason: "no-history" });
	expect(await ran("verify", "card/ann", "--rebuild")).toMatchObject({ reason: "differs", rebuilt: true });
	expect(await ran("audit")).toMatchObject([
		{ address: "card/ann", what: "rebuild", outcome: "done", why: "verify: differs" },
	]);
	expect(await ran("verify", "card/ann", "--rebuild", "--why", "again")).toMatchObject({ ok: true });
	expect(await ran("audit")).toHaveLength(1);
});

test("rebuild --from-snapshot goes on from what is stored, --snapshots from a backup before the mistake; without one it says so", async () => {
	const [data, backup] = [temporaryDirectory(), temporaryDirectory()];
	onTestFinished(() => [data, backup].forEach((one) => void one.remove()));
	const before = await embedded(mended, data.path);
	await scan(before, "ann", 1, 2);
	await before.stop();
	cpSync(data.path, backup.path, { recursive: true });
	const wrong = await embedded(mistaken, data.path);
	await scan(wrong, "ann", 5);
	await scan(wrong, "ben", 3);
	await wrong.stop();
	const ran = async (...args: string[]) => {
		const found = await mycelog([...args, "--json", "--actors", mended]);
		return { ...found, answer: found.stdout === "" ? undefined : JSON.parse(found.stdout) };
	};
	const here = ["--data-dir", data.path];
	const own = await ran("rebuild", "card/ann", "--from-snapshot", ...WHY, ...here);
	expect(own).toMatchObject({ exitCode: 0, answer: { rebuilt: [{ address: "card/ann" }] } });
	// What is stored is what the mistaken machine has made.
	expect((await ran("verify", "card/ann", ...here)).answer).toMatchObject({ stored: 13, folded: 8 });
	const earlier = await ran(
		"rebuild",
		"--type",
		"card",
		"--yes",
		"--snapshots",
		backup.path,
		...WHY,
		...here,
	);
	expect(earlier).toMatchObject({
		exitCode: 1,
		answer: {
			rebuilt: [{ address: "card/ann" }],
			refused: [{ address: "card/ben", reason: expect.stringContaining("no usable snapshot of it") }],
		},
	});
	expect((await ran("verify", "card/ann", ...here)).answer).toMatchObject({ ok: true, snapshot: "equal" });
	await ran("rebuild", "card/ann", ...WHY, ...here);
	expect((await ran("verify", "card/ann", ...here)).answer).toMatchObject({ ok: true, snapshot: "equal" });
	expect((await ran("audit", "card/ann", ...here)).answer).toMatchObject([
		{ what: "rebuild", by: "ada", outcome: "done" },
		{ what: "rebuild", by: "ada", outcome: "done", details: { from: "snapshot" } },
		{ what: "rebuild", by: "ada", outcome: "done", details: { from: "snapshot" } },
	]);
	const newer = ["--data-dir", backup.path, "--snapshots", data.path];
	expect((await ran("rebuild", "card/ann", ...WHY, ...newer)).answer.refused[0].reason).toContain("or newer");
	const refused: [string[], string][] = [
		[["--snapshots", "/nowhere"], "config.invalid-value: there is no snapshots.db in /nowhere"],
		[
			["--snapshots", backup.path, "--node", "http://127.0.0.1:1"],
			"--snapshots is for stopped embedded data",
		],
		[["--from-snapshot", "--type", "cards", "--yes"], "actor.unknown-type"],
	];
	for (const [flags, error] of refused) {
		const address = flags.includes("--type") ? [] : ["card/ann"];
		expect((await ran("rebuild", ...address, ...flags, ...WHY, ...here)).error).toContain(error);
	}
});

test("on Kafka, beside a node that serves: rebuild and promote take effect in the live actors, which go on", async () => {
	const path = temporaryDirectory();
	onTestFinished(() => path.remove());
	const brokers = inject("kafkaBrokers").split(",");
	const prefix = `recovery-${randomBytes(4).toString("hex")}`;
	const open = (file: string) => started(file, new KafkaLog({ brokers, prefix, clientId: "n" }), path.path);
	const before = await open(mistaken);
	await scan(before, "ann", 1, 5, 2);
	await scan(before, "ben", 4);
	await before.stop();
	const node = await open(mended);
	onTestFinished(() => node.stop());
	expect(await pointsOf(node, "ann")).toBe(16);
	const kafka = [
		"--kafka-uri",
		brokers.join(","),
		"--prefix",
		prefix,
		"--data-dir",
		join(path.path, "operator"),
		"--actors",
		mended,
	];
	const rebuilt = await mycelog(["rebuild", "card/ann", "card/ben", ...WHY, "--json", ...kafka]);
	expect([rebuilt.exitCode, rebuilt.error]).toEqual([0, ""]);
	expect([await pointsOf(node, "ann"), await pointsOf(node, "ben")]).toEqual([8, 4]);
	const fork = join(path.path, "fork.json");
	const [first] = JSON.parse((await mycelog(["history", "card/ann", "--json", ...kafka])).stdout) as Entry[];
	const forked = await mycelog([
		"fork",
		"card/ann",
		"--drop",
		String(first?.offset),
		"--out",
		fork,
		...kafka,
	]);
	expect([forked.exitCode, forked.error]).toEqual([0, ""]);
	const promoted = await mycelog(["promote", fork, "--yes", ...WHY, ...kafka]);
	expect([promoted.exitCode, promoted.error]).toEqual([0, ""]);
	expect(await pointsOf(node, "ann")).toBe(7);
	await scan(node, "ann", 1);
	expect(await pointsOf(node, "ann")).toBe(8);
	// As soon as what it was rebuilt to is stored.
	const short = () => mycelog(["rebuild", "card/ben", "--from-snapshot", ...WHY, ...kafka]);
	await expect.poll(async () => (await short()).exitCode, { timeout: 30_000, interval: 500 }).toBe(0);
	expect(await pointsOf(node, "ben")).toBe(4);
	const audit = JSON.parse((await mycelog(["audit", "--json", ...kafka])).stdout) as {
		what: string;
		outcome: string;
	}[];
	const done = audit.filter(({ outcome }) => outcome === "done");
	expect(done.map(({ what, outcome }) => [what, outcome])).toEqual([
		["rebuild", "done"],
		["restore", "done"],
		["rebuild", "done"],
		["rebuild", "done"],
	]);
});
