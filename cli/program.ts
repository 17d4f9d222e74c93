/**
 * The `mycelog` command line: commands, flags and help, made from the table of options.
 * Owns words for people; what a command does is start.ts and operator-commands.ts, loaded when it is called.
 */
import { Command, Option } from "commander";
import { OPTION_KEYS, type OptionKey } from "./options.ts";
import { addNodeCommands } from "./program-node.ts";
import {
	addActorsFile,
	addNode,
	addOptions,
	addPlace,
	address,
	EXIT_CODES,
	type Flags,
	limit,
	offset,
	PLACE_KEYS,
	type ProgramHooks,
	resolve,
	runs,
	time,
	wholeNumber,
} from "./program-options.ts";
import { addRecoveryCommands } from "./program-recovery.ts";
import { VERSION } from "./version.ts";

export function mycelogProgram(hooks: ProgramHooks): Command {
	const program = new Command("mycelog")
		.description("Durable actors over a replayable, partitioned log, with a gateway for Hypha RPC clients.")
		.version(VERSION, "-V, --version", "print the version")
		.helpOption("-h, --help", "print this help")
		.exitOverride()
		.configureOutput({ outputError: () => {} })
		.addHelpText("after", `${EXIT_CODES}\n\nRun \`mycelog COMMAND --help\` for the options of a command.`);
	addStart(program, hooks);
	addActors(program, hooks);
	addHistory(program, hooks);
	addReplay(program, hooks);
	addCheck(program, hooks);
	addImport(program, hooks);
	addRecoveryCommands(program, hooks);
	addNodeCommands(program, hooks);
	addBackup(program, hooks);
	return program;
}

function addStart(program: Command, hooks: ProgramHooks): void {
	const command = program.command("start").description("start a node and serve clients until a signal");
	addOptions(command, OPTION_KEYS).addHelpText(
		"after",
		`
Every option can also be given in the environment (MYCELOG_PORT for --port) or in a JSON file (--config);
a flag wins over the environment, the environment over the file. Secrets come by environment
(MYCELOG_JWT_SECRET, MYCELOG_ROOT_TOKEN) or by file, never as a flag.

Examples:
  mycelog start                                            a laptop: embedded log, port 9527
  mycelog start --host 0.0.0.0 --public-url https://mycelog.example.org
  mycelog start --kafka-uri kafka-1:9092,kafka-2:9092      one node of a cluster
  mycelog start --config mycelog.json --port 0             a file, but a free port`,
	);
	command.action(async (flags: Flags) => {
		const resolved = resolve(hooks, flags);
		const { start } = await import("./start.ts");
		await start(resolved);
	});
}

function addActors(program: Command, hooks: ProgramHooks): void {
	const command = program
		.command("actors")
		.description("list actors with their states, of a live node or of stopped data")
		.option("--type <type>", "only actors of this type (workspace, client, …)")
		.option("--under <address>", "only addresses that start with this")
		.option("--search <text>", "only addresses with this in them")
		.addOption(limit(1_000, "most actors listed"));
	addNode(addPlace(addActorsFile(command))).addHelpText(
		"after",
		`
Examples:
  mycelog actors --type workspace
  mycelog actors --under client/my-workspace/ --json
  mycelog actors --type order --actors ./my-actors.ts`,
	);
	runs(command, hooks, async () => (await import("./operator-commands.ts")).actorsCommand);
}

function addHistory(program: Command, hooks: ProgramHooks): void {
	const command = program
		.command("history")
		.description("show an actor's messages and what each did")
		.addArgument(address())
		.addOption(offset("--from", "first offset shown"))
		.addOption(offset("--to", "last offset shown"))
		.option("--newest-first", "the newest message first")
		.addOption(
			new Option("--kind <kind>", "only of this kind").choices(["command", "timer", "query", "frame"]),
		)
		.option("--type <type>", "only of this type")
		.option("--from-actor <address>", 'only from this actor; "-": from outside')
		.addOption(time("--since", "only appended since then: 7d, 12h, 2026-01-31"))
		.addOption(time("--until", "only appended until then"))
		.addOption(
			new Option("--outcome <outcome>", "only with this outcome").choices([
				"folded",
				"failed",
				"repeat",
				"passed",
			]),
		)
		.addOption(limit(1_000, "most messages shown"))
		.addOption(new Option("--follow", "go on with each message as it comes").conflicts(["newestFirst", "to"]))
		.option("--all", "also queries and frames, which change nothing");
	addNode(addPlace(addActorsFile(command))).addHelpText(
		"after",
		`
With --json each message comes with its decoded event, the whole state after it and its effects.

Examples:
  mycelog history workspace/my-workspace
  mycelog history client/my-workspace/alice --all --from 1200 --limit 50
  mycelog history order/17 --newest-first --limit 20 --outcome failed --actors ./my-actors.ts
  mycelog history workspace/my-workspace --json --kafka-uri kafka-1:9092
  mycelog history order/17 --actors ./my-actors.ts`,
	);
	runs(command, hooks, async () => (await import("./operator-commands.ts")).historyCommand);
}

