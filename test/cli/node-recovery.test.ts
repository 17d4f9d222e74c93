/** Recovery commands against a running node that stays up: its token says who, its data is not opened. */
import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from "vitest";
import type { AuditEntry } from "../../runtime/audit.ts";
import { INDEX_STEP_RECORDS } from "../../runtime/history-index.ts";
import { run, runJson } from "../kit/command.ts";
import { MAIN } from "../kit/node-process.ts";
import { type OperatorStage, operatorStage } from "../kit/operator-stage.ts";

const ANN = "basket/ann";
const WHY = ["--why", "poison is no food"];

let stage: OperatorStage;
let node: readonly string[];
let fork: string;
let entries: { offset: number; timestamp: number; event: { item: string } }[];

beforeAll(async () => {
	stage = await operatorStage();
	vi.stubEnv("MYCELOG_OPERATOR_TOKEN", stage.rootToken);
	node = ["--node", stage.mycelog.url];
	fork = join(stage.dataDir, "fork.json");
	for (const id of ["ann", "bob"])
		for (const item of ["apple", "poison", "bread"])
			await stage.mycelog.ref("basket", id).tell({ type: "add", item });
	await items();
	entries = await runJson(["history", ANN, ...node]);
});
afterAll(async () => {
	vi.unstubAllEnvs();
	await stage.remove();
});

const items = async () => (await stage.mycelog.ref("basket", "ann").state()).context.items;

test("histories are filtered and read backwards, states are of any time", async () => {
	const newest = await runJson(["history", ANN, "--newest-first", "--limit", "2", ...node]);
	expect(newest).toEqual([entries[2], entries[1]]);
	expect(await runJson(["history", ANN, "--type", "pay", ...node])).toEqual([]);
	expect(await runJson(["history", ANN, "--from-actor", "-", ...node])).toEqual(entries);
	const then = await runJson(["replay", ANN, "--at", new Date(Date.now()).toISOString(), ...node]);
	expect(then).toMatchObject({ offset: entries[2]?.offset });
	const backwards = run(["history", ANN, "--follow", "--newest-first", ...node]);
	await expect(backwards).rejects.toThrow("cannot be used with");
	await expect(run(["history", ANN, "--from", "999999", ...node])).rejects.toMatchObject({
		code: "log.offset-trimmed",
	});
	await expect(run(["replay", ANN, "--to", "999999", ...node])).rejects.toMatchObject({
		code: "log.offset-trimmed",
	});
});

test("one actor and all are verified and rebuilt while the node serves", async () => {
	expect(await runJson(["verify", ANN, ...node])).toMatchObject({ address: ANN, ok: true });
	expect(await runJson(["verify", "--all", ...node])).toMatchObject({ ok: true, wrong: 0 });
	expect(await runJson(["rebuild", ANN, ...WHY, ...node])).toMatchObject({
		ok: true,
		rebuilt: [{ address: ANN }],
	});
	const all = await runJson(["rebuild", "--type", "basket", "--yes", ...WHY, ...node]);
	expect(all.rebuilt.map(({ address }: { address: string }) => address).sort()).toEqual([ANN, "basket/bob"]);
	// Its snapshot is stored by the next checkpoint.
	const short = () => runJson(["rebuild", ANN, "--from-snapshot", ...WHY, ...node]);
	await expect.poll(async () => (await short()).ok, { timeout: 20_000, interval: 500 }).toBe(true);
	expect(await items()).toEqual(["apple", "poison", "bread"]);
	await expect(run(["rebuild", "--type", "basket", ...WHY, ...node])).rejects.toThrow("--yes");
	await expect(run(["rebuild", "basket/nobody", ...WHY, ...node])).rejects.toMatchObject({
		code: "actor.not-found",
	});
	await expect(run(["rebuild", ANN, "--by", "me", ...WHY, ...node])).rejects.toThrow("--by is for data");
	await expect(run(["verify", ANN, "--rebuild", ...node])).rejects.toThrow("--rebuild is for data");
});

test("a fork is made, looked at and promoted; then the actor has moved and it is refused", async () => {
	const made = await runJson(["fork", ANN, "--drop", String(entries[1]?.offset), "--out", fork, ...node]);
	expect(made.after.value.machine.context.items).toEqual(["apple", "bread"]);
	expect(await runJson(["dry-run", fork, ...node])).toMatchObject({ moved: false });
	expect(await items()).toEqual(["apple", "poison", "bread"]);
	await expect(run(["promote", fork, ...WHY, ...node])).rejects.toThrow("--yes");
	expect(await runJson(["promote", fork, "--yes", ...WHY, ...node])).toMatchObject({
		offset: expect.any(Number),
	});
	expect(await items()).toEqual(["apple", "bread"]);
	await expect(run(["promote", fork, "--yes", ...WHY, ...node])).rejects.toMatchObject({
		code: "recovery.actor-moved",
	});
});

test("the audit tells each step with who and why", async () => {
	const audit = await runJson(["audit", ANN, ...node]);
	const rebuilds = audit.filter(({ what, outcome }: AuditEntry) => what === "rebuild" && outcome === "done");
	expect(rebuilds).toMatchObject([{ details: { from: "snapshot" } }, {}, {}]);
	expect(audit[0]).toMatchObject({
		what: "restore",
		by: "root",
		why: "poison is no food",
		outcome: "done",
	});
	expect((await run(["audit", "--by", "root", ...node])).stdout).toMatch(/restore +done +root/);
});

