/**
 * `npm run bench`: all benchmarks in one run on one machine, against a real broker. Owns the command line, the broker
 * and the temporary files.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { JVM_FLAGS_BENCHMARKS, type KafkaBroker, startKafkaBroker } from "../test/kit/kafka-broker.ts";
import { append } from "./append.ts";
import { type Benchmark, measure, type Surroundings } from "./benchmark.ts";
import { calls } from "./calls.ts";
import { cluster } from "./cluster.ts";
import { connections } from "./connections.ts";
import { consolePage } from "./console.ts";
import { failover } from "./failover.ts";
import { fold } from "./fold.ts";
import { history } from "./history.ts";
import { kafkaClients } from "./kafka-clients.ts";
import { kafkaRaw } from "./kafka-raw.ts";
import { machineLine } from "./machine.ts";
import { manager } from "./manager.ts";
import { reportOf, tableOf } from "./report.ts";
import { restore } from "./restore.ts";
import { sleepers } from "./sleepers.ts";
import { start } from "./start.ts";
import { tells } from "./tells.ts";

const BENCHMARKS: readonly Benchmark[] = [
	calls,
	kafkaRaw,
	kafkaClients,
	append,
	fold,
	history,
	consolePage,
	start,
	connections,
	cluster,
	failover,
	manager,
	tells,
	sleepers,
	restore,
];
const ROUNDS_DEFAULT = 3;
const ROUNDS_MAX = 100;
/** Of one load. */
const SECONDS = 4;
const SECONDS_QUICK = 1;
const RESULTS = new URL("RESULTS.md", import.meta.url);

const HELP = `Usage: npm run bench -- [--only NAME,…] [--rounds N] [--quick] [--write]

  --only NAME,…  some of: ${BENCHMARKS.map(({ name }) => name).join(", ")}
  --rounds N     how often each variant is measured (default ${ROUNDS_DEFAULT}, with --quick 1)
  --quick        short and small: shows that everything works, not how fast it is
  --write        write what is measured into bench/RESULTS.md
`;

interface Choice {
	readonly benchmarks: readonly Benchmark[];
	readonly rounds: number;
	readonly quick: boolean;
	readonly write: boolean;
}

/** Undefined: help was asked for. Throws an Error that names what is wrong. */
function choiceOf(args: string[]): Choice | undefined {
	const { values } = parseArgs({
		args,
		options: {
			only: { type: "string" },
			rounds: { type: "string" },
			quick: { type: "boolean", default: false },
			write: { type: "boolean", default: false },
			help: { type: "boolean", default: false },
		},
	});
	const { only, quick, write, help } = values;
	if (help) return undefined;
	const names = only?.split(",") ?? BENCHMARKS.map(({ name }) => name);
	const benchmarks = names.map((name) => {
		const found = BENCHMARKS.find((benchmark) => benchmark.name === name);
		if (!found) throw new Error(`--only: there is no benchmark "${name}"`);
		return found;
	});
	const rounds = Number(values.rounds ?? (quick ? 1 : ROUNDS_DEFAULT));
	if (!Number.isInteger(rounds) || rounds < 1 || rounds > ROUNDS_MAX) {
		throw new Error(`--rounds: a whole number from 1 to ${ROUNDS_MAX}, not "${values.rounds}"`);
	}
	return { benchmarks, rounds, quick, write };
}

async function run({ benchmarks, rounds, quick, write }: Choice): Promise<void> {
	const directory = mkdtempSync(join(tmpdir(), "mycelog-bench-"));
	let broker: KafkaBroker | undefined;
	const since = performance.now();
	const surroundings: Surroundings = {
		directory,
		quick,
		seconds: quick ? SECONDS_QUICK : SECONDS,
		async kafka() {
			broker ??= await startKafkaBroker(JVM_FLAGS_BENCHMARKS);
			return broker;
		},
		progress: (text) => {
			const elapsed = Math.round((performance.now() - since) / 1000);
			process.stderr.write(`[${String(elapsed).padStart(4)} s] ${text}\n`);
		},
	};
	const cleanUp = async () => {
		await broker?.stop();
		rmSync(directory, { recursive: true, force: true });
	};
	for (const event of ["SIGINT", "SIGTERM", "uncaughtException"] as const) {
		process.once(event, (why: unknown) => {
			process.stderr.write(`${why instanceof Error ? why.stack : why}\n`);
			void cleanUp().finally(() => process.exit(1));
		});
	}
	const titles = BENCHMARKS.map(({ title }) => title);
	const date = new Date().toISOString().slice(0, 10);
	try {
		for (const benchmark of benchmarks) {
			const measured = await measure(benchmark, rounds, surroundings);
			const machine = machineLine(broker);
			process.stdout.write(`\n${benchmark.title}\n${tableOf(measured)}\n\n${machine}\n`);
			if (!write) continue;
			const notes = { machine, date, rounds, seconds: surroundings.seconds, quick };
			writeFileSync(RESULTS, reportOf(measured, notes, readFileSync(RESULTS, "utf8"), titles));
		}
	} finally {
		await cleanUp();
	}
}

let choice: Choice | undefined;
try {
	choice = choiceOf(process.argv.slice(2));
} catch (error) {
	process.stderr.write(`${(error as Error).message}\n\n${HELP}`);
	process.exit(2);
}
if (choice) await run(choice);
else process.stdout.write(HELP);
