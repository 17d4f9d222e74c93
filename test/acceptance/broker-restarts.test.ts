/** A broker that is killed and started again under load; twenty times is test/chaos/broker-restarts.chaos.ts. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { KafkaClient } from "../../persistence/kafka-client-names.ts";
import { BrokerRestarts } from "../kit/broker-restarts.ts";

const ROUNDS = 2;
const ROUND_MS_MAX = 120_000;

/** The other one has its turn in the lane of `npm run test:chaos`. */
const CLIENTS: readonly KafkaClient[] = ["kafkajs"];

describe.each(CLIENTS)("over %s", (client) => {
	let stage: BrokerRestarts;
	beforeAll(async () => {
		stage = await BrokerRestarts.start(client);
	});
	afterAll(() => stage?.stop());

	test(
		`scenario 43: ${ROUNDS} broker restarts under load: none lost, none doubled, all subscriptions present`,
		async () => {
			for (let round = 0; round < ROUNDS; round++) await stage.round();
			expect(await stage.load.findings()).toMatchObject({ lost: [], doubled: [], outOfOrder: [] });
			expect(await stage.missedByOwner()).toEqual([]);
			for (const counts of stage.heard()) expect(counts).toEqual(Array(ROUNDS).fill(1));
		},
		ROUNDS * ROUND_MS_MAX,
	);
});
