/**
 * Commands for recovery: verify, rebuild, fork, dry-run, promote, export, import history, audit. Owns their flags and help;
 * what they do is loaded when they are called.
 */
import { Argument, type Command, Option } from "commander";
import {
	addActorsFile,
	addNode,
	addPlace,
	address,
	EXIT_CODES,
	limit,
	offset,
	type ProgramHooks,
	reason,
	runs,
	time,
	wholeNumber,
	why,
} from "./program-options.ts";

/** How long `rebuild` waits for the owners of a cluster, milliseconds. */
const WAIT_MS_DEFAULT = 600_000;

export function addRecoveryCommands(program: Command, hooks: ProgramHooks): void {
	addVerify(program, hooks);
	addRebuild(program, hooks);
	addFork(program, hooks);
	addDryRun(program, hooks);
	addPromote(program, hooks);
	addExport(program, hooks);
	const group = program.commands.find((command) => command.name() === "import");
	if (group) addImportHistory(group, hooks);
	addAudit(program, hooks);
}

function addVerify(program: Command, hooks: ProgramHooks): void {
	const command = addChoice(
		program
			.command("verify")
			.description("compare stored snapshots with a fresh fold of the log")
			.argument("[address]", "one actor: type/id")
			.option("--all", "every actor")
			.addOption(new Option("--partition <number>", "only of this partition").argParser(wholeNumber))
			.addOption(limit(100, "most actors named"))
			.option("--rebuild", "of one actor: write a fresh snapshot if it is not right (only on stopped data)")
			.addOption(reason("--why <reason>", "with --rebuild: why, kept with it (default: what was found)"))
			.addOption(reason("--by <who>", "with --rebuild: who does it (default: the user of this machine)")),
	);
	addNode(addPlace(addActorsFile(command))).addHelpText(
		"after",
		`${EXIT_CODES}

Examples:
  mycelog verify workspace/my-workspace
  mycelog verify --all
  mycelog verify --type order --actors ./my-actors.ts
  mycelog verify workspace/my-workspace --rebuild --data-dir /var/lib/mycelog`,
	);
	runs(command, hooks, async () => {
		const [of] = command.processedArgs;
		if (of !== undefined) return (await import("./operator-commands.ts")).verifyCommand;
		const { type, under, all, partition } = command.opts();
		if (!all && type === undefined && under === undefined && partition === undefined) {
			command.error("which actor? Name an address, --all, --type, --under or --partition");
		}
		const { verifyManyCommand } = await import("./verify-many-command.ts");
		return (config, _, flags) => verifyManyCommand(config, flags);
	});
}

function addRebuild(program: Command, hooks: ProgramHooks): void {
	const wait = new Option("--wait-ms <ms>", "how long to wait for the owners of a cluster");
	const command = addReason(
		addChoice(
			program
				.command("rebuild")
				.description("fold actors anew from their first message with the machines of now")
				.argument("[addresses...]", "the actors: type/id")
				.option("--all", "every actor")
				.option("--from-snapshot", "begin with the stored snapshot, not with the first message")
				.addOption(
					new Option("--snapshots <dir>", "with those of a backup instead (stopped data)").implies({
						fromSnapshot: true,
					}),
				)
				.addOption(wait.default(WAIT_MS_DEFAULT).argParser(wholeNumber))
				.option("--yes", "needed where actors are chosen by --all, --type or --under"),
		),
	);
	addNode(addPlace(addActorsFile(command))).addHelpText(
		"after",
		`
With --node, and in a cluster (--kafka-uri), the owners do it beside their work: clients stay connected. Without, an
embedded log is rebuilt while no node runs on it. Nothing is sent again. Each is told in its actor's history and by \`mycelog audit\`.

--from-snapshot is for histories whose beginning is no longer kept, or too long to fold: what is stored must be right.
${EXIT_CODES}

Examples:
  mycelog rebuild order/17 order/18 --why "discounts were added" --actors ./my-actors.ts
  mycelog rebuild order/17 --from-snapshot --why "its memory is in doubt" --node http://127.0.0.1:9527
  mycelog rebuild --type order --yes --why "Tuesday's deploy" --snapshots /backup/monday --actors ./mended.ts
  mycelog rebuild --type order --yes --why "discounts were added" --kafka-uri kafka-1:9092`,
	);
	runs(command, hooks, async () => (await import("./rebuild-command.ts")).rebuildCommand);
}

function addFork(program: Command, hooks: ProgramHooks): void {
	const drop = new Option("--drop <offset...>", "leave out these messages");
	const command = program
		.command("fork")
		.description("change an actor's history on paper: write a fork and show what it would make")
		.addArgument(address())
		.requiredOption("--out <file>", "where the fork is written to; it must not be there")
		.addOption(offset("--to", "last offset kept (default: all)"))
		.addOption(drop.argParser((text: string, before: number[] = []) => [...before, wholeNumber(text)]))
		.option("--edits <file>", "JSON Lines of edits");
	addNode(addPlace(addActorsFile(command))).addHelpText(
		"after",
		`
An edit is one line of:
  {"drop": 7}                                            leave the message at offset 7 out
  {"replace": 7, "event": {"type": "add", "by": 1}}      another event in its place
  {"insert": 7, "event": {"type": "add", "by": 1}}       behind it; -1: before the first
Nothing is changed in the log. Who reads it: mycelog dry-run, mycelog promote.

Examples:
  mycelog fork order/17 --to 1234 --out fork.json
  mycelog fork order/17 --drop 1235 1240 --out fork.json
  mycelog fork order/17 --edits edits.jsonl --out fork.json`,
	);
	runs(command, hooks, async () => (await import("./fork-commands.ts")).forkCommand);
}

