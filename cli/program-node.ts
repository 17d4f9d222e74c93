/**
 * Commands that a running node answers, or that change what one does: status, partitions, dead letters, pausing actors.
 * Owns their flags and help; what they do is loaded when they are called.
 */
import { Argument, type Command, Option } from "commander";
import type { Intervention } from "../runtime/failures.ts";
import { LETTER_STATUSES, RETRIES_A_SECOND_DEFAULT, RETRIES_A_SECOND_MAX } from "../runtime/letter-status.ts";
import { completionScript, SHELLS, type Shell } from "./completion.ts";
import { integer } from "./option-values.ts";
import {
	addNode,
	addPlace,
	address,
	limit,
	type ProgramHooks,
	readAs,
	runs,
	time,
	why,
} from "./program-options.ts";

export function addNodeCommands(program: Command, hooks: ProgramHooks): void {
	addCompletion(program);
	addStatus(program, hooks);
	addPartitions(program, hooks);
	addLetters(program, hooks);
	for (const [name, words] of Object.entries(INTERVENTION_WORDS)) {
		addIntervention(program, hooks, name as Intervention, words);
	}
}

function addCompletion(program: Command): void {
	const shell = new Argument("<shell>", "whose").choices(SHELLS);
	const command = program
		.command("completion")
		.description("print a script that completes commands and flags");
	command.addArgument(shell).addHelpText(
		"after",
		`
Examples:
  source <(mycelog completion bash)
  mycelog completion zsh > "\${fpath[1]}/_mycelog"
  mycelog completion fish > ~/.config/fish/completions/mycelog.fish`,
	);
	command.action(async (of: Shell) => {
		const { print } = await import("./print.ts");
		await print(completionScript(program, of));
	});
}

function addStatus(program: Command, hooks: ProgramHooks): void {
	const command = program
		.command("status")
		.description("show how a node is: health with reasons, lag, dead letters");
	addNode(addPlace(command)).addHelpText(
		"after",
		`
Examples:
  mycelog status --node http://127.0.0.1:9527
  mycelog status --node https://mycelog.example.org --token-file operator-token --json`,
	);
	runs(command, hooks, async () => (await import("./node-commands.ts")).statusCommand);
}

function addPartitions(program: Command, hooks: ProgramHooks): void {
	const command = program
		.command("partitions")
		.description("list partitions with owner and lag, and the record that one stands still on");
	addNode(addPlace(command)).addHelpText(
		"after",
		`
Without --node the lag is counted from the stored snapshots: a running node is ahead of them.

Examples:
  mycelog partitions --node http://127.0.0.1:9527
  mycelog partitions --data-dir /var/lib/mycelog --json`,
	);
	runs(command, hooks, async () => (await import("./node-commands.ts")).partitionsCommand);
}

function addLetters(program: Command, hooks: ProgramHooks): void {
	const group = program.command("dead-letters").description("messages that failed: list, show, retry, drop");
	const list = addFilter(group.command("list").description("list them, with what became of each"))
		.addOption(new Option("--status <status>", "only these").choices(LETTER_STATUSES))
		.addOption(limit(1_000, "most letters listed"));
	addNode(addPlace(list)).addHelpText(
		"after",
		`
Examples:
  mycelog dead-letters list --status open --since 2h
  mycelog dead-letters list --address order/ --cause "not found" --node http://127.0.0.1:9527`,
	);
	runs(list, hooks, async () => (await import("./letter-commands.ts")).listLettersCommand);
	const show = group
		.command("show")
		.description("show one with its message and the whole cause")
		.argument("<id>", "as the list names it: topic/partition@offset");
	addNode(addPlace(show));
	runs(show, hooks, async () => (await import("./letter-commands.ts")).showLetterCommand);
	addLetterWork(group, hooks, "retry");
	addLetterWork(group, hooks, "drop");
}

function addLetterWork(group: Command, hooks: ProgramHooks, what: "retry" | "drop"): void {
	const words = {
		retry: "send their messages to their actors once more; each letter is retried once",
		drop: "be done with them for a reason; what is dropped is still listed",
	};
	const command = addFilter(group.command(what).description(words[what]))
		.option("--id <id...>", "these letters, instead of a filter")
		.option("--all", "every letter that is open")
		.addOption(limit(100_000, "most letters"))
		.option("--dry-run", "say what would be done, write nothing")
		.addOption(why());
	if (what === "retry") {
		const rate = new Option("--rate <number>", "letters sent in a second").default(RETRIES_A_SECOND_DEFAULT);
		command.addOption(rate.argParser((text) => readAs(integer(1, RETRIES_A_SECOND_MAX), text)));
	} else command.option("--yes", "do it without being asked again");
	addNode(addPlace(command)).addHelpText(
		"after",
		`
Who does it and why is recorded. Without --node the log is written directly: a cluster's at any time, an
embedded one while no node runs on it.

Examples:
  mycelog dead-letters ${what} --type order.add --since 1d --dry-run --why "shelf was empty"
  mycelog dead-letters ${what} --id actors/3@1207${what === "drop" ? " --yes" : ""} --why "..." --node http://127.0.0.1:9527`,
	);
	runs(command, hooks, async () => {
		const { workOnLettersCommand } = await import("./letter-commands.ts");
		return (config, flags) => workOnLettersCommand(config, what, flags);
	});
}

function addFilter(command: Command): Command {
	return command
		.option("--address <address>", "only of this actor, or of all below it if it ends with /")
		.option("--type <type>", "only of this type of message")
		.option("--cause <text>", "only with this in the cause")
		.addOption(time("--since", "only parked since then: 7d, 12h, 2026-01-31"));
}

const INTERVENTION_WORDS: Readonly<Record<Intervention, string>> = {
	pause: "let an actor take no messages from here on; they are kept in order",
	resume: "let a paused actor take what was kept, and go on",
	skip: "leave the message that failed out, and let its actor go on",
	retry: "try the message that failed once more, and let its actor go on if it is taken",
};

function addIntervention(program: Command, hooks: ProgramHooks, name: Intervention, words: string): void {
	const command = program.command(name).description(words).addArgument(address()).addOption(why());
	addNode(addPlace(command)).addHelpText(
		"after",
		`
Who does it and why stands in the actor's history. Without --node it is written to the log: a cluster's at
any time, an embedded one while no node runs on it; the actor takes it in turn.

Examples:
  mycelog ${name} order/1207 --why "stocktaking" --node http://127.0.0.1:9527
  mycelog ${name} order/1207 --why "stocktaking" --kafka-uri kafka-1:9092`,
	);
	runs(command, hooks, async () => {
		const { interveneCommand } = await import("./intervention-commands.ts");
		return (config, of, flags) => interveneCommand(config, name, of, flags);
	});
}
