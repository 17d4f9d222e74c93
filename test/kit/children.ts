/** Processes that tests start: whatever becomes of a test, they end with the process that runs it. */
import type { ChildProcess } from "node:child_process";

const CHILDREN = new Set<ChildProcess>();
process.once("exit", () => {
	for (const child of CHILDREN) child.kill("SIGKILL");
});

/** Killed with this process, if it has not ended before. */
export function endWithTests(child: ChildProcess): void {
	CHILDREN.add(child);
	child.once("close", () => CHILDREN.delete(child));
}
