/**
 * Acceptance 7: an operator reads, replays and verifies actors of a live node and of a stopped data directory,
 * and a damaged snapshot is found and rebuilt.
 */
import { join } from "node:path";
import Database from "better-sqlite3";
import { beforeAll, expect, test, vi } from "vitest";
import { askOperator, type HistoryLine, mycelog, type ReplayLine, type VerifyLine } from "../kit/mycelog.ts";
import type { NodeProcess } from "../kit/node-process.ts";
import { makeWorkspace, onEachLog, type TestWorkspace } from "../kit/on-each-log.ts";
import { RawClient } from "../kit/raw-client.ts";

const STEPS = ["one", "two", "three", "four"];

interface Answers {
	readonly workspace: readonly HistoryLine[];
	readonly visitor: readonly HistoryLine[];
	readonly states: readonly ReplayLine[];
	/** Of the workspace after its second step, and of the client when it was first admitted. */
	readonly earlier: readonly ReplayLine[];
	readonly verdicts: readonly VerifyLine[];
}

onEachLog("an operator", (node) => {
	let team: TestWorkspace;
	let workspace: string;
	let visitor: string;
	let live: Answers;

	beforeAll(async () => {
		team = await makeWorkspace(node(), "operated");
		workspace = `workspace/${team.id}`;
		visitor = `client/${team.id}/visitor`;
		const credentials = { clientId: "visitor", workspace: team.id, token: team.token };
		const client = await RawClient.connect(node().url, credentials);
		for (const step of STEPS) await client.manage("set_env", "STEP", step);
		await client.leave();
		// Both actors have seen the visitor leave when it may come again and its name is free.
		const again = await RawClient.connect(node().url, credentials);
		await again.manage("set_env", "STEP", "five");
		await again.leave();
		await untilState(node(), visitor, "closed");
		live = await answers(node());
	});

	/** Everything an operator can ask about the two actors. */
	async function answers(of: NodeProcess): Promise<Answers> {
		const history = await askOperator<HistoryLine[]>(of, "history", workspace);
		const second = stepsIn(history)[1] as HistoryLine;
		const visits = await askOperator<HistoryLine[]>(of, "history", visitor);
		const admitted = visits.find(({ type }) => type === "client.admitted") as HistoryLine;
		return {
			workspace: history,
			visitor: visits,
			states: [
				await askOperator<ReplayLine>(of, "replay", workspace),
				await askOperator<ReplayLine>(of, "replay", visitor),
			],
			earlier: [
				await askOperator<ReplayLine>(of, "replay", workspace, "--to", String(second.offset)),
				await askOperator<ReplayLine>(of, "replay", visitor, "--to", String(admitted.offset)),
			],
			verdicts: [
				await askOperator<VerifyLine>(of, "verify", workspace),
				await askOperator<VerifyLine>(of, "verify", visitor),
			],
		};
	}

	test("sees every command of a live workspace in order, with what it said", () => {
		expect(live.workspace[0]).toMatchObject({ kind: "command", type: "workspace.create" });
		const offsets = live.workspace.map(({ offset }) => offset);
		expect(offsets).toEqual([...offsets].sort((a, b) => a - b));
		expect(stepsIn(live.workspace).map(({ event }) => event["value"])).toEqual([...STEPS, "five"]);
		expect(live.workspace.every(({ outcome }) => outcome === "folded")).toBe(true);
	});

	test("sees a live client come, be admitted and leave, twice", () => {
		const turns = live.visitor.filter(({ type }) => ["client.connect", "client.left"].includes(type));
		expect(turns.map(({ type }) => type)).toEqual([
			"client.connect",
			"client.left",
			"client.connect",
			"client.left",
		]);
		expect(live.visitor.map(({ state }) => state)).toContain("online");
		expect(live.visitor.at(-1)?.state).toBe("closed");
	});

	test("replays a live actor to its newest state and to any earlier one", () => {
		expect(stepOf(live.states[0] as ReplayLine)).toBe("five");
		expect(stepOf(live.earlier[0] as ReplayLine)).toBe("two");
		expect(live.earlier[1]).toMatchObject({ address: visitor, state: "online" });
		expect(live.states[1]).toMatchObject({ address: visitor, state: "closed" });
	});

	test("is told that the live actors equal a fold of the log", () => {
		expect(live.verdicts).toMatchObject([
			{ address: workspace, ok: true },
			{ address: visitor, ok: true },
		]);
	});

	test("gets the same answers from the stopped data directory", async () => {
		await node().terminate();
		const stopped = await answers(node());
		expect(stopped.workspace).toEqual(live.workspace);
		expect(stopped.visitor).toEqual(live.visitor);
		expect(stopped.states).toEqual(live.states);
		expect(stopped.earlier).toEqual(live.earlier);
		expect(stopped.verdicts).toMatchObject([
			{ address: workspace, ok: true, snapshot: "equal" },
			{ address: visitor, ok: true, snapshot: "equal" },
		]);
	});

	test("is told of a damaged snapshot row and rebuilds it", async () => {
		damageSnapshot(node(), workspace);
		const found = await mycelog(["verify", workspace, "--json", ...node().place]);
		expect(found.exitCode).not.toBe(0);
		expect(JSON.parse(found.stdout)).toMatchObject({ address: workspace, ok: false, reason: "corrupt" });
		const rebuilt = await mycelog(["verify", workspace, "--rebuild", "--json", ...node().place]);
		expect(rebuilt.exitCode).toBe(0);
		expect(await askOperator<VerifyLine>(node(), "verify", workspace)).toMatchObject({
			ok: true,
			snapshot: "equal",
		});
	});

	test("need not do anything: a starting node reports a damaged row, folds the log and serves", async () => {
		damageSnapshot(node(), workspace);
		await node().restart();
		const client = await RawClient.connect(node().url, {
			clientId: "after-damage",
			workspace: team.id,
			token: team.token,
		});
		expect(await client.manage("get_env", "STEP")).toBe("five");
		await client.leave();
		expect(node().output()).toMatch(/corrupt|checksum/i);
		await node().terminate();
		expect(await askOperator<VerifyLine>(node(), "verify", workspace)).toMatchObject({
			ok: true,
			snapshot: "equal",
		});
	});

	test("is told which actor, and which type of actor, does not exist", async () => {
		for (const address of [`workspace/${team.id}-not`, "garden/gnome"]) {
			const { exitCode, stderr } = await mycelog(["history", address, ...node().place]);
			expect(exitCode).not.toBe(0);
			expect(stderr).toContain(address.startsWith("garden") ? "garden" : address);
		}
	});
});

