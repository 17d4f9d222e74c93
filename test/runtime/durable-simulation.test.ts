/**
 * Actors made with `defineActor` on simulated clusters: `SEED=7` runs just that seed, `SEEDS=500` more than the usual
 * number.
 */
import { expect, test } from "vitest";
import { type SimulateOptions, simulate, simulationOf } from "../../testing/simulate.ts";
import { bankAccount, strictAccount } from "../kit/bank.ts";

const SEEDS_DEFAULT = 40;
const ACCOUNTS = ["a", "b", "c", "d", "e"] as const;

const seed = Number(process.env["SEED"] ?? 1);
const seeds = process.env["SEED"] ? 1 : Number(process.env["SEEDS"] ?? SEEDS_DEFAULT);

const actors = [bankAccount, strictAccount] as const;

const bank: SimulateOptions<typeof actors> = {
	actors,
	workload({ random, tell, ask, intervene }) {
		const id = random.pick(ACCOUNTS);
		const to = random.pick(ACCOUNTS);
		const what = random.between(0, 99);
		const type = random.chance(0.2) ? "strict" : "account";
		if (what < 10) intervene("strict", id, random.pick(["skip", "skip", "retry", "pause", "resume"]));
		else if (what < 40) ask("account", id, { type: "send", to, amount: random.between(1, 9) });
		else if (what < 60) tell(type, id, { type: "send", to, amount: random.between(1, 9) });
		else if (what < 75) tell(type, id, { type: "seal" });
		else if (what < 85) tell(type, id, { type: "wait" });
		else if (what < 96) tell(type, id, { type: "remind", everyMs: random.between(2_000, 900_000) });
		else tell(type, id, { type: "fail" });
	},
	*check({ state }) {
		let money = 0;
		for (const type of ["account", "strict"] as const) {
			for (const id of ACCOUNTS) {
				const { context, value, paused } = state(type, id);
				money += context.balance;
				if (new Set(context.seals).size < context.seals.length)
					yield `${type}/${id} has a seal twice: ${context.seals}`;
				if (paused) continue;
				if ((value as { sealing: string }).sealing !== "open")
					yield `${type}/${id} waits for a seal for ever`;
				if ((value as { patience: string }).patience !== "calm")
					yield `${type}/${id} waits for its delay for ever`;
			}
		}
		if (money !== 0) yield `${money} were made out of nothing`;
	},
};

test(
	`seeds ${seed} to ${seed + seeds - 1}: work, children, schedules and pauses survive crashes, moves and lost appends`,
	async () => {
		const reports = await simulate({ ...bank, seed, seeds });
		const faults = reports.reduce(
			(sum, report) => sum + Object.values(report.faults).reduce((a, b) => a + b, 0),
			0,
		);
		console.log(
			`${seeds} seeds, ${reports.reduce((sum, { records }) => sum + records, 0)} records, ${faults} faults`,
		);
		expect(reports).toHaveLength(seeds);
	},
	Math.max(60_000, seeds * 1_000),
);

test("without faults nothing goes wrong, and what was asked for is answered", async () => {
	const [report] = await simulate({ ...bank, seed: 5, faults: false });
	expect(report).toMatchObject({ faults: {}, problems: [] });
});

test("the same seed makes the same run", async () => {
	const [one] = await simulate({ ...bank, seed: 9 });
	expect(await simulate({ ...bank, seed: 9 })).toEqual([one]);
});

test("a log that loses what it acknowledged is found, and named by its seed", async () => {
	const simulation = simulationOf(bank, 3);
	const { storage } = simulation;
	const { store } = storage;
	let appends = 0;
	storage.store = (id, records) => store.call(storage, id, ++appends % 10 === 0 ? [] : records);
	expect((await simulation.run()).problems.join("\n")).toMatch(/counted 0 times|never came|stuck/);
	const wrong = simulate({ ...bank, seed: 4, check: () => ["the moon is no cheese"] });
	await expect(wrong).rejects.toThrow("seed 4 fails:\n  the moon is no cheese");
});
