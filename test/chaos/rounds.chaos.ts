/**
 * `npm run test:chaos`: the history check, round after round. `CHAOS_SEED=7` plays the schedule of one round again,
 * `CHAOS_ROUNDS=500` plays more than the usual number, `CHAOS_FIRST_SEED` says from which one on.
 */
import { afterAll, expect, test } from "vitest";
import { type LocalBroker, startLocalBroker } from "../kit/kafka-brokers.ts";
import { playRound } from "./round.ts";
import { mustBeSound } from "./verdict.ts";

const ROUNDS_DEFAULT = 100;
/** Every round leaves its topics behind, and a broker with many gets slow. */
const ROUNDS_A_BROKER = 10;

const { CHAOS_SEED, CHAOS_FIRST_SEED, CHAOS_ROUNDS } = process.env;
const first = Number(CHAOS_SEED ?? CHAOS_FIRST_SEED ?? 1);
const count = CHAOS_SEED ? 1 : Number(CHAOS_ROUNDS ?? ROUNDS_DEFAULT);

let broker: LocalBroker | undefined;
let rounds = 0;

async function nextBroker(): Promise<LocalBroker> {
	if (rounds++ % ROUNDS_A_BROKER === 0) {
		await broker?.stop();
		broker = await startLocalBroker();
	}
	return broker as LocalBroker;
}

afterAll(() => broker?.stop());

test.each(Array.from({ length: count }, (_, i) => first + i))(
	"round %i: nothing accepted is lost or doubled, order holds, states and replies are those of the log",
	async (seed) => {
		const report = await playRound(seed, { broker: await nextBroker(), strikeBroker: true });
		mustBeSound(report);
		expect(report.acknowledged).toBeGreaterThan(0);
	},
);
