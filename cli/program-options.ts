/**
 * What the commands have in common: how they find a node or its data, limits and offsets, exit codes in their help. Owns
 * these flags; the commands are program.ts and program-node.ts.
 */
import { Argument, type Command, Help, InvalidArgumentError, Option } from "commander";
import { WHO_WHY_CHARACTERS_MAX } from "../runtime/reason.ts";
import { type ResolvedConfig, resolveConfig } from "./config.ts";
import { EXIT_MEANINGS } from "./exit-codes.ts";
import { integer, timeSince } from "./option-values.ts";
import {
	type Config,
	fallbackTextOf,
	flagOf,
	OPERATOR_TOKEN_VARIABLE,
	OPTIONS,
	type OptionKey,
	variableOf,
} from "./options.ts";

/** What an operator's command needs to find its data. */
export const PLACE_KEYS: readonly OptionKey[] = [
	"dataDir",
	"kafkaUri",
	"kafkaClient",
	"kafkaSaslMechanism",
	"kafkaSaslUsername",
	"kafkaSaslPasswordFile",
	"kafkaTls",
	"kafkaTlsCaFile",
	"kafkaTlsCertFile",
	"kafkaTlsKeyFile",
	"prefix",
	"logLevel",
];

const help = new Help();
export const EXIT_CODES = `
Exit codes:
${Object.entries(EXIT_MEANINGS)
	.map(([code, means]) => help.formatItem(code, code.length, means, help))
	.join("\n")}`;

export type Flags = Readonly<Record<string, string | boolean | number | undefined>>;

export interface ProgramHooks {
	readonly environment: Readonly<Partial<Record<string, string>>>;
	/** Told as soon as it is known, so that an error can be shown as configured. */
	readonly resolved: (config: ResolvedConfig) => void;
	readonly exit: (code: number) => void;
}

export function resolve(hooks: ProgramHooks, flags: Flags): ResolvedConfig {
	const texts = Object.entries(flags).filter((flag): flag is [string, string] => typeof flag[1] === "string");
	const resolved = resolveConfig({ flags: Object.fromEntries(texts), environment: hooks.environment });
	hooks.resolved(resolved);
	return resolved;
}

/**
 * What a command does: `load` gives it, so that no command waits for the code of others. It gets the configuration, the
 * command's arguments and its flags, and resolves to the exit code.
 */
export function runs(
	command: Command,
	hooks: ProgramHooks,
	load: () => Promise<(config: Config, ...given: never[]) => Promise<number>>,
): void {
	command.action(async (...given: unknown[]) => {
		// Behind the flags comes the command itself.
		const asked = given.slice(0, -1);
		const { config } = resolve(hooks, asked.at(-1) as Flags);
		const run = await load();
		hooks.exit(await run(config, ...(asked as never[])));
	});
}

export function addPlace(command: Command): Command {
	command.option("--json", "one JSON document for programs");
	return addOptions(command, PLACE_KEYS);
}

export function addOptions(command: Command, keys: readonly OptionKey[]): Command {
	for (const key of keys) {
		const { placeholder, description } = OPTIONS[key];
		const origin = `(default: ${fallbackTextOf(key)}; env: ${variableOf(key)})`;
		command.addOption(new Option(`--${flagOf(key)} <${placeholder}>`, `${description} ${origin}`));
	}
	return command.option(
		"--config <file>",
		"JSON file with options by their names above (env: MYCELOG_CONFIG)",
	);
}

export function address(): Argument {
	return new Argument("<address>", "type/id, for example workspace/my-workspace");
}

export function offset(flag: string, description: string): Option {
	return new Option(`${flag} <offset>`, description).argParser(wholeNumber);
}

/** Of a moment: so long ago, or a date. */
export function time(flag: string, description: string): Option {
	const option = new Option(`${flag} <time>`, description);
	return option.argParser((text) => readAs(timeSince(Date.now()), text));
}

export function limit(most: number, description: string): Option {
	return new Option("--limit <number>", description).default(most).argParser(wholeNumber);
}

export function wholeNumber(text: string): number {
	return readAs(integer(0, Number.MAX_SAFE_INTEGER), text);
}

export function readAs<Value>(read: (text: string) => Value, text: string): Value {
	try {
		return read(text);
	} catch (error) {
		throw new InvalidArgumentError(`It must be ${(error as Error).message}.`);
	}
}

/** For commands that fold actors out of the data. */
export function addActorsFile(command: Command): Command {
	return command.option(
		"--actors <file>",
		"module that exports the embedder's own actors, as defineActor gives them (with --node: it knows them)",
	);
}

/** For commands that a running node answers too. */
export function addNode(command: Command): Command {
	return command
		.option(
			"--node <url>",
			`ask this running node instead of the data: http://host:port; its token comes by ${OPERATOR_TOKEN_VARIABLE} or --token-file`,
		)
		.option(
			"--token-file <file>",
			`file with the node's operator token (env: ${OPERATOR_TOKEN_VARIABLE} holds the token)`,
		);
}

/** Who or why: kept in the log with what is done. */
export function reason(flags: string, description: string): Option {
	return new Option(flags, description).argParser((given) =>
		readAs((text) => {
			if (text.trim() !== "" && text.length <= WHO_WHY_CHARACTERS_MAX) return text;
			throw new Error(`a text of 1 to ${WHO_WHY_CHARACTERS_MAX} characters`);
		}, given),
	);
}

/** Of every command that changes something. */
export function why(): Option {
	return reason("--why <reason>", "why: kept with what is done").makeOptionMandatory();
}
