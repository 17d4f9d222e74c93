/** The public surface of the testing kit. Owns nothing. */
export { type Fault, MemoryLog, type MemoryLogOptions, MemoryStorage, type Network } from "./memory-log.ts";
export { MemorySnapshots } from "./memory-snapshots.ts";
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
