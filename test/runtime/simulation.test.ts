/**
 * The production runtime under a virtual clock, a seeded source of chance and injected faults. A failure is a seed:
 * `SEED=7 npx vitest run test/runtime/simulation.test.ts` runs just that one; `SEEDS=5000` runs more than the usual
 * number, `FIRST_SEED` says from which one on.
 */
import { expect, test } from "vitest";
import type { MemoryStorage } from "../../testing/memory-log.ts";
import { Simulation, type SimulationReport } from "../../testing/simulation.ts";
import { cellBehaviours } from "../kit/cell.ts";
import { checks } from "../kit/simulation-checks.ts";
import { SimulatedWork } from "../kit/simulation-work.ts";

const SEEDS_DEFAULT = 200;

const first = Number(process.env["SEED"] ?? process.env["FIRST_SEED"] ?? 1);
const count = process.env["SEED"] ? 1 : Number(process.env["SEEDS"] ?? SEEDS_DEFAULT);

function ofCells(seed: number): Simulation<SimulatedWork> {
	const work = (simulation: Simulation<SimulatedWork>) => new SimulatedWork(simulation);
	return new Simulation({ seed, behaviours: cellBehaviours, work, checks });
}

async function reportOf(seed: number): Promise<SimulationReport> {
	try {
		return await ofCells(seed).run();
	} catch (error) {
		throw new Error(`SEED=${seed} broke the simulation itself`, { cause: error });
	}
}

test(
	`seeds ${first} to ${first + count - 1}: accepted is done once, order holds, states equal the log, nothing is stuck`,
	async () => {
		const failures: string[] = [];
		const faults: Record<string, number> = {};
		let records = 0;
		for (let seed = first; seed < first + count; seed++) {
			const report = await reportOf(seed);
			records += report.records;
			for (const [fault, times] of Object.entries(report.faults))
				faults[fault] = (faults[fault] ?? 0) + times;
			if (report.problems.length > 0) {
				failures.push([`SEED=${seed}`, ...report.problems.slice(0, 5)].join("\n  "));
			}
		}
		console.log(`${count} seeds, ${records} records, faults: ${JSON.stringify(faults)}`);
		const shown = failures.slice(0, 10).join("\n");
		expect(failures.length, `${failures.length} of ${count} seeds failed:\n${shown}`).toBe(0);
	},
	Math.max(60_000, count * 10_000),
);

test("the same seed makes the same run, record for record", async () => {
	const runs = [ofCells(11), ofCells(11)];
	const reports = [];
	for (const run of runs) reports.push(await run.run());
	expect(reports[0]).toEqual(reports[1]);
	const [one, other] = runs.map(({ storage, partitionsOf }, i) =>
		partitionsOf.call(runs[i], "actors").map((id) => storage.all(id)),
	);
	expect(one).toEqual(other);
});

test.each<[string, (storage: MemoryStorage) => void, RegExp]>([
	[
		"loses records that it acknowledged",
		(storage) => {
			const { store } = storage;
			let appends = 0;
			storage.store = (id, records) => store.call(storage, id, ++appends % 20 === 0 ? [] : records);
		},
		/had 0 effects|never came|stuck/,
	],
	[
		"gives the same record two origins",
		(storage) => {
			const { store } = storage;
			let appends = 0;
			storage.store = (id, records) =>
				store.call(
					storage,
					id,
					++appends % 20 === 0 ? records.flatMap((record) => [record, withOtherOrigin(record)]) : records,
				);
		},
		/had 2 effects|heard|after/,
	],
])("the simulation finds a log that %s", async (_, spoil, problem) => {
	const simulation = ofCells(3);
	spoil(simulation.storage);
	const { problems } = await simulation.run();
	expect(problems.join("\n")).toMatch(problem);
});

function withOtherOrigin<R extends { readonly headers: Readonly<Record<string, string>> }>(record: R): R {
	return { ...record, headers: { ...record.headers, "~s": `${record.headers["~s"]}9` } };
}