function addDryRun(program: Command, hooks: ProgramHooks): void {
	const command = program
		.command("dry-run")
		.description("fold a fork with the machines of now: the difference of state, timers and effects")
		.argument("<fork>", "file that mycelog fork wrote")
		.option("--against <file>", "module with the machines that the history was made by");
	addNode(addPlace(addActorsFile(command))).addHelpText(
		"after",
		`
What went out is told by folding the history as it is: with --against by the machines that did it.

Examples:
  mycelog dry-run fork.json
  mycelog dry-run fork.json --actors mended.ts --against before.ts --json`,
	);
	runs(command, hooks, async () => (await import("./fork-commands.ts")).dryRunCommand);
}

function addPromote(program: Command, hooks: ProgramHooks): void {
	const command = addReason(
		program
			.command("promote")
			.description("make a fork true: its state is the actor's from a record in its mailbox on")
			.argument("<fork>", "file that mycelog fork wrote")
			.option("--accept-newer", "keep messages that came since the fork was made, instead of refusing")
			.option("--yes", "needed: messages that were sent are not taken back"),
	);
	addNode(addPlace(addActorsFile(command))).addHelpText(
		"after",
		`
Refused where the actor had messages since the fork was made, unless --accept-newer. Without --node a cluster's log is
written at any time, an embedded one while no node runs on it.

Examples:
  mycelog promote fork.json --yes --why "the import of Monday was wrong"
  mycelog promote fork.json --yes --accept-newer --why "…" --kafka-uri kafka-1:9092`,
	);
	runs(command, hooks, async () => (await import("./fork-commands.ts")).promoteCommand);
}

function addExport(program: Command, hooks: ProgramHooks): void {
	const command = addChoice(
		program
			.command("export")
			.description("write histories as JSON Lines with a checksum, for another environment")
			.argument("[address]", "one actor: type/id")
			.option("--out <file>", "a file, there only when it is whole (default: stdout)"),
	);
	addNode(addPlace(addActorsFile(command))).addHelpText(
		"after",
		`
Examples:
  mycelog export order/17 > order-17.jsonl
  mycelog export order/17 --out order-17.jsonl --node http://127.0.0.1:9527
  mycelog export --under workspace/team- --out teams.jsonl`,
	);
	runs(command, hooks, async () => (await import("./export-commands.ts")).exportCommand);
}

function addImportHistory(group: Command, hooks: ProgramHooks): void {
	const command = addReason(
		group
			.command("history")
			.description("bring exported histories into this log; what their messages sent is not sent again")
			.argument("<file>", "that mycelog export wrote")
			.option("--into <address>", "another address, for a file with one actor")
			.option("--accept-different", "also where the machines here make another state of it")
			.option("--dry-run", "check everything, write nothing"),
	);
	addNode(addPlace(addActorsFile(command))).addHelpText(
		"after",
		`
The whole file is checked before anything is written. Refused where an actor has a history here already. Repeated,
it writes what is missing. A node (--node) writes it while it serves; without, a cluster's log is written at any time, an
embedded one while no node runs on it.

Examples:
  mycelog import history order-17.jsonl --dry-run --why "reproduce" --data-dir ./test-data
  mycelog import history order-17.jsonl --into order/17-copy --why "reproduce" --data-dir ./test-data`,
	);
	runs(command, hooks, async () => (await import("./export-commands.ts")).importHistoryCommand);
}

function addAudit(program: Command, hooks: ProgramHooks): void {
	const command = program
		.command("audit")
		.description("list what operators did to actors, by whom and why, newest first")
		.addArgument(new Argument("[address]", "of one actor: type/id"))
		.option("--by <who>", "only by them")
		.addOption(time("--since", "only since then: 7d, 12h, 2026-01-31"))
		.addOption(limit(1_000, "most entries"));
	addNode(addPlace(addActorsFile(command))).addHelpText(
		"after",
		`
Rebuilds, restores, imports, pauses and what ended them. The first question reads the log into the history index.

Examples:
  mycelog audit
  mycelog audit order/17 --json`,
	);
	runs(command, hooks, async () => (await import("./audit-command.ts")).auditCommand);
}

function addChoice(command: Command): Command {
	return command
		.option("--type <type>", "actors of this type")
		.option("--under <address>", "addresses that start with this");
}

function addReason(command: Command): Command {
	const who = "who does it (default: the user of this machine; with --node: of the token)";
	return command.addOption(why()).addOption(reason("--by <who>", who));
}
