/**
 * Leader loss in full: three brokers, replication factor 3, two in-sync replicas at least, 24 concurrent writers; ten
 * times the leader is killed under load, over each client library. The controller has its default patience of 9 s, and
 * requests less.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { KAFKA_CLIENTS } from "../../persistence/kafka-client-names.ts";
import { LeaderLoss } from "../kit/leader-loss.ts";

const ROUNDS = 10;
const BROKER_SESSION_MS = 9_000;
/** A third of it is one request's time. */
const REQUEST_DEADLINE_MS = 6_000;

describe.each(KAFKA_CLIENTS)("leader loss on %s", (client) => {
	let stage: LeaderLoss;
	beforeAll(async () => {
		const times = { brokerSessionMs: BROKER_SESSION_MS, requestDeadlineMs: REQUEST_DEADLINE_MS };
		stage = await LeaderLoss.start({ client, ...times });
	});
	afterAll(() => stage?.stop());

	test.each(Array.from({ length: ROUNDS }, (_, i) => i + 1))(
		"the leader is killed under load, round %i: none lost, doubled or out of order",
		async (round) => {
			const stoodStillMs = await stage.round();
			const findings = await stage.load.findings();
			const { acknowledged, inLog } = findings;
			const stood = `writes stood still for ${Math.round(stoodStillMs)} ms`;
			console.info(`${client}, round ${round}: ${stood}; ${acknowledged} acknowledged, ${inLog} in the log`);
			expect(findings).toMatchObject({ lost: [], doubled: [], outOfOrder: [] });
		},
	);
});
