/** The bank transfer example: it runs by one command, and no fault makes or loses money. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { account, transfer } from "../../examples/bank-transfer.ts";
import { simulate } from "../../testing/simulate.ts";

const ACCOUNTS = ["a", "b", "c"] as const;
const DEPOSIT = 20;
const SEEDS = 5;

test("node examples/bank-transfer.ts shows transfers that succeed, repeat and fail", () => {
	const file = fileURLToPath(new URL("../../examples/bank-transfer.ts", import.meta.url));
	const { stdout, stderr, status } = spawnSync(process.execPath, [file], {
		encoding: "utf8",
		timeout: 60_000,
	});
	expect(status, stderr).toBe(0);
	expect(stdout.trim().split("\n")).toEqual([
		"at first: ann has 100, ben has 0",
		"a transfer of 30: done",
		"the same once more: done",
		"it counted once: ann has 70, ben has 30",
		"a transfer of 500: not enough money",
		"a transfer to a frozen account: the account is frozen",
		"the money came back: ann has 70, ben has 30",
	]);
});

test(`seeds 1 to ${SEEDS}: every transfer ends, and the accounts hold what was paid in`, async () => {
	let deposits = 0;
	let transfers: string[] = [];
	for (let seed = 1; seed <= SEEDS; seed++) {
		deposits = 0;
		transfers = [];
		await simulate({
			actors: [account, transfer],
			seed,
			workload({ random, ask, tell }) {
				const [from, to] = [random.pick(ACCOUNTS), random.pick(ACCOUNTS)];
				const what = random.between(0, 9);
				if (what < 2) {
					deposits++;
					tell("account", from, { type: "deposit", amount: DEPOSIT });
				} else if (what < 3) tell("account", from, { type: random.chance(0.5) ? "freeze" : "thaw" });
				else {
					const id = `t${transfers.length}`;
					transfers.push(id);
					ask("transfer", id, { type: "start", from, to, amount: random.between(1, 30) });
				}
			},
			*check({ state }) {
				const ends = transfers.map((id) => state("transfer", id).value);
				for (const [i, end] of ends.entries()) {
					if (end !== "done" && end !== "failed") yield `${transfers[i]} is still ${end}`;
				}
				const sum = ACCOUNTS.reduce((total, id) => total + state("account", id).context.balance, 0);
				// A deposit whose fate its caller never heard of may be missing.
				if (sum % DEPOSIT !== 0 || sum > deposits * DEPOSIT)
					yield `${sum} in the accounts of ${deposits} deposits`;
			},
		});
	}
	expect(transfers.length).toBeGreaterThan(0);
}, 120_000);
