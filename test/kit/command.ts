/**
 * The `mycelog` command within the test's own process: for many commands in a row, of which a process each would take its
 * time. Owns catching what it prints; exit codes of errors are the process's (mycelog.ts).
 */
import { vi } from "vitest";
import { mycelogProgram } from "../../cli/program.ts";

export interface Ran {
	readonly exitCode: number | undefined;
	readonly stdout: string;
}

/** Rejects with what the process would print as an error. */
export async function run(args: readonly string[]): Promise<Ran> {
	let exitCode: number | undefined;
	let stdout = "";
	const written = vi.spyOn(process.stdout, "write").mockImplementation((text) => {
		stdout += String(text);
		return true;
	});
	try {
		const hooks = {
			environment: process.env,
			resolved: () => {},
			exit: (code: number) => {
				exitCode = code;
			},
		};
		await mycelogProgram(hooks).parseAsync(["node", "mycelog", ...args]);
	} finally {
		written.mockRestore();
	}
	return { exitCode, stdout };
}

/** What a command with `--json` printed. */
// biome-ignore lint/suspicious/noExplicitAny: what is printed is what tests look at
export async function runJson(args: readonly string[]): Promise<any> {
	return JSON.parse((await run([...args, "--json"])).stdout);
}

/** What ended a command that could not be done. */
export interface Refused {
	readonly code: string;
	readonly text: string;
	readonly afterMs: number;
}

/** Several at once: none of them prints anything. Rejects where it was done. */
export async function refusal(args: readonly string[]): Promise<Refused> {
	const since = performance.now();
	const hooks = { environment: process.env, resolved: () => {}, exit: () => {} };
	try {
		await mycelogProgram(hooks).parseAsync(["node", "mycelog", ...args]);
	} catch (error) {
		const { code = "", message } = error as { code?: string; message: string };
		return { code, text: message, afterMs: performance.now() - since };
	}
	throw new Error(`not refused: ${args.join(" ")}`);
}
