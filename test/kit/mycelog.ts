/**
 * The `mycelog` command as an operator runs it: a process, its exit code and what it printed.
 */
import { execFile } from "node:child_process";
import { MAIN, type NodeProcess } from "./node-process.ts";

/** Bytes of a command's output. */
const OUTPUT_BYTES_MAX = 256 * 1024 * 1024;
/** Milliseconds for one command. */
const COMMAND_MS_MAX = 60_000;

export interface CommandResult {
	readonly exitCode: number;
	readonly stdout: string;
	readonly stderr: string;
}

/** Run it to its end, however it ends. */
export function mycelog(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<CommandResult> {
	return new Promise((resolve, reject) => {
		const options = { maxBuffer: OUTPUT_BYTES_MAX, timeout: COMMAND_MS_MAX, env: { ...process.env, ...env } };
		execFile(process.execPath, [MAIN, ...args], options, (error, stdout, stderr) => {
			const exitCode = error ? error.code : 0;
			if (typeof exitCode === "number") resolve({ exitCode, stdout, stderr });
			else reject(new Error(`mycelog ${args.join(" ")} was stopped: ${error?.message}\n${stderr}`));
		});
	});
}

/** A command about the log of a node, live or stopped, with `--json`. Throws with its stderr when it fails. */
export async function askOperator<T>(node: NodeProcess, command: string, ...args: string[]): Promise<T> {
	const { exitCode, stdout, stderr } = await mycelog([command, ...args, "--json", ...node.place]);
	if (exitCode !== 0)
		throw new Error(`mycelog ${command} ${args.join(" ")} ended with ${exitCode}:\n${stderr}${stdout}`);
	return JSON.parse(stdout) as T;
}

/** A line of `mycelog actors --json`. */
export interface ActorLine {
	readonly address: string;
	readonly state?: string;
	readonly problem?: string;
}

/** A line of `mycelog history ADDRESS --json`. */
export interface HistoryLine {
	readonly offset: number;
	readonly kind: string;
	readonly type: string;
	readonly from?: string;
	readonly event: Readonly<Record<string, unknown>>;
	readonly outcome: string;
	readonly state: string;
}

/** What `mycelog replay ADDRESS --json` prints. */
export interface ReplayLine {
	readonly address: string;
	readonly offset: number;
	readonly state: string;
	readonly value: Readonly<Record<string, unknown>>;
}

/** What `mycelog verify --all --json` prints. */
export interface SurveyLine {
	readonly ok: boolean;
	readonly checked: number;
	readonly wrong: number;
}

/** What `mycelog verify ADDRESS --json` prints. */
export interface VerifyLine {
	readonly address: string;
	readonly ok: boolean;
	readonly snapshot?: string;
	readonly reason?: string;
}
