/**
 * The page docs/reference/cli.md, made from the program's own commands. Run this file (`npm run pages`) to write it; a test
 * keeps the page equal to the program.
 */

import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Argument, Command, Option } from "commander";
import { EXIT_MEANINGS } from "./exit-codes.ts";
import { flagOf, OPTION_KEYS } from "./options.ts";
import { mycelogProgram } from "./program.ts";

export const CLI_PAGE = fileURLToPath(new URL("../docs/reference/cli.md", import.meta.url));

/** Flags that find data or a node: the same for all commands, told of once. */
const SHARED = new Set([
	"--json",
	"--node",
	"--token-file",
	"--config",
	...OPTION_KEYS.map((key) => `--${flagOf(key)}`),
]);

export function cliPage(): string {
	const program = mycelogProgram({ environment: {}, resolved: () => {}, exit: () => {} });
	const codes = Object.entries(EXIT_MEANINGS).map(([code, means]) => `| ${code} | ${means} |`);
	return `# Command line

Made from the program by \`npm run pages\`; do not edit. \`mycelog COMMAND --help\` has examples.

## Exit codes

| Code | Meaning |
| --- | --- |
${codes.join("\n")}

An error is three lines on stderr: what happened, what to do, and a code of the [errors page](errors.md).

## Where commands look

| Given | Asked |
| --- | --- |
| \`--node http://host:port\` | that running node, over the [operator's routes](http.md#operators). Its token comes by \`MYCELOG_OPERATOR_TOKEN\` or \`--token-file\`, never as a flag. The node knows the actors of its embedder |
| \`--data-dir\` | the embedded log of that directory, of a stopped node or beside a running one. What writes to it needs it stopped (\`log.in-use\`) |
| \`--kafka-uri\`, \`--prefix\` and the other \`--kafka-…\` flags | the cluster's log at the brokers, at any time |

Without \`--node\` who does something is named by the machine's user and host. The flags that find data can be given by
environment or file too: [configuration](../operating/configuration.md). \`--json\` prints one JSON document, for programs.
\`mycelog completion bash\` (or \`zsh\`, \`fish\`) prints a script that completes commands and flags.

## Commands
${leaves(program).map(section).join("")}`;
}

/** Those that do something. */
function leaves(command: Command): Command[] {
	return command.commands.flatMap((one) => (one.commands.length > 0 ? leaves(one) : [one]));
}

function section(command: Command): string {
	const given = (command.registeredArguments as readonly Argument[]).map((one) => `<${one.name()}>`);
	const own = command.options.filter(({ long }) => !SHARED.has(long ?? ""));
	const shared = command.options.filter(({ long }) => SHARED.has(long ?? ""));
	const has = (flag: string) => shared.some(({ long }) => long === flag);
	const line = [pathOf(command), ...given].join(" ");
	const places = [...(has("--node") ? ["a running node"] : []), ...(has("--data-dir") ? ["data"] : [])];
	const asks = command.name() === "start" || places.length === 0 ? "" : ` Asks ${places.join(" or ")}.`;
	const rows = command.name() === "start" ? [] : own.map(row);
	const table = rows.length > 0 ? `\n| Flag | Meaning |\n| --- | --- |\n${rows.join("\n")}\n` : "";
	const options =
		command.name() === "start" ? " Its options: [configuration](../operating/configuration.md)." : "";
	return `\n### \`${line}\`\n\n${sentence(command.description())}.${asks}${options}\n${table}`;
}

function row({ flags, description, defaultValue, mandatory, argChoices }: Option): string {
	const more = [
		...(argChoices ? [`one of ${argChoices.join(", ")}`] : []),
		...(mandatory ? ["needed"] : []),
		...(defaultValue === undefined ? [] : [`default: ${defaultValue}`]),
	];
	const text = `${description}${more.length > 0 ? ` (${more.join("; ")})` : ""}`;
	return `| \`${flags.replaceAll("|", "\\|")}\` | ${text.replaceAll("|", "\\|")} |`;
}

function pathOf(command: Command): string {
	return command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name();
}

function sentence(text: string): string {
	return text.charAt(0).toUpperCase() + text.slice(1);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(CLI_PAGE, cliPage());
