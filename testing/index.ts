/** The public surface of the testing kit. Owns nothing. */
export { Coverage } from "./coverage.ts";
export type { MachineCoverage, StateCoverage, TransitionCoverage } from "./coverage-counts.ts";
export { type Fault, MemoryLog, type MemoryLogOptions, MemoryStorage, type Network } from "./memory-log.ts";
export { MemorySnapshots } from "./memory-snapshots.ts";
export {
	type ModelPath,
	modelPaths,
	PATH_STATES_MAX,
	PATHS_MAX,
	type PathsOptions,
	type RunPaths,
	type RunPathsOptions,
	runPaths,
} from "./paths.ts";
export { Random } from "./random.ts";
export { type Callers, type Outcome, type SimulateOptions, simulate, simulationOf } from "./simulate.ts";
export {
	type SimulatedHost,
	Simulation,
	type SimulationOptions,
	type SimulationReport,
	type SimulationWork,
} from "./simulation.ts";
export { settled, VirtualTime } from "./virtual-time.ts";
