/**
 * Three brokers, replication factor 3, two in-sync replicas at least: leaders die under load. Ten rounds a client are
 * test/chaos/leader-loss.chaos.ts.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { KafkaClient } from "../../persistence/kafka-client-names.ts";
import { LeaderLoss } from "../kit/leader-loss.ts";

/** Shorter than the controller's 3 s: requests time out, and appends are given up and made again. */
const REQUEST_DEADLINE_MS = 1_500;
const BROKER_SESSION_MS = 3_000;
const NOTHING = { lost: [], doubled: [], outOfOrder: [] };

/** The other one has its turn in the lane of `npm run test:chaos`. */
const CLIENTS: readonly KafkaClient[] = ["kafkajs"];

describe.each(CLIENTS)("leader loss on %s", (client) => {
	let stage: LeaderLoss;
	beforeAll(async () => {
		const times = { brokerSessionMs: BROKER_SESSION_MS, requestDeadlineMs: REQUEST_DEADLINE_MS };
		stage = await LeaderLoss.start({ client, ...times });
	});
	afterAll(() => stage?.stop());

	test("topics get a replica on each of three brokers without being told", () => stage.whole());

	test("scenario 44: the leader is killed under load and writes go on: none lost, doubled or out of order", async () => {
		const stoodStillMs = await stage.round();
		const findings = await stage.load.findings();
		expect(findings).toMatchObject(NOTHING);
		// So that requests did time out.
		expect(stoodStillMs).toBeGreaterThan(REQUEST_DEADLINE_MS);
	}, 120_000);

	test("scenario 44: with two of three brokers dead writes are refused, not pretended, and go on with two", async () => {
		const { load, log, brokers } = stage;
		const [first, second] = brokers.each.slice(0, 2);
		await Promise.all([first?.kill(), second?.kill()]);
		const record = { key: "", value: Buffer.from("refused/0"), headers: {}, timestamp: Date.now() };
		const appends = await Promise.allSettled(
			[0, 1, 2, 3, 4, 5].map((partition) => log.append({ topic: "actors", partition }, [record])),
		);
		for (const append of appends) {
			expect(append).toMatchObject({ status: "rejected", reason: { code: "log.append-failed" } });
		}
		await Promise.all([first?.restart(), second?.restart()]);
		load.start();
		await load.more(20);
		await load.stop();
		expect(await load.findings()).toMatchObject({ lost: [], outOfOrder: [] });
	}, 120_000);
});
