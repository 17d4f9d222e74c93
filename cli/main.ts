#!/usr/bin/env node
/**
 * The process behind the `mycelog` command. Owns how errors read and the exit code; the commands are program.ts.
 */
import { CommanderError } from "commander";
import { type ErrorCode, MycelogError } from "../persistence/errors.ts";
import { EXIT } from "./exit-codes.ts";
import { mycelogProgram } from "./program.ts";

/** Codes that mean the command line was wrong rather than the world. */
const USAGE_CODES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
	"config.unknown-option",
	"config.contradiction",
	"config.invalid-value",
	"actor.invalid-address",
	"actor.unknown-type",
]);

/** Codes that mean nobody was asked. */
const UNREACHABLE_CODES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
	"operator.node-unreachable",
	"operator.access-refused",
]);

let showStacks = false;

// A reader that has seen enough (`| head`) is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));

const program = mycelogProgram({
	environment: process.env,
	resolved: ({ config }) => {
		showStacks = config.logLevel === "debug" || config.logLevel === "trace";
	},
	exit: (code) => {
		process.exitCode = code;
	},
});

try {
	await program.parseAsync();
} catch (error) {
	process.exitCode = report(error);
	// A node that could not start may have left handles behind.
	process.exit();
}

/** Print the error; returns the exit code. */
function report(error: unknown): number {
	if (error instanceof CommanderError) return reportUsage(error);
	if (MycelogError.is(error)) {
		show(error, error.message, error.fix, error.code);
		if (UNREACHABLE_CODES.has(error.code)) return EXIT.unreachable;
		return USAGE_CODES.has(error.code) ? EXIT.usage : EXIT.failure;
	}
	const { message } = error as Error;
	show(
		error as Error,
		message,
		"This is a fault in Mycelog: run again with --log-level debug and report it.",
		"fault",
	);
	return 1;
}

function reportUsage(error: CommanderError): number {
	if (error.exitCode === 0) return 0;
	// Commander prints help itself where no command was given.
	if (error.code === "commander.help") return 2;
	const code = error.code === "commander.unknownOption" ? "config.unknown-option" : "config.invalid-value";
	const message = error.message.replace(/^error: /, "").replaceAll("\n", " ");
	show(
		error,
		message,
		"Run `mycelog --help`, or `mycelog COMMAND --help` for the options of a command.",
		code,
	);
	return 2;
}

function show(error: Error, message: string, fix: string, code: string): void {
	process.stderr.write(`error: ${message}\nfix: ${fix}\ncode: ${code}\n`);
	if (showStacks) process.stderr.write(`${error.stack}\n`);
	for (let cause = error.cause; showStacks && cause instanceof Error; cause = cause.cause) {
		process.stderr.write(`caused by: ${cause.stack}\n`);
	}
}
