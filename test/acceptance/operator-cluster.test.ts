/** Operators of a cluster on Kafka: any node answers for all, commands are records, also without a node. */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test, vi } from "vitest";
import { partitionName } from "../../persistence/log.ts";
import type { Checkpoint, StoredSnapshot } from "../../persistence/snapshots.ts";
import type { NodeQuestions } from "../../runtime/node-questions.ts";
import { refusal, run, runJson } from "../kit/command.ts";
import { type OperatorStage, operatorStage, shelf } from "../kit/operator-stage.ts";

const PARTITIONS = 8;

let one: OperatorStage;
let two: OperatorStage;
let data: readonly string[];
/** Ids of tills by the node that has their mailbox. */
let ofOne: string;
let ofTwo: string;

const nodeArguments = (stage: OperatorStage) => ["--node", stage.mycelog.url];
const owned = (stage: OperatorStage) => stage.mycelog.node.partitions.map(({ id }) => partitionName(id));

beforeAll(async () => {
	const kafkaUri = inject("kafkaBrokers").split(",");
	const prefix = `accept-${randomBytes(6).toString("hex")}`;
	const rootToken = randomBytes(48).toString("hex");
	vi.stubEnv("MYCELOG_OPERATOR_TOKEN", rootToken);
	one = await operatorStage({ kafkaUri, prefix, rootToken });
	two = await operatorStage({ kafkaUri, prefix, rootToken });
	data = ["--kafka-uri", kafkaUri.join(","), "--prefix", prefix, "--data-dir", `${one.dataDir}-none`];
	await vi.waitFor(
		() => {
			expect(owned(one).length).toBeGreaterThan(0);
			expect(owned(two).length).toBeGreaterThan(0);
			expect(owned(one).length + owned(two).length).toBe(PARTITIONS);
		},
		{ timeout: 60_000 },
	);
	const { node } = one.mycelog;
	const ids = Array.from({ length: 50 }, (_, i) => `t${i}`);
	const found = (stage: OperatorStage) =>
		ids.find((id) => owned(stage).includes(partitionName(node.mailbox(`till/${id}`)))) as string;
	ofOne = found(one);
	ofTwo = found(two);
	for (const id of [ofOne, ofTwo]) await one.mycelog.ref("till", id).tell({ type: "add", item: "apple" });
}, 120_000);
afterAll(async () => {
	vi.unstubAllEnvs();
	shelf.closed.clear();
	await Promise.all([one?.remove(), two?.remove()]);
});

test("scenario 60: either node tells of all partitions with their owners and lag", async () => {
	await vi.waitFor(
		async () => {
			for (const stage of [one, two]) {
				const partitions = await runJson(["partitions", ...nodeArguments(stage)]);
				const owners = new Set(partitions.map(({ owner }: { owner?: string }) => owner));
				expect(owners).toEqual(new Set([one, two].map(({ mycelog }) => mycelog.node.name.id)));
				expect(partitions.every(({ lag }: { lag?: number }) => lag === 0)).toBe(true);
			}
		},
		{ timeout: 30_000, interval: 1_000 },
	);
	expect((await run(["status", ...nodeArguments(two)])).stdout).toMatch(/one of 2/);
});

test("actors of one node are read and paused through the other, and resumed by a record without a node", async () => {
	for (const [stage, id] of [
		[one, ofTwo],
		[two, ofOne],
	] as const) {
		const address = `till/${id}`;
		const args = nodeArguments(stage);
		expect((await stage.get("actor", { address })).body).toMatchObject({ address, state: "open.filling" });
		expect(await runJson(["history", address, ...args])).toMatchObject([{ event: { item: "apple" } }]);
		expect(await runJson(["pause", address, "--why", "count", ...args])).toMatchObject({ paused: true });
		expect((await stage.get("actor", { address })).body.hold).toMatchObject({ cause: "paused" });
		expect(await runJson(["resume", address, "--why", "counted", ...data])).toMatchObject({
			offset: expect.any(Number),
		});
		const ref = one.mycelog.ref("till", id);
		await vi.waitFor(async () => expect((await ref.state()).paused).toBeUndefined(), { timeout: 20_000 });
	}
});

test("scenario 35: letters of any node are listed and dropped by the other; without a node they are retried", async () => {
	shelf.closed.add("glass");
	for (const id of [ofOne, ofTwo]) await one.mycelog.ref("basket", id).tell({ type: "add", item: "glass" });
	const list = ["dead-letters", "list", "--address", "basket/", "--status", "open"];
	await vi.waitFor(async () => expect(await runJson([...list, ...nodeArguments(two)])).toHaveLength(2), {
		timeout: 20_000,
	});
	shelf.closed.delete("glass");
	const why = ["--why", "glass is back"];
	const retry = ["dead-letters", "retry", "--address", `basket/${ofTwo}`, ...why];
	expect(await runJson([...retry, ...data])).toMatchObject({ done: 1, left: 0 });
	const drop = ["dead-letters", "drop", "--address", `basket/${ofOne}`, "--yes", ...why];
	expect(await runJson([...drop, ...nodeArguments(two)])).toMatchObject({ done: 1 });
	expect(await runJson([...list, ...nodeArguments(one)])).toEqual([]);
	expect(await runJson([...list, ...data])).toEqual([]);
	const ref = two.mycelog.ref("basket", ofTwo);
	await vi.waitFor(async () => expect((await ref.state()).context.items).toEqual(["glass"]), {
		timeout: 20_000,
	});
});

