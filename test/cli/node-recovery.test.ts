/** Recovery commands against a running node that stays up: its token says who, its data is not opened. */
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { run, runJson } from "../kit/command.ts";
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
	await expect(run(["history", ANN, "--follow", ...node])).rejects.toThrow("--follow is for data");
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
	expect(audit).toMatchObject([
		{ what: "restore", by: "root", why: "poison is no food", outcome: "done" },
		{ what: "rebuild", outcome: "done" },
		{ what: "rebuild", outcome: "done" },
	]);
	expect((await run(["audit", "--by", "root", ...node])).stdout).toMatch(/restore +done +root/);
});