/** The lines that a command prints while it goes on. */
function following(args: readonly string[]) {
	const command = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "inherit"] });
	onTestFinished(() => void command.kill());
	const lines = createInterface({ input: command.stdout })[Symbol.asyncIterator]();
	return async () => (await lines.next()).value as string;
}

test("a history is followed over the node: what is there first, then each message as it comes", async () => {
	const [, second] = entries;
	const from = ["--from", String(second?.offset), "--type", "add"];
	const next = following(["history", ANN, "--follow", ...from, ...node]);
	expect(await next()).toMatch(new RegExp(`^${second?.offset} .* command +add `));
	expect(await next()).toMatch(new RegExp(`^${entries[2]?.offset} `));
	const offset = await stage.mycelog.ref("basket", "ann").tell({ type: "add", item: "cheese" });
	expect(await next()).toMatch(new RegExp(`^${offset} .* command +add +- +open.filling`));
	const refused: [readonly string[], string][] = [
		[["basket/ann", "--from", "999999"], "log.offset-trimmed"],
		[["garden/gnome"], "actor.unknown-type"],
	];
	for (const [of, code] of refused) {
		await expect(run(["history", ...of, "--follow", ...node])).rejects.toMatchObject({ code });
	}
});

test("while the node takes a partition up into its index, a question is answered with how far it is, and the command waits for the rest", async () => {
	const { log } = stage.mycelog.node;
	const read = log.read.bind(log);
	const gate = Promise.withResolvers<void>();
	onTestFinished(() => {
		log.read = read;
	});
	for (const item of ["salt", "milk"]) await stage.mycelog.ref("basket", "ann").tell({ type: "add", item });
	log.read = async (id, from, limit) => {
		const { maxRecords, waitMs } = limit;
		// Of the index alone: nobody waits with it, and one record is the last that it knows.
		if (waitMs === 0 && maxRecords > 1 && maxRecords <= INDEX_STEP_RECORDS) await gate.promise;
		return read(id, from, limit);
	};
	const told = await stage.get("history", { address: ANN });
	expect(told).toMatchObject({
		status: 503,
		body: { code: "operator.indexing", progress: { partition: expect.any(String), scanned: 0 } },
	});
	const waiting = runJson(["history", ANN, "--newest-first", "--limit", "1", ...node]);
	gate.resolve();
	expect(await waiting).toMatchObject([{ event: { item: "milk" } }]);
});

const lines = (path: string) => readFileSync(path, "utf8").trimEnd().split("\n");

test("an export over the node is the file that the data gives, line by line, and leaves no half file behind", async () => {
	const at = (name: string) => join(stage.dataDir, name);
	const data = [
		"--data-dir",
		stage.dataDir,
		"--actors",
		fileURLToPath(import.meta.resolve("../kit/operator-stage.ts")),
	];
	await run(["export", "--type", "basket", "--out", at("node.jsonl"), ...node]);
	await run(["export", "--type", "basket", "--out", at("data.jsonl"), ...data]);
	// The first line has the time of the export, and the last one the checksum over it.
	expect(lines(at("node.jsonl")).slice(1, -1)).toEqual(lines(at("data.jsonl")).slice(1, -1));
	expect(JSON.parse(lines(at("node.jsonl")).at(-1) as string)).toMatchObject({ sha256: expect.any(String) });
	const refused: [readonly string[], string][] = [
		[["basket/nobody"], "actor.not-found"],
		[["--type", "garden"], "actor.unknown-type"],
		[[], "config.invalid-value"],
	];
	for (const [of, code] of refused) {
		await expect(run(["export", ...of, "--out", at("no.jsonl"), ...node])).rejects.toMatchObject({ code });
		expect(() => readFileSync(at("no.jsonl"))).toThrow("ENOENT");
	}
});

test("an import over the node is checked as a whole, written once, and told of with the token's user", async () => {
	const file = join(stage.dataDir, "ann.jsonl");
	await run(["export", ANN, "--out", file, ...node]);
	const into = ["--into", "basket/copy", ...WHY, ...node];
	const damaged = join(stage.dataDir, "damaged.jsonl");
	writeFileSync(damaged, readFileSync(file, "utf8").replace("bread", "broad"));
	await expect(run(["import", "history", damaged, ...into])).rejects.toMatchObject({
		code: "recovery.invalid-file",
		message: expect.stringContaining("checksum"),
	});
	const here = ["import", "history", file, ...WHY, ...node];
	await expect(
		run(["import", "history", file, "--into", "basket/bob", ...WHY, ...node]),
	).rejects.toMatchObject({
		code: "recovery.has-history",
	});
	await expect(run([...here, "--by", "me"])).rejects.toThrow("--by is for data");
	await expect(run(["import", "history", "/nowhere.jsonl", ...into])).rejects.toThrow(
		"cannot read /nowhere.jsonl",
	);
	const messages = lines(file).length - 3;
	const dry = await runJson(["import", "history", file, "--dry-run", ...into]);
	expect(dry).toMatchObject({
		dryRun: true,
		actors: [{ address: "basket/copy", from: ANN, messages, before: 0 }],
	});
	expect(await runJson(["audit", "basket/copy", ...node])).toEqual([]);
	for (const before of [0, messages]) {
		const done = await runJson(["import", "history", file, ...into]);
		expect(done).toEqual({
			dryRun: false,
			actors: [{ address: "basket/copy", from: ANN, messages, before }],
		});
	}
	expect((await stage.mycelog.ref("basket", "copy").state()).context.items).toEqual(await items());
	expect(await runJson(["audit", "basket/copy", ...node])).toMatchObject([
		{ what: "import", by: "root", why: "poison is no food", outcome: "done" },
	]);
});