function addReplay(program: Command, hooks: ProgramHooks): void {
	const command = program
		.command("replay")
		.description("fold an actor anew from the log and show its state; sends nothing, writes nothing")
		.addArgument(address())
		.addOption(offset("--to", "last offset folded (default: the newest)"))
		.addOption(time("--at", "as of this time: 2026-01-31T08:00:00Z, or 2h ago as 2h"));
	addNode(addPlace(addActorsFile(command))).addHelpText(
		"after",
		`
Examples:
  mycelog replay workspace/my-workspace
  mycelog replay workspace/my-workspace --to 1234 --json
  mycelog replay workspace/my-workspace --at 2026-01-31T08:00:00Z`,
	);
	runs(command, hooks, async () => (await import("./operator-commands.ts")).replayCommand);
}

function addCheck(program: Command, hooks: ProgramHooks): void {
	const command = program
		.command("check")
		.description("fold stored histories with new machines and name the actors that would fail or differ")
		.option("--machine <file>", "module that exports the new actors, as defineActor gives them")
		.addOption(
			new Option("--actors <file>", "the same by the name that the other commands know").conflicts("machine"),
		)
		.option("--against <file>", "module with the machines of now: compare after every message")
		.addOption(
			time("--since", "only actors with messages since then, and what these do: 7d, 12h, 2026-01-31"),
		)
		.addOption(limit(1_000, "most actors named"));
	addPlace(command).addHelpText(
		"after",
		`
Writes nothing and carries out nothing. Without --against the new state is compared with the stored
snapshot, migrated first where the new actor says how. A message that is a dead letter already may fail again.
${EXIT_CODES}

Examples:
  mycelog check --machine new.ts --since 7d
  mycelog check --machine new.ts --against old.ts --data-dir /var/lib/mycelog --json`,
	);
	runs(command, hooks, async () => (await import("./check-command.ts")).checkCommand);
}

/** What makes the log that is imported into, beside what finds it. */
const IMPORT_KEYS: readonly OptionKey[] = [
	...PLACE_KEYS,
	"partitions",
	"clientsRetentionMs",
	"durability",
	"kafkaReplicationFactor",
	"kafkaMinInsyncReplicas",
];

/** Time for clients to come over, milliseconds. */
const WAIT_FOR_CLIENTS_MS = 600_000;

function addImport(program: Command, hooks: ProgramHooks): void {
	const command = program
		.command("import")
		.description("take over what another server holds")
		.command("hypha")
		.description("take over workspaces, clients with their services, and revoked tokens of a running Hypha")
		.requiredOption(
			"--redis-uri <uri>",
			"its Redis: redis://[user:password@]host:port[/db], rediss:// for TLS",
		)
		.option("--dry-run", "report what would be written, write nothing")
		.option("--overwrite", "replace workspaces that are here and differ")
		.addOption(
			new Option("--wait-for-clients-ms <ms>", "how long its clients have to come here; 0 leaves them out")
				.default(WAIT_FOR_CLIENTS_MS)
				.argParser(wholeNumber),
		)
		.option("--json", "one JSON document for programs");
	addOptions(command, IMPORT_KEYS).addHelpText(
		"after",
		`
An embedded log is written while no node runs on it; a cluster's Kafka at any time. What is here already
is not written again. Step by step: docs/migrating-from-hypha.md.

Examples:
  mycelog import hypha --redis-uri redis://127.0.0.1:6379/0 --dry-run
  mycelog import hypha --redis-uri redis://hypha-redis:6379/0 --kafka-uri kafka-1:9092`,
	);
	runs(command, hooks, async () => (await import("./import-command.ts")).importHyphaCommand);
}

function addBackup(program: Command, hooks: ProgramHooks): void {
	const backup = program
		.command("backup")
		.description("copy a data directory while its node lives, with checksums")
		.argument("<target-dir>", "directory to copy to: empty, or not there yet")
		.option("--json", "the manifest as one JSON document");
	addOptions(backup, ["dataDir", "logLevel"]).addHelpText(
		"after",
		`
Takes the log, snapshots, the node's id and the generated token secret: keep a backup as safe as the data
directory. A backup that was cut off has no backup.json and is refused by restore.

Examples:
  mycelog backup /backup/monday --data-dir /var/lib/mycelog`,
	);
	runs(backup, hooks, async () => (await import("./backup-commands.ts")).backupCommand);
	const restore = program
		.command("restore")
		.description("make a data directory from a backup, after checking all of it")
		.argument("<backup-dir>", "what `mycelog backup` made")
		.option("--json", "the manifest as one JSON document");
	addOptions(restore, ["dataDir", "logLevel"]).addHelpText(
		"after",
		`
The data directory must be empty or not there yet; it appears at once when everything was checked, or not at all.

Examples:
  mycelog restore /backup/monday --data-dir /var/lib/mycelog`,
	);
	runs(restore, hooks, async () => (await import("./backup-commands.ts")).restoreCommand);
}
