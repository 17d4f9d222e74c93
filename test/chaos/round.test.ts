/**
 * A short round of the history check, with nodes and broker in processes of their own; the many are in
 * rounds.chaos.ts.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type LocalBroker, startLocalBroker } from "../kit/kafka-brokers.ts";
import { playRound } from "./round.ts";
import { mustBeSound } from "./verdict.ts";

const FAULTS_MS = 4_000;

let broker: LocalBroker;
beforeAll(async () => {
	broker = await startLocalBroker();
});
afterAll(() => broker?.stop());

test.each([["nodes and broker struck", 270, true]])(
	"history check, %s, seed %i: nothing accepted is lost or doubled, order holds, states and replies are those of the log",
	async (_, seed, strikeBroker) => {
		const report = await playRound(seed, { broker, strikeBroker, faultsMs: FAULTS_MS });
		mustBeSound(report);
		expect(report.acknowledged).toBeGreaterThan(100);
		expect(Object.keys(report.faults).length).toBeGreaterThan(0);
	},
	180_000,
);
