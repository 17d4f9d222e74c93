/** Scenario 43 in full: twenty restarts of the broker under load, over each client library. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { KAFKA_CLIENTS } from "../../persistence/kafka-client-names.ts";
import { BrokerRestarts } from "../kit/broker-restarts.ts";

const ROUNDS = 20;

describe.each(KAFKA_CLIENTS)("over %s", (client) => {
	let stage: BrokerRestarts;
	beforeAll(async () => {
		stage = await BrokerRestarts.start(client);
	});
	afterAll(() => stage?.stop());

	test.each(Array.from({ length: ROUNDS }, (_, i) => i + 1))(
		"scenario 43: restart %i under load: none lost, none doubled, all subscriptions present",
		async (round) => {
			await stage.round();
			expect(await stage.load.findings()).toMatchObject({ lost: [], doubled: [], outOfOrder: [] });
			expect(await stage.missedByOwner()).toEqual([]);
			for (const counts of stage.heard()) expect(counts).toEqual(Array(round).fill(1));
		},
	);
});
