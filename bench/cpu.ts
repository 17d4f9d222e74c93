/**
 * Processor time of processes over a stretch of time, in cores. Owns the reading of /proc; Linux only.
 */
import { readFileSync } from "node:fs";

/** Clock ticks a second in /proc, the same on every Linux that Node runs on. */
const TICKS_A_SECOND = 100;

/** Seconds that a process has used the processor, system calls included. */
function cpuSeconds(pid: number): number {
	const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
	// The name in parentheses may hold spaces; utime and stime are the 14th and 15th field.
	const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
	return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND;
}

/** Start watching; the returned function tells the cores that each process kept busy since. */
export function watchCpu(pids: readonly number[]): () => number[] {
	const since = performance.now();
	const before = pids.map(cpuSeconds);
	return () => {
		const seconds = (performance.now() - since) / 1000;
		return pids.map((pid, i) => (cpuSeconds(pid) - (before[i] as number)) / seconds);
	};
}
