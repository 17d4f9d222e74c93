/** Every operator's command on a cluster in trouble: one partition stands still, then the broker is frozen. */
import { randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { partitionName } from "../../persistence/log.ts";
import { type Refused, refusal, run, runJson } from "../kit/command.ts";
import { type LocalBroker, startLocalBroker } from "../kit/kafka-brokers.ts";
import { type OperatorStage, operatorStage, shelf } from "../kit/operator-stage.ts";
import { standStill } from "../kit/standing-still.ts";

const PARTITIONS = 8;
/** Milliseconds for what a busy machine may add. */
const LATE_MS = 5_000;
/** For one answer of an actor, and for one page of the log, milliseconds. */
const ANSWER_MS = 5_000;
/** For a broker to answer a command without a node, milliseconds. */
const OPEN_MS = 10_000;
/** For a broker to be judged unavailable, and for all to go on when it thaws, milliseconds. */
const JUDGED_MS_MAX = 40_000;
const RECOVERY_MS_MAX = 80_000;
const INTERVENTIONS = ["pause", "resume", "skip", "retry"] as const;
const ACTORS = new URL("../kit/operator-stage.ts", import.meta.url).pathname;

let broker: LocalBroker;
let one: OperatorStage;
let two: OperatorStage;
let files: string;
/** Where the log is, and no node. */
let data: readonly string[];
/** Of the second node; its partition is the one that stands still. */
let stuck: string;
/** Of the second node too, in a partition that goes on. */
let free: string;
let letters: readonly string[];
/** Of `stuck`. */
let fork: string;
let exported: string;

const at = (stage: OperatorStage) => ["--node", stage.mycelog.url];
const owned = (stage: OperatorStage) => stage.mycelog.node.partitions.map(({ id }) => partitionName(id));
const mailbox = (address: string) => partitionName(one.mycelog.node.mailbox(address));
const why = ["--why", "to see what happens"];
const withActors = ["--actors", ACTORS];

function tell(address: string, item: string): Promise<number> {
	const [type, id] = address.split("/") as ["basket" | "till", string];
	return one.mycelog.ref(type, id).tell({ type: "add", item });
}

beforeAll(async () => {
	broker = await startLocalBroker();
	files = mkdtempSync(join(tmpdir(), "mycelog-trouble-"));
	const rootToken = randomBytes(48).toString("hex");
	const cluster = { kafkaUri: [broker.brokers], prefix: "trouble", rootToken };
	vi.stubEnv("MYCELOG_OPERATOR_TOKEN", rootToken);
	one = await operatorStage(cluster);
	two = await operatorStage(cluster);
	data = ["--kafka-uri", broker.brokers, "--prefix", cluster.prefix, "--data-dir", files];
	await vi.waitFor(
		() => {
			expect(owned(two).length).toBeGreaterThan(0);
			expect(owned(one).length + owned(two).length).toBe(PARTITIONS);
		},
		{ timeout: 60_000 },
	);
	const tills = Array.from({ length: 100 }, (_, i) => `till/t${i}`);
	const ofTwo = tills.filter((address) => owned(two).includes(mailbox(address)));
	stuck = ofTwo[0] as string;
	free = ofTwo.find((address) => mailbox(address) !== mailbox(stuck)) as string;
	shelf.closed.add("glass");
	for (const address of [stuck, free]) await tell(address, "apple");
	for (const id of ["a", "b"]) await tell(`basket/${id}`, "glass");
	const list = ["dead-letters", "list", ...at(two)];
	await vi.waitFor(async () => expect(await runJson(list)).toHaveLength(2), { timeout: 20_000 });
	letters = (await runJson(list)).map(({ id }: { id: string }) => id);
	exported = join(files, "free.jsonl");
	await run(["export", free, "--out", exported, ...withActors, ...data]);
}, 240_000);
afterAll(async () => {
	vi.restoreAllMocks();
	vi.unstubAllEnvs();
	shelf.closed.clear();
	broker?.signal("SIGCONT");
	await Promise.all([one?.remove(), two?.remove()]);
	await broker?.stop();
	if (files) rmSync(files, { recursive: true, force: true });
});

const newFile = () => join(files, `${randomBytes(4).toString("hex")}.out`);

/** Everything that only looks, of a node or of the data. */
function questions(address: string): string[][] {
	return [
		["actors", "--search", address],
		["history", address],
		["history", address, "--newest-first"],
		["replay", address],
		["audit"],
		["dead-letters", "list"],
		["dead-letters", "show", letters[0] as string],
		["dead-letters", "retry", "--all", "--dry-run", ...why],
		["fork", address, "--out", newFile()],
		["dry-run", fork],
	];
}

/** What is asked of the data alone. */
function questionsOfData(address: string): string[][] {
	return [
		["export", address, "--out", newFile()],
		["import", "history", exported, "--into", `${free}-copy`, "--dry-run", ...why],
	];
}

/** Everything that changes something, of a node or of the data. */
function changes(address: string): string[][] {
	const id = ["--id", letters[0] as string];
	return [
		...INTERVENTIONS.map((what) => [what, address, ...why]),
		["rebuild", address, ...why],
		["promote", fork, "--yes", ...why],
		["dead-letters", "retry", ...id, ...why],
		["dead-letters", "drop", ...id, "--yes", ...why],
	];
}

/** Commands of the data that fold are told of the test's own actors. */
function ofData(command: readonly string[]): string[] {
	const knows = !["dead-letters", ...INTERVENTIONS].includes(command[0] as string);
	return [...command, ...(knows ? withActors : []), ...data];
}

describe("scenario 60: of a cluster in which one partition stands still", () => {
	/** What it stands on. */
	let offset: number;
	let letGo: () => void;

	beforeAll(async () => {
		({ offset, letGo } = await standStill(two, stuck, () => tell(stuck, "bread")));
		fork = join(files, "fork.json");
		await run(["fork", stuck, "--drop", String(offset), "--out", fork, ...at(one)]);
	});

	test("either node names the record and its actor, and the owner is not ready", async () => {
		const stands = `offset ${offset} (command add to ${stuck})`;
		const status = await run(["status", ...at(two)]);
		expect(status.exitCode).toBe(1);
		expect(status.stdout).toContain(`${mailbox(stuck)} on ${stands}`);
		expect((await run(["status", ...at(one)])).exitCode).toBe(0);
		await vi.waitFor(
			async () => {
				for (const stage of [one, two]) {
					const partitions = await run(["partitions", ...at(stage)]);
					expect(partitions.exitCode).toBe(1);
					expect(partitions.stdout).toContain(stands);
				}
			},
			{ timeout: 30_000, interval: 1_000 },
		);
		expect((await run(["partitions", ...data])).exitCode).toBe(0);
	});

	test("every question is answered by both nodes and from the data, with what the log says", async () => {
		for (const place of [at(one), at(two)]) {
			for (const question of questions(stuck)) {
				expect((await run([...question, ...place])).exitCode, question.join(" ")).toBe(0);
			}
			expect((await run(["export", stuck, "--out", newFile(), ...place])).exitCode).toBe(0);
			expect(await runJson(["replay", stuck, ...place])).toMatchObject({ records: 2, offset });
			expect(await run(["verify", stuck, ...place])).toMatchObject({ exitCode: 0 });
			expect(await run(["verify", "--all", ...place])).toMatchObject({ exitCode: 0 });
		}
		for (const question of [...questions(stuck), ...questionsOfData(stuck)]) {
			expect((await run(ofData(question))).exitCode, question.join(" ")).toBe(0);
		}
		expect((await run(["check", "--machine", ACTORS, "--against", ACTORS, ...data])).exitCode).toBe(0);
	});

	test("what is not behind that record is changed as ever", async () => {
		expect(await runJson(["pause", free, ...why, ...at(one)])).toMatchObject({ paused: true });
		expect(await runJson(["resume", free, ...why, ...at(two)])).toMatchObject({ paused: false });
		expect(await runJson(["rebuild", free, ...why, ...at(one)])).toMatchObject({ ok: true });
		const drop = ["dead-letters", "drop", "--id", letters[1] as string, "--yes", ...why, ...at(two)];
		expect(await runJson(drop)).toMatchObject({ done: 1 });
	});

	test("what is behind that record is in the log, says in time that nobody answered, and is done when it goes on", async () => {
		const before = (await two.get("actor", { address: stuck })).body;
		expect(before.offset).toBeLessThan(offset);
		expect(await runJson(["promote", fork, "--yes", ...why, ...at(one)])).toMatchObject({ kept: 1 });
		const waiting = ["rebuild", stuck, "--wait-ms", "1000", ...why];
		expect(await refusal(ofData(waiting))).toMatchObject({ code: "recovery.not-answered" });
		const pauses = [at(one), at(two)].map((place) => refusal(["pause", stuck, ...why, ...place]));
		for (const refused of await Promise.all(pauses)) {
			expect(refused.code).toBe("actor.ask-timeout");
			expect(refused.afterMs).toBeLessThan(ANSWER_MS + LATE_MS);
		}
		expect(await runJson(["resume", stuck, ...why, ...data])).toMatchObject({ offset: expect.any(Number) });
		expect((await two.get("actor", { address: stuck })).body).toEqual(before);

		letGo();
		await vi.waitFor(async () => expect((await run(["status", ...at(two)])).exitCode).toBe(0), {
			timeout: 20_000,
		});
		const done = async () => {
			const told: readonly { what: string; outcome: string }[] = await runJson(["audit", stuck, ...at(one)]);
			return told.map(({ what, outcome }) => `${what} ${outcome}`).sort();
		};
		const all = ["pause done", "pause done", "rebuild done", "restore done", "resume done"];
		await expect.poll(done, { timeout: 20_000, interval: 500 }).toEqual(all);
		expect((await one.mycelog.ref("till", stuck.slice(5)).state()).context.items).toEqual(["apple"]);
	});
});

describe("scenario 60: of a cluster whose broker is frozen", () => {
	const told = async () => {
		const all: unknown[] = [];
		for (const address of [stuck, free]) all.push(await runJson(["history", address, "--all", ...at(one)]));
		all.push(await runJson(["audit", ...at(one)]), await runJson(["dead-letters", "list", ...at(one)]));
		return all;
	};
	let before: unknown[];
	let filesBefore: string[];
	/** Their time runs beside that of the nodes. */
	let ofLog: readonly string[][];
	let withoutNode: Promise<readonly Refused[]>;

	beforeAll(async () => {
		before = await told();
		filesBefore = readdirSync(files).filter(isOfCommands);
		await broker.freeze();
		const commands = [...questions(free), ...questionsOfData(free), ...changes(free)].map(ofData);
		ofLog = [["partitions", ...data], ["status", ...data], ...commands];
		withoutNode = Promise.all(ofLog.map(refusal));
	});

	test("before that is noticed, questions and changes are refused when the first page of the log is late", async () => {
		const asked = [["history", stuck], ...changes(free)];
		const refused = await Promise.all(asked.map((command) => refusal([...command, ...at(two)])));
		for (const [i, { code, text, afterMs }] of refused.entries()) {
			expect(code, `${asked[i]?.join(" ")}: ${text}`).toMatch(/^log\.un(reachable|available)$/);
			expect(afterMs).toBeLessThan(ANSWER_MS + LATE_MS);
		}
	});

	test("once it is, a node says how it is, and refuses everything else at once", async () => {
		for (const stage of [one, two]) {
			const { log } = stage.mycelog.node;
			await expect.poll(() => log.health().status, { timeout: JUDGED_MS_MAX }).toBe("unavailable");
			const status = await run(["status", ...at(stage)]);
			expect(status.exitCode).toBe(1);
			expect(status.stdout).toContain("the log is unavailable");
			expect((await runJson(["partitions", ...at(stage)])).length).toBe(PARTITIONS);
			const more = [
				["verify", "--all"],
				["verify", stuck],
				["history", stuck, "--follow"],
			];
			for (const commands of [[...questions(stuck), ...more], questionsOfData(stuck), changes(stuck)]) {
				const refused = await Promise.all(commands.map((command) => refusal([...command, ...at(stage)])));
				for (const [i, { code, text, afterMs }] of refused.entries()) {
					expect(code, commands[i]?.join(" ")).toBe("log.unavailable");
					expect(text).toContain(broker.brokers);
					expect(afterMs).toBeLessThan(LATE_MS);
				}
			}
		}
	});

	test("without a node every command ends when no broker answers at the start, and says where it looked", async () => {
		const refused = await withoutNode;
		for (const [i, { code, text, afterMs }] of refused.entries()) {
			expect(code, ofLog[i]?.join(" ")).toBe("log.unreachable");
			expect(text).toContain(broker.brokers);
			expect(afterMs).toBeLessThan(OPEN_MS + LATE_MS);
		}
	});

	test("when it thaws all goes on, and nothing of what was refused has happened", async () => {
		broker.signal("SIGCONT");
		for (const stage of [one, two]) {
			const ready = async () => (await fetch(`${stage.mycelog.url}/health/readiness`)).status;
			await expect.poll(ready, { timeout: RECOVERY_MS_MAX, interval: 200 }).toBe(200);
		}
		expect(await told()).toEqual(before);
		expect(readdirSync(files).filter(isOfCommands)).toEqual(filesBefore);
		expect(await runJson(["pause", free, ...why, ...at(two)])).toMatchObject({ paused: true });
	});
});

/** Beside the index of histories. */
const isOfCommands = (name: string) => /\.(out|json|jsonl)$/.test(name);