describe("stored snapshots of a whole cluster are compared with the log from any node", () => {
	const all = (stage: OperatorStage) => run(["verify", "--type", "till", "--json", ...nodeArguments(stage)]);

	test("scenario 36: each owner is asked for its own, and what is wrong with one is told by the other", async () => {
		const verified = async () => JSON.parse((await all(one)).stdout);
		// They count once a checkpoint has them, which waits for two seconds.
		await expect.poll(async () => (await verified()).checked, { timeout: 30_000 }).toBe(2);
		expect(await verified()).toMatchObject({ ok: true, wrong: 0, unanswered: [] });
		expect(JSON.parse((await all(two)).stdout)).toMatchObject({ ok: true, checked: 2, unanswered: [] });
		const address = `till/${ofTwo}`;
		expect(await run(["verify", address, ...nodeArguments(one)])).toMatchObject({ exitCode: 0 });

		const { snapshots } = two.mycelog.node.operator;
		const mailbox = two.mycelog.node.mailbox(address);
		const checkpoint = snapshots.checkpoint(mailbox) as Checkpoint;
		const stored = snapshots.load(address) as StoredSnapshot;
		snapshots.save(checkpoint, [{ ...stored, state: stored.state.replace("apple", "poison") }]);
		const told = await runJson(["verify", address, ...nodeArguments(one)]);
		expect(told).toMatchObject({ ok: false, reason: "differs", stored: "poison", folded: "apple" });
		const survey = await all(one);
		expect(survey.exitCode).toBe(1);
		expect(JSON.parse(survey.stdout)).toMatchObject({ ok: false, wrong: 1, actors: [told], unanswered: [] });
		snapshots.save(checkpoint, [stored]);
	});

	test("a node that does not answer is no reason to call its partitions right", async () => {
		const { questions } = one.mycelog.node;
		vi.spyOn(questions as NodeQuestions, "ask").mockRejectedValue(new Error("frozen"));
		onTestFinished(() => void vi.restoreAllMocks());
		const survey = await all(one);
		expect(survey.exitCode).toBe(1);
		const { ok, wrong, unanswered } = JSON.parse(survey.stdout);
		const ofOthers = owned(two).filter((name) => name.startsWith("actors/"));
		expect({ ok, wrong, unanswered }).toEqual({ ok: false, wrong: 0, unanswered: ofOthers.sort() });
		const text = (await run(["verify", "--type", "till", ...nodeArguments(one)])).stdout;
		expect(text).toContain(`not checked, no node answered for them: ${unanswered.join(", ")}`);
		expect(await refusal(["verify", `till/${ofTwo}`, ...nodeArguments(one)])).toMatchObject({
			code: "operator.refused",
			text: expect.stringContaining("no node that answers owns"),
		});
	});
});

test("histories are exported and imported through either node, wherever their mailboxes are, and all are counted", async () => {
	const file = (name: string) => join(one.dataDir, name);
	const exported = async (name: string, stage: OperatorStage) => {
		await run(["export", `till/${ofTwo}`, "--out", file(name), ...nodeArguments(stage)]);
		// The first line has the time, and the last one the checksum over it.
		return readFileSync(file(name), "utf8").trimEnd().split("\n").slice(1, -1);
	};
	const [byOne, byTwo] = [await exported("one.jsonl", one), await exported("two.jsonl", two)];
	expect(byOne).toEqual(byTwo);
	for (const [stage, id] of [
		[one, "copy-a"],
		[two, "copy-b"],
	] as const) {
		const into = ["--into", `till/${id}`, "--why", "reproduce", ...nodeArguments(stage)];
		const { actors } = await runJson(["import", "history", file("one.jsonl"), ...into]);
		expect(actors).toMatchObject([{ address: `till/${id}`, messages: byOne.length - 1, before: 0 }]);
	}
	const items = async (id: string) => (await two.mycelog.ref("till", id).state()).context.items;
	expect([await items("copy-a"), await items("copy-b")]).toEqual([await items(ofTwo), await items(ofTwo)]);
	const counts = async (stage: OperatorStage) => (await runJson(["status", ...nodeArguments(stage)])).counts;
	const all = (await runJson(["actors", ...nodeArguments(one)])).length;
	for (const stage of [one, two]) {
		await expect
			.poll(async () => (await counts(stage)).actors, { timeout: 40_000, interval: 1_000 })
			.toBe(all);
	}
	expect((await counts(one)).workspaces).toBe((await counts(two)).workspaces);
	const short = ["rebuild", `till/${ofTwo}`, "--from-snapshot", "--why", "in doubt", ...nodeArguments(one)];
	expect(await runJson(short)).toMatchObject({ ok: true, rebuilt: [{ address: `till/${ofTwo}` }] });
});
