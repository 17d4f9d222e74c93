/** Operators' commands against a running node, and against its data once it has stopped. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { run, runJson } from "../kit/command.ts";
import { mycelog } from "../kit/mycelog.ts";
import { type OperatorStage, operatorStage, shelf } from "../kit/operator-stage.ts";

let stage: OperatorStage;
let node: readonly string[];
let data: readonly string[];

beforeAll(async () => {
	stage = await operatorStage();
	const tokenFile = join(stage.dataDir, "operator-token");
	writeFileSync(tokenFile, `${stage.rootToken}\n`);
	node = ["--node", stage.mycelog.url, "--token-file", tokenFile];
	data = ["--data-dir", stage.dataDir];
	const { mycelog: made } = stage;
	for (const item of ["apple", "bread"]) await made.ref("basket", "ann").tell({ type: "add", item });
	shelf.closed.add("fish").add("ink");
	for (const item of ["fish", "ink", "fish"]) await made.ref("basket", "bob").tell({ type: "add", item });
	await made.ref("till", "t1").tell({ type: "add", item: "ink" });
	await vi.waitFor(async () => expect((await stage.get("dead-letters")).body.letters).toHaveLength(4));
});
afterAll(async () => {
	shelf.closed.clear();
	await stage.remove();
});

describe("of a running node", () => {
	test("scenario 60: status and partitions say how it is, with lag and open letters", async () => {
		const { exitCode, stdout } = await run(["status", ...node]);
		expect(exitCode).toBe(0);
		expect(stdout).toMatch(/^health +ready$/m);
		expect(stdout).toMatch(/^partitions +8 of 8 here, \d+ records not folded$/m);
		expect(stdout).toMatch(/^letters +4 dead letters are open$/m);
		// Counted are those that a checkpoint has stored, and that takes some seconds.
		const counts = async () => (await runJson(["status", ...node])).counts;
		await expect
			.poll(async () => (await counts()).actors, { timeout: 30_000, interval: 500 })
			.toBe((await runJson(["actors", ...node])).length);
		const { workspaces } = (await stage.get("workspaces")).body;
		expect(await counts()).toMatchObject({ workspaces: workspaces.length });
		const partitions = await runJson(["partitions", ...node]);
		expect(partitions).toHaveLength(8);
		expect(partitions[0]).toMatchObject({ topic: "actors", owner: stage.mycelog.node.name.id, live: true });
		expect((await run(["partitions", ...node])).stdout).toMatch(
			/^PARTITION +OWNER +NEXT +END +LAG +STANDS ON$/m,
		);
	});

	test("actors, history and replay come from it as from its data, of types that only it knows", async () => {
		const [ann] = await runJson(["actors", "--type", "basket", "--search", "ann", ...node]);
		expect(ann).toMatchObject({ address: "basket/ann", state: "open.filling" });
		const history = await runJson(["history", "basket/ann", ...node]);
		expect(history.map(({ event }: { event: unknown }) => event)).toMatchObject([
			{ item: "apple" },
			{ item: "bread" },
		]);
		const then = await runJson(["replay", "basket/ann", "--to", String(history[0].offset), ...node]);
		expect(then).toMatchObject({ records: 1, state: "open.filling" });
		expect((await run(["history", "basket/ann", ...node])).stdout).toMatch(/command +add/);
	});

	test("dead letters are listed by filter and shown with their message", async () => {
		const letters = await runJson([
			"dead-letters",
			"list",
			"--address",
			"basket/",
			"--cause",
			"fish",
			...node,
		]);
		expect(letters).toHaveLength(2);
		expect(letters[0]).toMatchObject({ address: "basket/bob", status: "open" });
		const shown = await runJson(["dead-letters", "show", letters[0].id, ...node]);
		expect(shown.record).toMatchObject({ event: { type: "add", item: "fish" } });
		expect((await run(["dead-letters", "list", "--since", "1d", ...node])).stdout).toMatch(
			/no ink on the shelf/,
		);
		expect(await runJson(["dead-letters", "list", "--since", "2100-01-01", ...node])).toEqual([]);
	});

	test("scenario 35: a dry run changes nothing; a retry with a rate sends each letter once, a drop needs --yes and a reason", async () => {
		const chosen = ["--address", "basket/bob", "--cause", "fish", "--why", "fish is back"];
		const dry = await runJson(["dead-letters", "retry", ...chosen, "--dry-run", ...node]);
		expect(dry).toMatchObject({ dryRun: true, done: 2, left: 0 });
		shelf.closed.delete("fish");
		const done = await runJson(["dead-letters", "retry", ...chosen, "--rate", "20", ...node]);
		expect(done).toMatchObject({ dryRun: false, done: 2, left: 0 });
		expect(await runJson(["dead-letters", "retry", ...chosen, ...node])).toMatchObject({ done: 0, left: 0 });
		expect((await stage.mycelog.ref("basket", "bob").state()).context.items).toEqual(["fish", "fish"]);
		const drop = ["dead-letters", "drop", "--address", "basket/bob", "--why", "not sold here"];
		await expect(run([...drop, ...node])).rejects.toThrow("--yes");
		await expect(run([...drop.slice(0, 4), "--yes", ...node])).rejects.toThrow("--why");
		expect(await runJson([...drop, "--yes", ...node])).toMatchObject({ done: 1 });
		const dropped = await runJson(["dead-letters", "list", "--status", "dropped", ...node]);
		expect(dropped).toMatchObject([{ outcome: { by: "root", why: "not sold here" } }]);
	});

	test("an actor is paused, resumed, and helped past a message that failed", async () => {
		const why = ["--why", "stocktaking"];
		expect((await run(["pause", "basket/ann", ...why, ...node])).stdout).toBe("basket/ann: paused\n");
		expect((await run(["resume", "basket/ann", ...why, ...node])).stdout).toBe("basket/ann: goes on\n");
		expect(await runJson(["retry", "till/t1", ...why, ...node])).toMatchObject({ paused: true });
		expect(await runJson(["skip", "till/t1", ...why, ...node])).toMatchObject({ paused: false });
		const history = await runJson(["history", "till/t1", ...node]);
		expect(history.at(-1).event).toMatchObject({ type: "mycelog.skip", by: "root", why: "stocktaking" });
	});

	test("wrong input is told with its code and changes nothing", async () => {
		const before = await runJson(["partitions", ...node]);
		const why = ["--why", "x"];
		const failing: [readonly string[], string][] = [
			[["pause", "basket/nobody", ...why], "actor.not-found"],
			[["pause", "garden/gnome", ...why], "actor.unknown-type"],
			[["pause", "gnome", ...why], "actor.invalid-address"],
			[["pause", "workspace/ws-user-root", ...why], "operator.refused"],
			[["resume", "basket/ann", ...why], "operator.refused"],
			[["history", "basket/nobody"], "actor.not-found"],
			[["dead-letters", "show", "actors/0@999999"], "operator.refused"],
			[["dead-letters", "retry", ...why], "config.invalid-value"],
			[["dead-letters", "retry", "--id", "x", "--all", ...why], "config.invalid-value"],
		];
		for (const [args, code] of failing) {
			await expect(run([...args, ...node]), args.join(" ")).rejects.toMatchObject({ code });
		}
		const ends = (partitions: { end: number }[]) => partitions.reduce((sum, { end }) => sum + end, 0);
		// `resume` of one that is not paused is a record that says so; every other one was none.
		expect(ends(await runJson(["partitions", ...node]))).toBe(ends(before) + 1);
	});

	test("a wrong token, a node that is not there and a token that was not given end with a code of their own", async () => {
		const wrong = await mycelog(["status", "--node", stage.mycelog.url], { MYCELOG_OPERATOR_TOKEN: "wrong" });
		expect(wrong.exitCode).toBe(3);
		expect(wrong.stderr).toContain("code: operator.access-refused");
		expect(wrong.stderr).not.toContain("wrong\n");
		const away = ["status", "--node", "http://127.0.0.1:1", ...node.slice(2)];
		await expect(run(away)).rejects.toMatchObject({ code: "operator.node-unreachable" });
		await expect(run(["status", "--node", stage.mycelog.url])).rejects.toMatchObject({
			code: "config.invalid-value",
			message: expect.stringContaining("MYCELOG_OPERATOR_TOKEN"),
		});
		await expect(run(["status", "--node", "ftp://x", ...node.slice(2)])).rejects.toThrow("--node");
	});

	test("its data is written by it alone", async () => {
		const pause = ["pause", "basket/ann", "--why", "x", ...data];
		await expect(run(pause)).rejects.toMatchObject({ code: "log.in-use" });
		await expect(run(["dead-letters", "retry", "--all", "--why", "x", ...data])).rejects.toMatchObject({
			code: "log.in-use",
		});
	});
});

describe("of data whose node has stopped", () => {
	let letters: { id: string; address: string }[];

	beforeAll(async () => {
		shelf.closed.add("wool").add("silk").add("yarn");
		for (const item of ["wool", "silk"]) await stage.mycelog.ref("basket", "cid").tell({ type: "add", item });
		await stage.mycelog.ref("till", "t2").tell({ type: "add", item: "yarn" });
		await vi.waitFor(async () => {
			letters = await runJson(["dead-letters", "list", "--status", "open", ...node]);
			expect(letters.filter(({ address }) => /cid|t2/.test(address))).toHaveLength(3);
		});
		await stage.stop();
		shelf.closed.clear();
	});

	test("the same questions have the same answers", async () => {
		expect(await runJson(["dead-letters", "list", "--status", "open", ...data])).toEqual(letters);
		const { id } = letters[0] as { id: string };
		expect(await runJson(["dead-letters", "show", id, ...data])).toMatchObject({
			id,
			record: { kind: "command" },
		});
		const partitions = await runJson(["partitions", ...data]);
		expect(partitions).toHaveLength(8);
		expect(partitions.every(({ lag }: { lag: number }) => lag === 0)).toBe(true);
		expect((await run(["status", ...data])).stdout).toContain(
			`letters     ${letters.length} dead letters are open`,
		);
	});

	test("scenario 35: a letter is retried and one dropped, an actor paused and one helped: the next node takes it all, once", async () => {
		const why = ["--why", "the node is down"];
		const retry = ["dead-letters", "retry", "--address", "basket/cid", "--cause", "wool", ...why, ...data];
		expect(await runJson([...retry, "--dry-run"])).toMatchObject({ done: 1 });
		expect(await runJson(retry)).toMatchObject({ done: 1, left: 0 });
		expect(await runJson(retry)).toMatchObject({ done: 0, left: 0 });
		const drop = ["dead-letters", "drop", "--address", "basket/cid", "--yes", ...why, ...data];
		expect(await runJson(drop)).toMatchObject({ done: 1 });
		expect((await run(["pause", "basket/ann", ...why, ...data])).stdout).toMatch(
			/pause is in the log at offset \d+/,
		);
		expect(await runJson(["retry", "till/t2", ...why, ...data])).toMatchObject({
			offset: expect.any(Number),
		});
		await expect(run(["pause", "basket/nobody", ...why, ...data])).rejects.toMatchObject({
			code: "actor.not-found",
		});
		await expect(run(["pause", "workspace/x", ...why, ...data])).rejects.toMatchObject({
			code: "operator.refused",
		});
		await stage.startAgain();
		const ref = (id: string) => stage.mycelog.ref("basket", id);
		expect((await ref("cid").state()).context.items).toEqual(["wool"]);
		expect((await ref("ann").state()).paused).toMatchObject({ cause: "paused" });
		expect(await stage.mycelog.ref("till", "t2").state()).toMatchObject({ context: { items: ["yarn"] } });
		// The actor itself says that its letter is done with, whichever way the help came.
		await vi.waitFor(async () => {
			const { body } = await stage.get("dead-letters", { address: "till/t2" });
			expect(body.letters).toMatchObject([
				{ status: "retried", outcome: { why: "the node is down", by: expect.stringContaining("@") } },
			]);
		});
		const { body } = await stage.get("dead-letters", { address: "basket/cid" });
		expect(body.letters).toMatchObject([
			{ status: "retried", outcome: { why: "the node is down", by: expect.stringContaining("@") } },
			{ status: "dropped", outcome: { why: "the node is down" } },
		]);
	});
});
