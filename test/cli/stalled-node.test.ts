/** A node that is healthy but does not consume: one partition stands still with a record to fold. */
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { partitionName } from "../../persistence/log.ts";
import { systemClock } from "../../runtime/clock.ts";
import { run, runJson } from "../kit/command.ts";
import { type OperatorStage, operatorStage } from "../kit/operator-stage.ts";
import { standStill } from "../kit/standing-still.ts";

const STUCK = "basket/stuck";

let stage: OperatorStage;
let node: readonly string[];
/** `topic/partition` that stands still, and the offset it stands on. */
let partition: string;
let offset: number;
let letGo: () => void;

beforeAll(async () => {
	stage = await operatorStage();
	vi.stubEnv("MYCELOG_OPERATOR_TOKEN", stage.rootToken);
	node = ["--node", stage.mycelog.url];
	const ref = stage.mycelog.ref("basket", "stuck");
	await ref.tell({ type: "add", item: "apple" });
	await ref.state();
	const still = await standStill(stage, STUCK, () => ref.tell({ type: "add", item: "bread" }));
	({ partition, offset, letGo } = still);
});
afterAll(async () => {
	vi.restoreAllMocks();
	vi.unstubAllEnvs();
	await stage.remove();
});

const record = () => ({ offset, address: STUCK, kind: "command", type: "add", since: expect.any(Number) });

describe("scenario 60: of a partition that stands still", () => {
	test("the overview, the health check and a line of the log name the record, its actor and since when", async () => {
		const { body } = await stage.get("overview");
		expect(body.health).toMatchObject({
			ready: false,
			status: "healthy",
			reasons: [`partition ${partition} stands still on offset ${offset}`],
		});
		const [stalled] = body.partitions.filter(({ stalledOn }: { stalledOn?: unknown }) => stalledOn);
		expect(stalled).toMatchObject({ live: true, next: offset, lag: 1, stalledOn: record() });
		const health = await fetch(`${stage.mycelog.url}/health/readiness`);
		expect(health.status).toBe(503);
		const { detail } = (await health.json()) as { detail: unknown };
		expect(detail).toMatchObject({
			partitions_stalled: [partition],
			stalled_on: [{ partition, ...record() }],
		});
		await vi.waitFor(
			() =>
				expect(stage.logger.lines).toContainEqual({
					level: "warn",
					fields: { partition, ...record() },
					message: "a partition stands still on a record",
				}),
			{ timeout: 20_000 },
		);
	});

	test("status and partitions end with 1 and name it too", async () => {
		const status = await run(["status", ...node]);
		expect(status.exitCode).toBe(1);
		expect(status.stdout).toMatch(/^health +NOT READY$/m);
		expect(status.stdout).toContain(`${partition} on offset ${offset} (command add to ${STUCK})`);
		const partitions = await run(["partitions", ...node]);
		expect(partitions.exitCode).toBe(1);
		expect(partitions.stdout).toContain(`offset ${offset} (command add to ${STUCK})`);
	});

	test("every question is answered as before", async () => {
		expect(await runJson(["actors", "--search", "stuck", ...node])).toMatchObject([{ address: STUCK }]);
		const history = await runJson(["history", STUCK, ...node]);
		expect(history.map(({ event }: { event: unknown }) => event)).toMatchObject([
			{ item: "apple" },
			{ item: "bread" },
		]);
		expect(await runJson(["replay", STUCK, ...node])).toMatchObject({ records: 2, offset });
		expect((await stage.get("actor", { address: STUCK })).body.offset).toBeLessThan(offset);
		expect(await runJson(["dead-letters", "list", ...node])).toEqual([]);
		expect(await runJson(["actors", "--search", "stuck", "--data-dir", stage.dataDir])).toMatchObject([
			{ address: STUCK, problem: "unknown-type" },
		]);
	});

	test("a command to an actor of another partition is done, one to its own actors waits and says so", async () => {
		const other = ["a", "b", "c", "d", "e"].find(
			(id) => partitionName(stage.mycelog.node.mailbox(`till/${id}`)) !== partition,
		) as string;
		await stage.mycelog.ref("till", other).tell({ type: "add", item: "salt" });
		expect(await runJson(["pause", `till/${other}`, "--why", "x", ...node])).toMatchObject({ paused: true });
		const waiting = run(["pause", STUCK, "--why", "look at it", ...node]);
		await expect(waiting).rejects.toMatchObject({ code: "actor.ask-timeout" });
	});

	test("when it goes on the node is ready again, the log says so, and what waited is done", async () => {
		letGo();
		await vi.waitFor(async () => expect((await run(["status", ...node])).exitCode).toBe(0));
		await vi.waitFor(async () =>
			expect((await stage.get("actor", { address: STUCK })).body.hold).toBeDefined(),
		);
		await vi.waitFor(
			() =>
				expect(stage.logger.lines).toContainEqual({
					level: "info",
					fields: { partition, offset },
					message: "a partition that stood still goes on",
				}),
			{ timeout: 20_000 },
		);
	});
});

test("scenario 60: with a log that does not answer, status and partitions say what is known", async () => {
	const { log } = stage.mycelog.node;
	const away = () => new Promise<never>(() => {});
	vi.spyOn(log, "read").mockImplementation(away);
	vi.spyOn(log, "bounds").mockImplementation(away);
	// What was known a while ago is asked for anew.
	vi.spyOn(systemClock, "now").mockImplementation(() => Date.now() + 60_000);
	const partitions = await runJson(["partitions", ...node]);
	expect(partitions.every(({ owner }: { owner?: string }) => owner === stage.mycelog.node.name.id)).toBe(
		true,
	);
	const again = performance.now();
	expect((await run(["status", ...node])).stdout).toMatch(/^partitions +8 of 8 here/m);
	// The first question has waited for it; the next one does not.
	expect(performance.now() - again).toBeLessThan(2_500);
});
