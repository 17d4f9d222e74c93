/**
 * The bank under simulation: what its callers do, and what must hold in the end. Owns the workload; the machines are
 * bank.ts.
 */
import type { SimulateOptions } from "../../testing/simulate.ts";
import { bankAccount, strictAccount } from "./bank.ts";

const ACCOUNTS = ["a", "b", "c", "d", "e"] as const;

const actors = [bankAccount, strictAccount] as const;

export const bank: SimulateOptions<typeof actors> = {
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