function stepsIn(history: readonly HistoryLine[]): HistoryLine[] {
	return history.filter(({ type, event }) => type === "env.set" && event["key"] === "STEP");
}

function stepOf({ value }: ReplayLine): unknown {
	// The record lies where the machine keeps it; the setting has one name anywhere.
	return /"STEP":"(\w+)"/.exec(JSON.stringify(value))?.[1];
}

/** A bad sector in the middle of one row. */
function damageSnapshot(node: NodeProcess, address: string): void {
	const database = new Database(join(node.dataDir, "snapshots.db"));
	const state = database
		.prepare("SELECT state FROM snapshots WHERE address = ?")
		.pluck()
		.get(address) as string;
	const middle = Math.floor(state.length / 2);
	const flipped = String.fromCharCode(state.charCodeAt(middle) ^ 1);
	const damaged = state.slice(0, middle) + flipped + state.slice(middle + 1);
	const { changes } = database
		.prepare("UPDATE snapshots SET state = ? WHERE address = ?")
		.run(damaged, address);
	database.close();
	expect(changes).toBe(1);
}

/** A leave is a message like any other: it takes effect when its turn comes. */
async function untilState(node: NodeProcess, address: string, wanted: string): Promise<void> {
	await vi.waitFor(
		async () => expect((await askOperator<ReplayLine>(node, "replay", address)).state).toBe(wanted),
		{ timeout: 20_000 },
	);
}
