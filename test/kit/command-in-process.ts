/**
 * The command line in the test's own process: the same program, without the second that a process takes to start. Owns
 * catching what it prints; how errors read and their exit codes are test/cli/command.test.ts.
 */
import { vi } from "vitest";
import { mycelogProgram } from "../../cli/program.ts";
import { MycelogError } from "../../persistence/errors.ts";

export interface InProcess {
	/** Undefined: it ended with an error. */
	readonly exitCode: number | undefined;
	readonly stdout: string;
	/** `code: message` of the error it ended with. */
	readonly error: string;
}

/** One at a time: stdout belongs to the process. */
export async function commandInProcess(args: readonly string[]): Promise<InProcess> {
	let stdout = "";
	let exitCode: number | undefined;
	const write = vi.spyOn(process.stdout, "write").mockImplementation((text) => {
		stdout += text;
		return true;
	});
	const hooks = {
		environment: {},
		resolved: () => {},
		exit: (code: number) => {
			exitCode = code;
		},
	};
	try {
		await mycelogProgram(hooks).parseAsync(["node", "mycelog", ...args]);
		return { exitCode, stdout, error: "" };
	} catch (error) {
		const code = MycelogError.is(error) ? error.code : (error as { code?: string }).code;
		return { exitCode: undefined, stdout, error: `${code}: ${(error as Error).message}` };
	} finally {
		write.mockRestore();
	}
}
