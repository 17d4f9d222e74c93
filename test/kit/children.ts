/** Processes that tests start: whatever becomes of a test, they end with the process that runs it. */
import type { ChildProcess } from "node:child_process";

const CHILDREN = new Set<ChildProcess>();
process.once("exit", () => {
	for (const child of CHILDREN) child.kill("SIGKILL");
});

/** Kill it; resolves when it is no more. */
export async function killed(child: ChildProcess): Promise<void> {
	child.kill("SIGKILL");
	await ended(child);
}

export async function ended(child: ChildProcess): Promise<void> {
	if (child.exitCode !== null || child.signalCode !== null) return;
	await new Promise((resolve) => child.once("exit", resolve));
}

/** Killed with this process, if it has not ended before. */
export function endWithTests(child: ChildProcess): void {
	CHILDREN.add(child);
	child.once("close", () => CHILDREN.delete(child));
}
