import { execFileSync } from "node:child_process";
import type { Command } from "commander";
import { expect, test } from "vitest";
import { completionScript, SHELLS } from "../../cli/completion.ts";
import { mycelogProgram } from "../../cli/program.ts";

const program = mycelogProgram({ environment: {}, resolved: () => {}, exit: () => {} });

test.each(SHELLS)("the script for %s has every command and flag of the program", (shell) => {
	const script = completionScript(program, shell);
	const all = (command: Command): Command[] => [command, ...command.commands.flatMap(all)];
	for (const command of all(program).slice(1)) {
		expect(script).toContain(command.name());
		for (const { long } of command.options)
			expect(script).toContain(shell === "fish" ? `-l ${long?.slice(2)}` : long);
	}
});

test("bash completes commands, flags of the command that was typed, and values where they are few", () => {
	const lines: [string, string[]][] = [
		["mycelog s", ["start", "status", "skip"]],
		["mycelog dead-letters ", ["list", "show", "retry", "drop", "--help"]],
		["mycelog dead-letters retry --ra", ["--rate"]],
		["mycelog --x dead-letters drop --ra", []],
		["mycelog dead-letters list --status ", ["open", "retried", "dropped"]],
		["mycelog completion ", ["--help", "bash", "zsh", "fish"]],
		["mycelog history --limit ", []],
		["mycelog status --token-file ./package-loc", ["./package-lock.json"]],
	];
	const asked = lines.map(([line]) => {
		const words = line.split(" ").map((word) => `'${word}'`);
		return `COMP_WORDS=(${words.join(" ")}); COMP_CWORD=${words.length - 1}; COMPREPLY=(); _mycelog; echo "\${COMPREPLY[*]}"`;
	});
	const script = [completionScript(program, "bash"), ...asked].join("\n");
	const answers = execFileSync("bash", ["--norc"], { input: script }).toString().split("\n");
	expect(answers.slice(0, -1).map((answer) => answer.split(" ").filter(Boolean))).toEqual(
		lines.map(([, completions]) => completions),
	);
});
